"""A small network with every kind of node, in float and on the int8 grid, for the tests of the runtimes."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.preprocess import InputContract
from edgekd.quantization import integers
from edgekd.quantization.graph import (
    Add,
    Conv,
    DepthwiseConv,
    FullyConnected,
    Graph,
    Grid,
    Input,
    Mean,
    Weighted,
)
from edgekd.runtimes import FileFacts

SIZE = 16
# For tests whose answer may hang on the value that is zero inside; the others run on the grey between.
each_grey = pytest.mark.parametrize("int8_graph", [0.0, 112.0, 255.0], ids=["black", "grey", "white"], indirect=True)
CLIPPED = {"none": (-np.inf, np.inf), "relu": (0, np.inf), "relu6": (0, 6)}
NODES = (
    Input(name="image", size=SIZE, mean=(120.0, 110.0, 100.0), std=(60.0, 58.0, 57.0)),
    Conv(name="stem", inputs=("image",), stride=(2, 2), padding=(1, 1, 1, 1), activation="relu6"),
    DepthwiseConv(name="depthwise", inputs=("stem",), padding=(1, 0, 1, 2), activation="relu6"),
    Conv(name="narrow", inputs=("depthwise",), padding=(0, 1, 0, 0), stride=(1, 1)),
    Conv(name="wide", inputs=("narrow",), activation="relu"),
    DepthwiseConv(name="dilated", inputs=("wide",), dilation=(2, 2), padding=(2, 2, 2, 2)),
    Conv(name="back", inputs=("dilated",)),
    Add(name="sum", inputs=("back", "narrow")),
    Add(name="twice", inputs=("sum", "narrow"), activation="relu6"),
    Mean(name="pool", inputs=("twice",)),
    FullyConnected(name="head", inputs=("pool",)),
)
WEIGHTS = {  # in the graph's layouts
    "stem": (8, 3, 3, 3),
    "depthwise": (3, 3, 8),
    "narrow": (6, 1, 1, 8),
    "wide": (12, 1, 1, 6),
    "dilated": (3, 3, 12),
    "back": (6, 1, 1, 12),
    "head": (3, 6),
}


def real_run(graph: Graph, pixels: np.ndarray) -> dict[str, np.ndarray]:
    """float64 values [B, ...] of every node of a float graph: the reference by hand."""
    source = graph.input
    values = {source.name: (pixels.astype(np.float64) - source.mean) / source.std}
    for node in graph.nodes[1:]:
        given = [values[name] for name in node.inputs]
        if isinstance(node, Weighted):
            found = integers._sums(graph, node, given[0]) + graph.bias(node)
        else:
            found = given[0] + given[1] if isinstance(node, Add) else given[0].mean((1, 2))
        values[node.name] = np.clip(found, *CLIPPED[getattr(node, "activation", "none")])
    return values


def quantized(graph: Graph, pixels: np.ndarray) -> Graph:
    """A float graph on pixels less one grey as an int8 one, each range from what the node gives for `pixels`."""
    nodes, grids, arrays = [], {}, {}
    for node, values in zip(graph.nodes, real_run(graph, pixels).values(), strict=True):
        low, high = min(values.min(), 0.0), max(values.max(), 0.0)
        if node.name == "twice":
            high = 7.5  # a grid that reaches beyond 6, where ReLU6 has to clip
        scale = float(np.float32((high - low) / 255))
        zero_point = int(np.clip(np.rint(-128 - low / scale), -128, 127))
        grids[node.name] = node.pixel_grid if isinstance(node, Input) else Grid(scale=scale, zero_point=zero_point)
        nodes.append(node.model_copy(update={"grid": grids[node.name]}))
    for node in graph.nodes:
        if isinstance(node, Weighted):
            weight = graph.weight(node)
            axes = (0, 1) if isinstance(node, DepthwiseConv) else tuple(range(1, weight.ndim))
            steps = (np.abs(weight).max(axes) / 127).astype(np.float32)
            spread = steps if isinstance(node, DepthwiseConv) else steps.reshape(-1, *[1] * (weight.ndim - 1))
            bias = graph.bias(node) / (np.float32(grids[node.inputs[0]].scale) * steps)
            arrays[f"{node.name}.weight"] = np.rint(weight / spread).astype(np.int8)
            arrays[f"{node.name}.bias"] = np.rint(bias).astype(np.int32)
            arrays[f"{node.name}.weight_scale"] = steps
    return Graph(tuple(nodes), arrays)


@pytest.fixture(scope="session")
def pixels() -> np.ndarray:
    """[12, SIZE, SIZE, 3] uint8: blocks of colour with noise, and an all-black and an all-white picture."""
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, (12, 4, 4, 3)).repeat(SIZE // 4, 1).repeat(SIZE // 4, 2)
    noisy = np.clip(blocks + rng.normal(0, 12, blocks.shape), 0, 255).astype(np.uint8)
    noisy[0], noisy[1] = 0, 255
    return noisy


@pytest.fixture(scope="session")
def float_graph() -> Graph:
    """The network in float, with normalization."""
    rng = np.random.default_rng(7)
    arrays = {}
    for node in NODES:
        if shape := WEIGHTS.get(node.name):
            depthwise = isinstance(node, DepthwiseConv)
            inputs = shape[0] * shape[1] if depthwise else np.prod(shape[1:])
            weight = rng.normal(0, 1.6 / np.sqrt(inputs), shape)
            arrays[f"{node.name}.weight"] = weight.astype(np.float32)
            bias = rng.normal(0.3, 0.3, shape[-1] if depthwise else shape[0])
            arrays[f"{node.name}.bias"] = bias.astype(np.float32)
    return Graph(NODES, arrays)


@pytest.fixture(scope="session")
def float_logits(float_graph, pixels) -> np.ndarray:
    """[12, 3] float64 by NumPy."""
    return real_run(float_graph, pixels)["head"]


@pytest.fixture(scope="session")
def int8_graph(float_graph, pixels, request) -> Graph:
    """The network on the int8 grid, the normalization folded into its first convolution but for one grey."""
    grey = getattr(request, "param", 112.0)
    source, arrays = float_graph.input, dict(float_graph.arrays)
    weight = float_graph.arrays["stem.weight"] / np.float32(source.std)
    arrays["stem.bias"] = (
        arrays["stem.bias"] - (weight * (np.float32(source.mean) - np.float32(grey))).sum((1, 2, 3))
    ).astype(np.float32)
    arrays["stem.weight"] = weight
    bare = source.model_copy(update={"mean": (grey, grey, grey), "std": (1.0, 1.0, 1.0)})
    return quantized(Graph((bare, *float_graph.nodes[1:]), arrays), pixels)


@pytest.fixture(scope="session")
def facts() -> FileFacts:
    """What an artefact of the small network carries."""
    return FileFacts(
        name="tiny",
        description="a network for tests",
        label_names=("cat", "dog", "größe"),
        input=InputContract(size=SIZE),
        calibration_temperature=1.7,
        licence="Apache-2.0",
        version="1.2.3",
    )
