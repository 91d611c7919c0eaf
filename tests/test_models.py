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
from edgekd.reports.comparison import readme_row

ROOT = Path(__file__).parents[1]
NAMES = ("mri4-mobilenetv2", "mri4-efficientnet-lite0")


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_whole_small_and_what_it_says(name):
    bundle = Bundle.open(ROOT / "models" / name)
    assert sum(r.size_bytes for r in bundle.manifest.files.values()) < 15 * 2**20
    network = from_bundle(bundle)
    assert cost.parameters(network) == bundle.manifest.network.parameters
    assert cost.macs(network, 224) == bundle.manifest.network.macs
    golden = load_file(bundle.file("golden/vectors.safetensors"))
    for index, pixels in enumerate(golden["pixels"]):
        assert np.array_equal(to_pixels(decode(bundle.file(f"golden/{index}.png")), bundle.manifest.input), pixels)
    logits = predict(network, golden["pixels"], np.arange(len(golden["pixels"])), torch.device("cpu"))
    assert logits == pytest.approx(golden["logits"], abs=2e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_quotes_the_measured_figures(name):
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    comparison = json.loads((ROOT / "models" / name / "comparison.json").read_text())
    for role, facts in comparison["networks"].items():
        assert readme_row(role, facts) in readme
    gain = comparison["gain"]
    if gain is None:  # a student without a control
        return
    assert f"{gain['accuracy_change_pp']:+.2f} pp (p = {gain['mcnemar_p']:.3f})" in readme


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
