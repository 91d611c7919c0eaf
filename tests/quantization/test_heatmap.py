"""The heat map as a node of the graph: its identity with the logits, its grid, and which graphs have one."""

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.quantization import heatmap, integers, reference
from edgekd.quantization.graph import PIXELS, Add, Conv, FullyConnected, Graph, Grid, Input, Mean

SIZE, CHANNELS, CLASSES = 6, 4, 3
LAST, POOL, HEAD = (
    Grid(scale=0.03125, zero_point=z) for z in (-128, -120, 5)
)  # 1/32: real values are exact in float32


def build(is_quantized, activation="relu6", head_activation="none"):
    rng = np.random.default_rng(11)
    grids = (PIXELS, LAST, POOL, HEAD) if is_quantized else (None,) * 4
    nodes = (
        Input(name="image", size=SIZE, grid=grids[0]),
        Conv(name="last", inputs=("image",), stride=(2, 2), activation=activation, grid=grids[1]),
        Mean(name="pool", inputs=("last",), grid=grids[2]),
        FullyConnected(name="head", inputs=("pool",), activation=head_activation, grid=grids[3]),
    )
    arrays = {}
    for name, shape in {"last": (CHANNELS, 1, 1, 3), "head": (CLASSES, CHANNELS)}.items():
        if is_quantized:
            arrays[f"{name}.weight"] = rng.integers(-127, 128, shape).astype(np.int8)
            arrays[f"{name}.bias"] = rng.integers(-900, 900, shape[0]).astype(np.int32)
            arrays[f"{name}.weight_scale"] = rng.uniform(1e-4, 4e-4, shape[0]).astype(np.float32)
        else:
            arrays[f"{name}.weight"] = rng.normal(0, 0.02, shape).astype(np.float32)
            arrays[f"{name}.bias"] = rng.normal(0, 0.5, shape[0]).astype(np.float32)
    return Graph(nodes, arrays)


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(2).integers(0, 256, (5, SIZE, SIZE, 3)).astype(np.uint8)


def test_the_mean_of_the_map_and_the_bias_are_the_logits(pixels):
    graph = build(is_quantized=False)
    mapped = heatmap.with_heatmap(graph)
    values = reference.run(mapped, pixels)
    assert heatmap.shape_of(mapped) == values[heatmap.NODE].shape[1:] == (3, 3, CLASSES)
    logits = values[heatmap.NODE].mean((1, 2)) + heatmap.bias_of(mapped)
    assert np.ptp(logits) > 0.1
    assert np.abs(logits - values["head"]).max() < 1e-6
    by_hand = sum(graph.weight(graph.output)[1, c] * values["last"][4, 2, 0, c] for c in range(CHANNELS))
    assert values[heatmap.NODE][4, 2, 0, 1] == pytest.approx(by_hand, abs=1e-6)


@pytest.mark.parametrize("is_quantized", [False, True])
def test_the_logits_are_untouched(is_quantized, pixels):
    graph = build(is_quantized)
    run = integers.run if is_quantized else reference.run
    found = run(heatmap.with_heatmap(graph), pixels)
    for name, values in run(graph, pixels).items():
        assert np.array_equal(values, found[name])


def test_codes_are_whole_sums_rounded_once(pixels):
    mapped = heatmap.with_heatmap(build(is_quantized=True))
    codes, grid = integers.run(mapped, pixels), mapped.grid(heatmap.NODE)
    head = mapped.output
    for b, y, x, k in ((0, 0, 0, 0), (3, 1, 2, 1), (4, 2, 2, 2)):
        total = sum(
            (int(code) - LAST.zero_point) * int(weight)
            for code, weight in zip(codes["last"][b, y, x], mapped.weight(head)[k], strict=True)
        )
        real = total * LAST.scale * float(mapped.weight_scale(head)[k])
        assert codes[heatmap.NODE][b, y, x, k] == round(real / grid.scale) + grid.zero_point
    assert len(np.unique(codes[heatmap.NODE])) > 20


