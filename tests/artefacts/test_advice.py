"""What is advised fits what was tried, and is a whole command."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from edgekd.artefacts import advice
from edgekd.artefacts.making import ExportPlan
from edgekd.artefacts.verification import Limits
from edgekd.bundle import Bundle
from edgekd.runtimes import find

BUNDLE = Path(__file__).parents[2] / "models/mri4p-mobilenetv2"


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(BUNDLE, "a bundle")
    return Bundle.open("a bundle")


def plan(bundle, source, tried=(), **limits):
    found = ExportPlan(bundle, *find("tflite-int8"), None, source, None, limits=Limits(**limits))
    return replace(found, instead_of=dict.fromkeys(tried, ("a fall",)))


def drift(fall, *class_falls):
    return {
        "accuracy_change_pp": -fall,
        "recall_change_pp": {name: None if f is None else -f for name, f in zip("abcd", class_falls, strict=False)},
    }


def test_after_the_trained_graph_and_its_control_come_other_training_another_method_a_wider_gate(bundle):
    found = advice.after(plan(bundle, "ptq-minmax", ["qat"]), drift(1.234, 0.0, 4.0, None), "")
    name = bundle.manifest.name
    again = f"python -m edgekd.distill --recipe 'a bundle/manifest.json' --out runs/{name}-2 --qat"
    export = "python -m edgekd.export 'a bundle' --format tflite-int8"
    assert found == [
        f"more quantization-aware epochs: {again} --set qat.training.epochs=9",
        f"a gentler stage, which keeps more answers: {again} --set qat.training.learning_rate=3e-06",
        f"another method: {export} --ptq percentile",
        f"a wider gate, if the loss is acceptable: {export} --max-drop-pp 1.24 --max-class-drop-pp 4",
    ]


def test_after_post_training_quantization_comes_the_trained_graph_of_the_bundle(bundle):
    found = advice.after(plan(bundle, "ptq-mse"), drift(2.0, 0.0), "DIR/m.csv")
    export = "python -m edgekd.export 'a bundle' --format tflite-int8 --data DIR/m.csv"
    assert found[0] == f"the trained graph: {export}"
    assert found[-1].endswith(f"{export} --ptq mse --max-drop-pp 2 --max-class-drop-pp 3")
    assert all("--data DIR/m.csv" in line for line in found)


def test_a_run_goes_on_where_it_ended_and_keeps_its_control(bundle):
    (bundle.folder / "training").mkdir()
    (bundle.folder / advice.TRAINING_STATE).write_text("x")
    assert advice.distill(bundle, "", "--qat").endswith("--out 'a bundle' --resume --qat")
    shutil.copytree(BUNDLE, bundle.folder / "control")
    assert advice.distill(bundle, "").endswith("--out 'a bundle' --resume --control")


def test_a_new_run_gets_a_folder_that_is_not_there(bundle):
    Path(f"runs/{bundle.manifest.name}-2").mkdir(parents=True)
    assert f"--out runs/{bundle.manifest.name}-3" in advice.distill(bundle, "")


def test_within_the_limits_there_is_nothing_to_try(bundle):
    assert advice.after(plan(bundle, "qat"), drift(1.0, 3.0), "") == []
    assert advice.after(plan(bundle, "qat"), drift(1.0, 3.01), "")
    assert advice.after(plan(bundle, "qat", max_drop_pp=0.5), drift(0.6, 0.0), "")


def test_int8_ends_stay(bundle):
    found = advice.after(replace(plan(bundle, "qat"), io="int8"), drift(2.0, 0.0), "")
    assert all("--io int8" in line for line in found if "edgekd.export" in line)


def test_without_a_graph_on_the_grid_there_are_two_ways(bundle):
    text = advice.without_int8(bundle, "onnx-int8", "")
    assert "edgekd.distill" in text
    assert "--qat" in text
    assert text.endswith("python -m edgekd.export 'a bundle' --format onnx-int8 --ptq mse")


def test_a_control_is_not_told_to_become_a_student(bundle):
    path = bundle.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"role": "control"}))
    assert "distill" not in advice.without_int8(Bundle.open(bundle.folder), "onnx-int8", "")
