"""What the cross-checks share: networks on the int8 grid, pictures, and scripts run by another Python."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekd.bundle import Bundle
from edgekd.quantization.graph import Graph, Grid, Weighted
from edgekd.runtimes import FileFacts

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
LIMIT_S = 900
IMAGES, REPRESENTATIVE = 500, 64
Run = Callable[..., str]


@pytest.fixture(scope="session")
def run() -> Run:
    """run(script, *arguments, python=...): its output; the script may import edgekd from the working tree."""

    def start(script: str, *arguments: object, python: str = os.environ.get("EDGEKD_CONVERT_PYTHON", sys.executable)):
        command = [python, str(HERE / script), *map(str, arguments)]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return start


@pytest.fixture(scope="session", params=["mobilenetv2", "efficientnet-lite0"])
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle.open(ROOT / "models" / f"mri4p-{request.param}")


@pytest.fixture(scope="session")
def facts(bundle: Bundle) -> FileFacts:
    manifest = bundle.manifest
    temperature = manifest.calibration_temperature["torch"]
    return FileFacts(manifest.name, "A cross-check", tuple(manifest.label_names), manifest.input, temperature)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """[500, 224, 224, 3] uint8: phantoms, the last 20 of them noise."""
    from edgekd.data.phantom import phantom

    grey = np.stack([phantom(0, index, 224).image for index in range(IMAGES - 20)])
    noise = np.random.default_rng(0).integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)
    return np.concatenate([np.repeat(grey[..., None], 3, axis=3), noise])


@pytest.fixture(scope="session")
def float_graph(bundle: Bundle) -> Graph:
    from edgekd.networks import from_bundle
    from edgekd.quantization import lowering

    return lowering.lower(from_bundle(bundle))


@pytest.fixture(scope="session")
def int8_graph(float_graph: Graph, pixels: np.ndarray) -> Graph:
    return quantized(float_graph, pixels[:REPRESENTATIVE])


@pytest.fixture(scope="session")
def on_the_grid() -> Callable[[Graph, np.ndarray], Graph]:
    """on_the_grid(float_graph, pixels): the graph on the int8 grid, with ranges from these pixels."""
    return quantized


@pytest.fixture(scope="session")
def int8_logits() -> Callable[[Path, np.ndarray, Grid], np.ndarray]:
    """int8_logits(path, pixels, grid): int8 logits [N, K] of a file with int8 codes in and out, on the graph's grids."""
    return logits


def quantized(float_graph: Graph, pixels: np.ndarray) -> Graph:
    import torch

    from edgekd.quantization import fake, folding, ranges

    network = fake.FakeQuantNetwork(folding.fold_normalization(float_graph)).eval()
    views = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float()
    network.set_ranges(ranges.post_training(network, lambda: views.split(16))["mse"])
    return living(network.graph())


def logits(path: Path, pixels: np.ndarray, grid: Grid) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == found["dtype"] == np.int8
    assert given["quantization"][0] == 1.0  # codes of pixels, whichever grey is zero
    assert found["quantization"] == (grid.scale, grid.zero_point)
    result = []
    for image in pixels:
        interpreter.set_tensor(given["index"], (image[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        result.append(interpreter.get_tensor(found["index"])[0])
    return np.stack(result)


def living(graph: Graph) -> Graph:
    """The graph with one code of 127 in every channel whose largest code is smaller: channels of zeros, or next to it.

    Their scale is ours to choose, as no smaller one is given; converters find scales by max|w| / 127 and would choose
    another (ai-edge-quantizer 0.10.0 one so small that the bias overflows). At these scales, about 1e-8, the code changes
    nothing that can be seen.
    """
    arrays = dict(graph.arrays)
    for node in graph.nodes:
        if isinstance(node, Weighted):
            weight = graph.weight(node).copy()
            channels = weight.reshape(-1, weight.shape[-1]).T if node.kind == "depthwise_conv" else weight
            channels = channels.reshape(len(channels), -1)
            dead = np.abs(channels.astype(int)).max(1) < 127
            assert (graph.weight_scale(node)[dead] < 1e-6).all()
            first = weight[0, 0] if node.kind == "depthwise_conv" else weight.reshape(len(weight), -1)[:, 0]
            first[dead] = 127  # a view of `weight`
            arrays[f"{node.name}.weight"] = weight
    return replace(graph, arrays=arrays)