@pytest.mark.parametrize(("activation", "high"), [("relu6", 6.0), ("none", 255 / 32)])
def test_bounds_are_reached_and_never_left(activation, high):
    graph = build(is_quantized=True, activation=activation)
    weight = graph.weight(graph.output) * graph.weight_scale(graph.output)[:, None].astype(np.float64)
    most = max(high * sum(w for w in row if w > 0) for row in weight)
    least = min(high * sum(w for w in row if w < 0) for row in weight)
    grid = heatmap.bounds(graph)
    assert grid.scale == pytest.approx((most - least) / 255, rel=1e-6)
    assert grid.real(np.array([-128, 127])) == pytest.approx([least, most], abs=grid.scale)


def test_an_observed_grid_spans_what_the_images_give(pixels):
    graph = build(is_quantized=True)
    values = reference.run(graph, pixels)["last"].astype(np.float64)
    maps = values @ (graph.weight(graph.output) * graph.weight_scale(graph.output)[:, None].astype(np.float64)).T
    grid = heatmap.observed(graph, pixels)
    assert grid.scale == pytest.approx((max(maps.max(), 0) - min(maps.min(), 0)) / 255, rel=1e-5)
    assert grid.scale < heatmap.bounds(graph).scale
    assert heatmap.with_heatmap(graph, grid).grid(heatmap.NODE) == grid


def test_a_map_that_is_zero_everywhere_has_a_grid():
    assert heatmap.grid_over(0.0, 0.0).real(np.array([heatmap.grid_over(0.0, 0.0).zero_point])) == 0
    assert heatmap.grid_over(1.0, 2.0).zero_point == -128  # 0 always lies in it


def test_only_an_end_of_mean_and_linear_layer_has_a_map():
    ends = build(is_quantized=False)
    conv = Conv(name="wide", inputs=("last",))
    weights = {"wide.weight": np.ones((3, 1, 1, CHANNELS), np.float32), "wide.bias": np.zeros(3, np.float32)}
    arrays = {name: array for name, array in ends.arrays.items() if not name.startswith("head")}
    pooled = Graph((*ends.nodes[:2], conv, Mean(name="pool", inputs=("wide",))), arrays | weights)
    for graph in (pooled, build(is_quantized=False, head_activation="relu")):
        assert not heatmap.is_possible(graph)
        with pytest.raises(EdgekdError, match="mean and fully connected layer"):
            heatmap.with_heatmap(graph)
    assert heatmap.is_possible(ends)


def test_a_layer_of_that_name_is_no_map():
    ends = build(is_quantized=False)
    renamed = tuple(
        node.model_copy(update={"name": heatmap.NODE if node.name == "last" else node.name})
        if "last" not in node.inputs
        else node.model_copy(update={"inputs": (heatmap.NODE,)})
        for node in ends.nodes
    )
    arrays = {name.replace("last.", f"{heatmap.NODE}."): array for name, array in ends.arrays.items()}
    graph = Graph(renamed, arrays)
    assert heatmap.node_of(graph) is None
    assert heatmap.shape_of(graph) is None
    assert not heatmap.is_possible(graph)
    with pytest.raises(EdgekdError, match="a name that no layer"):
        heatmap.with_heatmap(graph)


def test_a_graph_with_a_map_is_saved_and_read(tmp_path):
    mapped = heatmap.with_heatmap(build(is_quantized=True))
    mapped.save(tmp_path / "graph.safetensors")
    assert heatmap.node_of(Graph.load(tmp_path / "graph.safetensors")) == heatmap.node_of(mapped)


def test_additions_can_be_the_last_map(pixels):
    ends = build(is_quantized=True)
    twice = Add(name="twice", inputs=("last", "last"), activation="relu6", grid=Grid(scale=0.04, zero_point=-100))
    graph = Graph(
        (*ends.nodes[:2], twice, ends.nodes[2].model_copy(update={"inputs": ("twice",)}), ends.nodes[3]), ends.arrays
    )
    mapped = heatmap.with_heatmap(graph)
    codes = integers.run(mapped, pixels)[heatmap.NODE]
    assert codes.shape == (5, 3, 3, CLASSES)
    weight = graph.weight(graph.output) * graph.weight_scale(graph.output)[:, None].astype(np.float64)
    span = 6.0 * (np.maximum(weight, 0).sum(1).max() - np.minimum(weight, 0).sum(1).min())
    assert mapped.grid(heatmap.NODE).scale == pytest.approx(span / 255, rel=1e-6)
