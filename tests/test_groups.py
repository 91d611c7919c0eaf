"""Patients reach every interval and every paired test, from the column of a CSV to the record of an exported file."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file

from edgekd import distill, export
from edgekd.artefacts import verification
from edgekd.bundle import Bundle
from edgekd.data.phantom import LABEL_NAMES, phantom
from edgekd.measures.calibration import softmax
from edgekd.measures.drift import drift

PATIENTS, SLICES = 40, 3
SETTINGS = (
    "data.validation_fraction=0.25",
    "data.test_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=8}",
    "student.width=0.35",
    "training={epochs=1, batch_size=8}",
    "qat.training={epochs=1, batch_size=8}",
    "qat.representative_images=16",
    "qat.observed_batches=2",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    rows = []
    for patient in range(PATIENTS):
        for place in range(SLICES):
            name = f"{patient}-{place}.png"
            Image.fromarray(phantom(place, patient, 48).image).save(folder / name)
            rows.append({"file": name, "label": LABEL_NAMES[patient % 4], "group": f"MR{patient:05}"})
    with (folder / "set.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, rows[0])
        table.writeheader()
        table.writerows(rows)
    arguments = ["--data", str(folder / "set.csv"), "--control", "--out", str(folder / "run")]
    for setting in (*SETTINGS, f"cache={folder / 'cache'}"):
        arguments += ["--set", setting]
    distill.main(arguments)
    with pytest.MonkeyPatch.context() as patch:  # rounding moves a network that learnt nothing far
        patch.setitem(verification.LARGEST_LOST_LEAD, "static_wi8_ai8", 1000.0)
        patch.setattr(verification, "LARGEST_MEAN_STEPS", 100.0)
        limits = ["--max-drop-pp", "100", "--max-class-drop-pp", "100"]
        assert export.main([str(folder / "run"), "--format", "tflite-int8", *limits]) == 0
    return Bundle.open(folder / "run")


def test_the_bundle_holds_groups_and_no_patients_id(bundle):
    for split in ("val", "test"):
        path = bundle.file(f"evaluation/{split}.safetensors")
        groups = load_file(path)["groups"]
        assert np.bincount(groups).tolist() == [SLICES] * (len(groups) // SLICES)
    held = [
        bundle.folder / name for name in bundle.manifest.files if name.startswith("evaluation/") and "test.saf" in name
    ]
    assert held
    assert b"MR000" not in held[0].read_bytes()


def test_every_document_has_the_test_by_group(bundle):
    test = load_file(bundle.file("evaluation/test.safetensors"))
    patients = len(test["labels"]) // SLICES
    gain = json.loads(bundle.file("comparison.json").read_text())["gain"]
    control = load_file(bundle.folder / "control/evaluation/test.safetensors")
    expected = drift(softmax(control["logits"]), softmax(test["logits"]), test["labels"], test["groups"])
    assert {name: gain[name] for name in expected.facts} == expected.facts
    assert gain["groups"] == patients
    int8 = json.loads(bundle.file("int8/comparison.json").read_text())
    assert [int8["qat_against_ptq"]["groups"], int8["drift"]["qat"]["groups"]] == [patients, patients]
    assert f"by {patients} groups" in bundle.manifest.quantization.verdict


def test_the_record_of_a_file_has_the_test_by_group(bundle):
    record = bundle.manifest.artefacts["tflite-int8"]
    report = json.loads(bundle.file(record.report).read_text())["drift"]
    assert record.groups == report["groups"] == record.val_images // SLICES
    assert record.p == report["p"]
    assert list(record.drift_interval_pp) == report["interval_pp"]
    low, high = record.drift_interval_pp
    assert low <= record.drift_pp <= high
    assert f"| {record.p:.3f} | {record.mcnemar_p:.3f} |" in (bundle.folder / "README.md").read_text(encoding="utf-8")
