"""The generic converters on a network that the graph has no operators for, and on one that it has."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgekd.bundle import Bundle
from edgekd.conversion import convert_network, convert_onnx
from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax
from edgekd.runtimes import Facts, find

pytestmark = pytest.mark.crosscheck
REPRESENTATIVE, TESTED = slice(0, 64), slice(64, 128)


@pytest.mark.parametrize("route", ["litert_torch", "onnx2tf"])
def test_a_known_network(route: str, bundle: Bundle, facts: Facts, pixels: np.ndarray, tmp_path: Path) -> None:
    from edgekd.networks import from_bundle

    network = from_bundle(bundle)
    expected = probs(network, facts, pixels[TESTED])
    for scheme, agreement, drift in (("fp32", 1.0, 1e-4), ("static_wi8_ai8", 0.9, 0.05)):
        path = tmp_path / f"{scheme}.tflite"
        converted(route, network, facts, scheme, pixels[REPRESENTATIVE], path)
        found = find("tflite")[1].load(path, 1).probs(pixels[TESTED])
        assert (found.argmax(1) == expected.argmax(1)).mean() >= agreement, scheme
        assert np.abs(found - expected).mean() < drift, scheme
    assert (tmp_path / "static_wi8_ai8.tflite").stat().st_size < 0.35 * (tmp_path / "fp32.tflite").stat().st_size


@pytest.mark.parametrize("route", ["litert_torch", "onnx2tf"])
def test_a_network_with_other_operators(route: str, pixels: np.ndarray, tmp_path: Path) -> None:
    """MobileNetV3: hard swish, squeeze and excite. Untrained, so int8 is only asked to run."""
    import torch

    from edgekd import networks
    from edgekd.preprocess import InputContract
    from edgekd.quantization import lowering
    from edgekd.recipe import Network

    torch.manual_seed(0)
    network = networks.build(Network(network="mobilenetv3_small_100", pretrained=False), 4, 224).eval()
    with pytest.raises(EdgekdError):
        lowering.lower(network)
    contract = InputContract(size=224, mean=network.mean, std=network.std)
    facts = Facts("v3", "A cross-check", ("a", "b", "c", "d"), contract)
    for scheme in ("fp32", "static_wi8_ai8"):
        converted(route, network, facts, scheme, pixels[REPRESENTATIVE], tmp_path / f"{scheme}.tflite")
        found = find("tflite")[1].load(tmp_path / f"{scheme}.tflite", 1).probs(pixels[TESTED])
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        if scheme == "fp32":
            np.testing.assert_allclose(found, probs(network, facts, pixels[TESTED]), rtol=0, atol=1e-4)


def test_a_file_that_is_no_onnx(facts: Facts, pixels: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a network")
    facts = dataclasses.replace(facts, name="broken")
    with pytest.raises(EdgekdError, match="exit code 1"):
        convert_onnx(tmp_path / "x.onnx", facts, "fp32", pixels[:1], tmp_path / "out.tflite")


def converted(route: str, network, facts: Facts, scheme: str, pixels: np.ndarray, path: Path) -> None:
    """Write `path` by one of the routes."""
    import torch

    if route == "litert_torch":
        convert_network(network, facts, scheme, pixels, path)
        return
    source, image = path.with_suffix(".onnx"), torch.zeros(1, 3, network.size, network.size)
    torch.onnx.export(network.body, (image,), str(source), dynamo=False, opset_version=17)
    before = source.read_bytes()
    convert_onnx(source, facts, scheme, pixels, path)
    assert source.read_bytes() == before


def probs(network, facts: Facts, pixels: np.ndarray) -> np.ndarray:
    """Calibrated probabilities [B, K] of the float network."""
    import torch

    with torch.inference_mode():
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()
    return softmax(logits, facts.calibration_temperature)
