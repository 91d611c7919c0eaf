"""The generic converters on a network that the graph has no operators for, and on one that it has."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.bundle import Bundle
from edgekd.conversion import convert_network, convert_onnx
from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax
from edgekd.preprocess import InputContract
from edgekd.runtimes import FileFacts, find

pytestmark = [
    pytest.mark.crosscheck,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # torch on its older ONNX exporter
]
ROOT = Path(__file__).parents[2]
REPRESENTATIVE, TESTED = slice(0, 64), slice(64, 128)


@pytest.mark.parametrize("route", ["litert_torch", "onnx2tf"])
def test_int8_of_a_known_network(route: str, pixels: np.ndarray, tmp_path: Path) -> None:
    from edgekd.networks import from_bundle

    bundle = Bundle.open(ROOT / "models" / "mri4p-mobilenetv2")
    manifest, network = bundle.manifest, from_bundle(bundle)
    facts = FileFacts(manifest.name, "A cross-check", tuple(manifest.label_names), manifest.input, 0.8)
    converted(route, network, facts, "static_wi8_ai8", pixels[REPRESENTATIVE], tmp_path / "int8.tflite")
    found = find("tflite")[1].load(tmp_path / "int8.tflite", 1).probs(pixels[TESTED])
    expected = probs(network, facts, pixels[TESTED])
    # Phantoms are not what this network knows: our own post-training quantization from the same images says what may change.
    kept, ours = ((made.argmax(1) == expected.argmax(1)).mean() for made in (found, by_ranges(bundle, pixels)))
    assert kept >= min(0.9, ours - 0.05), (kept, ours)
    assert np.abs(found - expected).mean() < 0.08
    assert (tmp_path / "int8.tflite").stat().st_size < 1.5 * manifest.network.parameters


def by_ranges(bundle: Bundle, pixels: np.ndarray) -> np.ndarray:
    """Logits [N, K] of our own post-training quantization, by minimum and maximum of the same images."""
    import torch

    from edgekd.artefacts.graphs import float_graph
    from edgekd.quantization import ranges
    from edgekd.quantization.fake import FakeQuantNetwork
    from edgekd.quantization.folding import fold_normalization

    network = FakeQuantNetwork(fold_normalization(float_graph(bundle))).eval()
    views = [torch.tensor(part).permute(0, 3, 1, 2).float() for part in (pixels[REPRESENTATIVE], pixels[TESTED])]
    network.set_ranges(ranges.post_training(network, lambda: [views[0]])["minmax"])
    with torch.no_grad():
        return network(views[1]).numpy()


@pytest.mark.parametrize("route", ["litert_torch", "onnx2tf"])
def test_a_network_with_other_operators(route: str, pixels: np.ndarray, tmp_path: Path) -> None:
    """MobileNetV3: hard swish, squeeze and excite. Untrained, so int8 is only asked to run."""
    import torch

    from edgekd import networks
    from edgekd.quantization import lowering
    from edgekd.recipe import Network

    torch.manual_seed(0)
    network = networks.build(Network(network="mobilenetv3_small_100", pretrained=False), 4, 224).eval()
    with pytest.raises(EdgekdError):
        lowering.lower(network)
    contract = InputContract(size=224, mean=network.mean, std=network.std)
    facts = FileFacts("v3", "A cross-check", ("a", "b", "c", "d"), contract)
    for scheme in ("fp32", "static_wi8_ai8"):
        converted(route, network, facts, scheme, pixels[REPRESENTATIVE], tmp_path / f"{scheme}.tflite")
        found = find("tflite")[1].load(tmp_path / f"{scheme}.tflite", 1).probs(pixels[TESTED])
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
        if scheme == "fp32":
            np.testing.assert_allclose(found, probs(network, facts, pixels[TESTED]), rtol=0, atol=1e-4)


def test_a_file_that_is_no_onnx(pixels: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "x.onnx").write_bytes(b"not a network")
    facts = FileFacts("broken", "A cross-check", ("a", "b"), InputContract(size=224))
    with pytest.raises(EdgekdError, match="exit code 1"):
        convert_onnx(tmp_path / "x.onnx", facts, "fp32", pixels[:1], tmp_path / "out.tflite")


def converted(route: str, network, facts: FileFacts, scheme: str, pixels: np.ndarray, path: Path) -> None:
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


def probs(network, facts: FileFacts, pixels: np.ndarray) -> np.ndarray:
    """Calibrated probabilities [B, K] of the float network."""
    import torch

    with torch.inference_mode():
        logits = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float()).numpy()
    return softmax(logits, facts.calibration_temperature)
