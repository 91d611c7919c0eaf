"""A converter's body with our ends around it is an artefact like those of our own writer."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ai_edge_litert")

from edgekd.conversion import convert_network, convert_onnx
from edgekd.conversion.wrapping import wrap
from edgekd.errors import EdgekdError
from edgekd.preprocess import InputContract
from edgekd.quantization.graph import PIXELS, Conv, FullyConnected, Graph, Grid, Input, Mean
from edgekd.runtimes import FileFacts, find
from edgekd.runtimes.tflite_metadata import LABEL_FILE

SIZE = 16
BARE = InputContract(size=SIZE, mean=(0.0, 0.0, 0.0), std=(1 / 255, 1 / 255, 1 / 255))  # normalization does nothing
FACTS = FileFacts("tiny", "A test", ("a", "b", "c"), BARE, calibration_temperature=0.7)


@pytest.fixture(scope="module")
def graph() -> Graph:
    """conv 3x3, mean, fully connected on the int8 grid."""
    random = np.random.default_rng(0)
    nodes = (
        Input(name="image", size=SIZE, grid=PIXELS),
        Conv(
            name="conv",
            inputs=("image",),
            padding=(1, 1, 1, 1),
            activation="relu",
            grid=Grid(scale=3.0, zero_point=-128),
        ),
        Mean(name="mean", inputs=("conv",), grid=Grid(scale=1.5, zero_point=-128)),
        FullyConnected(name="head", inputs=("mean",), grid=Grid(scale=0.05, zero_point=3)),
    )
    arrays = {
        "conv.weight": random.integers(-127, 128, (4, 3, 3, 3)).astype(np.int8),
        "conv.bias": random.integers(-9999, 9999, 4).astype(np.int32),
        "conv.weight_scale": np.full(4, 0.004, np.float32),
        "head.weight": random.integers(-127, 128, (3, 4)).astype(np.int8),
        "head.bias": random.integers(-99, 99, 3).astype(np.int32),
        "head.weight_scale": np.full(3, 0.00008, np.float32),
    }
    return Graph(nodes, arrays)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    """Noise, from dark to bright and of another colour in every image."""
    random = np.random.default_rng(1)
    return (random.random((20, SIZE, SIZE, 3)) * random.integers(0, 256, (20, 1, 1, 3))).astype(np.uint8)


@pytest.fixture
def body(graph: Graph, tmp_path: Path) -> bytes:
    """int8 in, int8 logits out."""
    return written(graph, dataclasses.replace(FACTS, io="int8"), tmp_path / "body.tflite").read_bytes()


def written(graph: Graph, facts: FileFacts, path: Path) -> Path:
    format, module = find("tflite-int8")
    module.write(graph, format, facts, path)
    return path


def test_the_ends_compute_what_our_writer_computes(
    body: bytes, graph: Graph, pixels: np.ndarray, tmp_path: Path
) -> None:
    wrapped = tmp_path / "wrapped.tflite"
    wrapped.write_bytes(wrap(body, FACTS))
    load = find("tflite-int8")[1].load
    expected = load(written(graph, FACTS, tmp_path / "ours.tflite"), 1).probs(pixels)
    found = load(wrapped, 1).probs(pixels)
    assert expected.std(axis=0).min() > 0.01  # the answers do vary
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_normalization_and_temperature_are_inside(body: bytes, pixels: np.ndarray, tmp_path: Path) -> None:
    """(x / 255 - mean) / std with mean 10/255 and std 1/255 is x - 10: the body sees darker pixels."""
    contract = InputContract(size=SIZE, mean=(10 / 255,) * 3, std=(1 / 255,) * 3)
    load = find("tflite-int8")[1].load
    (tmp_path / "a.tflite").write_bytes(wrap(body, dataclasses.replace(FACTS, input=contract)))
    (tmp_path / "b.tflite").write_bytes(wrap(body, FACTS))
    bright = np.maximum(pixels, 10)
    found, expected = load(tmp_path / "a.tflite", 1).probs(bright), load(tmp_path / "b.tflite", 1).probs(bright - 10)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


def test_labels_and_facts_travel_with_it(body: bytes, tmp_path: Path) -> None:
    content = wrap(body, FACTS)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.read(LABEL_FILE).decode() == "a\nb\nc\n"
    (tmp_path / "w.tflite").write_bytes(content)
    assert find("tflite-int8")[1].load(tmp_path / "w.tflite", 1).ends.facts == FACTS


def test_a_body_of_another_shape_is_refused(body: bytes) -> None:
    with pytest.raises(EdgekdError, match=r"output\n.*shape \[1, 2\]"):
        wrap(body, dataclasses.replace(FACTS, label_names=("a", "b")))
    with pytest.raises(EdgekdError, match="input"):
        wrap(body, dataclasses.replace(FACTS, input=InputContract(size=32)))


def test_what_converters_do_not_offer_is_refused(pixels: np.ndarray, tmp_path: Path) -> None:
    source = tmp_path / "x.onnx"
    source.write_bytes(b"")
    with pytest.raises(EdgekdError, match="a scheme of fp32, static_wi8_ai8"):
        convert_onnx(source, FACTS, "fp16", pixels, tmp_path / "out.tflite")
    with pytest.raises(EdgekdError, match="io = 'uint8'"):
        convert_onnx(source, dataclasses.replace(FACTS, io="int8"), "fp32", pixels, tmp_path / "out.tflite")
    with pytest.raises(EdgekdError, match="at least one image"):
        convert_onnx(source, FACTS, "static_wi8_ai8", pixels[:0], tmp_path / "out.tflite")
    with pytest.raises(EdgekdError, match="an ONNX file"):
        convert_onnx(tmp_path / "none.onnx", FACTS, "fp32", pixels, tmp_path / "out.tflite")
    assert not (tmp_path / "out.tflite").exists()


def test_a_network_is_handed_over_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pixels: np.ndarray) -> None:
    """The worker gets a program that computes the network's logits from normalized NHWC images, and the whole range."""
    torch = pytest.importorskip("torch")
    from edgekd import conversion
    from edgekd.networks import PixelNetwork

    seen = {}

    def worker(name: str, request: dict, folder: Path, python: str | None) -> None:
        seen["program"], seen["pixels"] = (
            torch.export.load(folder / request["source"]),
            np.load(folder / request["pixels"]),
        )
        seen["request"] = request
        raise EdgekdError("enough")

    monkeypatch.setattr(conversion, "run_worker", worker)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 3, SIZE), torch.nn.Flatten()).eval()
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.3, 0.4)
    pixel_network = PixelNetwork(network, SIZE, mean, std).eval()
    facts = dataclasses.replace(FACTS, input=InputContract(size=SIZE, mean=mean, std=std))
    with pytest.raises(EdgekdError, match="enough"):
        convert_network(pixel_network, facts, "static_wi8_ai8", pixels, tmp_path / "out.tflite")
    image = ((pixels[:1] / 255 - mean) / std).astype(np.float32)
    views = torch.from_numpy(pixels[:1]).permute(0, 3, 1, 2).float()
    with torch.no_grad():
        found, expected = seen["program"].module()(torch.from_numpy(image)), pixel_network(views)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert seen["pixels"].min() == 0
    assert (seen["pixels"][:, 0, 1] == 255).all()
    assert (seen["pixels"][:, 1:] == pixels[:, 1:]).all()
    assert seen["request"]["size"] == SIZE
