"""The committed bundles open, replay their golden vectors, and say what the README says of them."""

import json
import runpy
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from edgekd.bundle import Bundle
from edgekd.files import sha256_file
from edgekd.networks import cost, from_bundle
from edgekd.networks.prediction import predict
from edgekd.preprocess import decode, to_pixels

ROOT = Path(__file__).parents[1]
NAMES = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_whole_small_and_what_it_says(name):
    bundle = Bundle.open(ROOT / "models" / name)
    assert sum(r.size_bytes for r in bundle.manifest.files.values()) < 15 * 2**20
    network = from_bundle(bundle)
    assert cost.parameters(network) == bundle.manifest.network.parameters
    assert cost.macs(network, bundle.manifest.input.size) == bundle.manifest.network.macs
    golden = load_file(bundle.file("golden/vectors.safetensors"))
    for index, pixels in enumerate(golden["pixels"]):
        assert np.array_equal(to_pixels(decode(bundle.file(f"golden/{index}.png")), bundle.manifest.input), pixels)
    logits = predict(network, golden["pixels"], np.arange(len(golden["pixels"])), torch.device("cpu"))
    assert logits == pytest.approx(golden["logits"], abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_phone_file_is_made_again_as_cloned(name, tmp_path, capsys):
    from edgekd import export

    folder = tmp_path / name
    shutil.copytree(ROOT / "models" / name, folder)
    record = Bundle.open(folder).manifest.artefacts["tflite-int8"]
    (folder / "artefacts" / "tflite-int8.tflite").unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop("artefacts/tflite-int8.tflite")
    manifest["recipe"]["data"]["path"] = str(tmp_path / "not" / "here.csv")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    assert export.main([str(folder)]) == 0
    assert sha256_file(folder / "artefacts" / "tflite-int8.tflite") == record.files["tflite-int8.tflite"].sha256
    assert Bundle.open(folder).manifest.artefacts["tflite-int8"] == record
    assert "no validation images" in capsys.readouterr().out


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_quotes_the_drift_in_every_runtime(name):
    script = runpy.run_path(str(ROOT / "benchmarks" / "int8_drift.py"))
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    rows = json.loads((ROOT / "benchmarks" / "results" / "int8_drift.json").read_text())[name]
    assert len(rows) == 13
    for row in rows:
        assert script["markdown"](row) in readme
    for row in rows:
        if row["runtime_format"] != "torch":
            assert row["agreement_with_torch"] >= 0.995


def test_a_run_travels_without_what_can_be_made_again(tmp_path):
    from edgekd import export

    ship = runpy.run_path(str(ROOT / "models/ship.py"))["ship"]
    committed, run = ROOT / "models" / NAMES[2], tmp_path / "run"
    shutil.copytree(committed, run)
    assert export.main([str(run), "--format", "onnx"]) == 0
    (run / "teacher").mkdir()
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "of an earlier one").touch()
    shipped = ship(run, tmp_path / "shipped")
    assert "onnx" in shipped.manifest.artefacts
    assert {path.relative_to(committed) for path in committed.rglob("*")} == {
        path.relative_to(shipped.folder) for path in shipped.folder.rglob("*")
    }
