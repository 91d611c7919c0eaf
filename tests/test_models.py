"""The committed bundles open, replay their golden vectors, and say what the README says of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from edgekd.bundle import Bundle
from edgekd.measures.evaluation import Evaluation
from edgekd.networks import cost, from_bundle
from edgekd.preprocess import decode, to_pixels
from edgekd.reports.comparison import readme_row
from edgekd.training.loop import predict

ROOT = Path(__file__).parents[1]
NAMES = ("mri4-mobilenetv2", "mri4-efficientnet-lite0")


@pytest.mark.parametrize("name", NAMES)
def test_the_bundle_is_whole_small_and_what_it_says(name):
    bundle = Bundle.open(ROOT / "models" / name)
    assert sum(r.size_bytes for r in bundle.manifest.files.values()) < 15e6
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
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    comparison = json.loads((ROOT / "models" / name / "comparison.json").read_text())
    for role, facts in comparison["networks"].items():
        assert readme_row(role, facts) in readme
    gain = comparison["gain"]
    assert f"{gain['accuracy_change_pp']:+.2f} pp (p = {gain['mcnemar_p']:.3f})" in readme


@pytest.mark.parametrize("name", NAMES)
def test_the_figures_come_out_again_on_the_real_test_split(name, shared, tmp_path):
    from edgekd import evaluate

    bundle = ROOT / "models" / name
    evaluate.main([str(bundle), "--data", str(shared / "data" / "mri4" / "manifest.csv"), "--out", str(tmp_path)])
    found, stored = Evaluation.load(tmp_path / "evaluation.json"), Evaluation.load(bundle / "evaluation" / "test.json")
    assert found.images == stored.images == 587
    assert abs(found.accuracy - stored.accuracy) <= 2 / 587  # another CPU rounds differently: two images at most
    assert found.ece == pytest.approx(stored.ece, abs=5e-3)
