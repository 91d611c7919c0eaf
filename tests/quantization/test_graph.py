"""The graph: shapes, saving, and what it refuses."""

import json

import numpy as np
import pytest
import safetensors.numpy

from edgekd.errors import EdgekdError
from edgekd.quantization.graph import PIXELS, Conv, FullyConnected, Graph, Grid, Input, Mean, macs


def arrays():
    rng = np.random.default_rng(0)
    return {
        "stem.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "stem.bias": np.zeros(4, np.float32),
        "head.weight": rng.normal(size=(2, 4)).astype(np.float32),
        "head.bias": np.zeros(2, np.float32),
    }


def nodes(grid=None):
    return (
        Input(name="image", size=7, grid=PIXELS if grid else None),
        Conv(name="stem", inputs=("image",), stride=(2, 2), padding=(0, 1, 1, 0), grid=grid),
        Mean(name="pool", inputs=("stem",), grid=grid),
        FullyConnected(name="head", inputs=("pool",), grid=grid),
    )


def test_shapes_and_cost_by_hand():
    graph = Graph(nodes(), arrays())
    # (7 + 0 + 1 - 3) // 2 + 1 = 3 both ways; 3 * 3 places of 4 * 27 products, then 2 * 4.
    assert graph.shapes == {"image": (7, 7, 3), "stem": (3, 3, 4), "pool": (4,), "head": (2,)}
    assert macs(graph) == 9 * 108 + 8


def test_a_graph_comes_back_as_it_was_saved(tmp_path):
    graph = Graph(nodes(), arrays())
    graph.save(tmp_path / "graph.safetensors")
    again = Graph.load(tmp_path / "graph.safetensors")
    assert again.nodes == graph.nodes
    assert all(np.array_equal(again.arrays[n], a) and again.arrays[n].dtype == a.dtype for n, a in graph.arrays.items())


def test_grid_rounds_half_to_even_and_clamps():
    grid = Grid(scale=0.5, zero_point=3)
    assert grid.codes(np.array([0.25, 0.75, -0.25, 1000, -1000])).tolist() == [3, 5, 3, 127, -128]
    assert grid.real(np.int8([3, 5, -128])).tolist() == [0.0, 1.0, -65.5]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda n, a: (n, {**a, "head.weight": a["head.weight"].astype(np.float64)}), "type float32"),
        (lambda n, a: (n, {k: v for k, v in a.items() if k != "stem.bias"}), "bias of type float32"),
        (lambda n, a: (n, {**a, "stem.bias": np.full(4, np.nan, np.float32)}), "finite bias"),
        (lambda n, a: (n, {**a, "stem.bias": np.zeros(5, np.float32)}), r"bias \[4\]"),
        (lambda n, a: (n, {**a, "more.weight": np.zeros(1, np.float32)}), "arrays of its nodes"),
        (lambda n, a: ((n[0], n[2], n[1], n[3]), a), "computed before"),
        (lambda n, a: ((n[0], n[0], *n[1:]), a), "one name per node"),
        (lambda n, a: (n[:2], {k: v for k, v in a.items() if "stem" in k}), "logits"),
        (lambda n, a: ((n[0].model_copy(update={"grid": PIXELS}), *n[1:]), a), "a grid on all nodes"),
        (lambda n, a: ((n[0].model_copy(update={"size": 1}), *n[1:]), a), "at least 3 px"),
        (lambda n, a: (n[1:], a), "one input, as the first node"),
        (lambda n, a: ((), {}), "one input, as the first node"),
    ],
)
def test_what_does_not_fit_is_named(change, expected):
    with pytest.raises(EdgekdError, match=expected):
        Graph(*change(nodes(), arrays()))


def test_a_quantized_graph_needs_integers():
    with pytest.raises(EdgekdError, match="int8"):
        Graph(nodes(Grid(scale=0.1, zero_point=0)), arrays())


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v["nodes"][1].update(kind="pool"),
        lambda v: v["nodes"][1].update(extra=1),
        lambda v: v["nodes"][1].update(stride=[0, 1]),
        lambda v: v["nodes"][0].update(name="../x"),
        lambda v: v["nodes"][0].update(size=10**9),
        lambda v: v.update(schema="edgekd.graph/2"),
        lambda v: v.pop("nodes"),
    ],
)
def test_a_file_with_other_structure_is_refused(change, tmp_path):
    path = tmp_path / "graph.safetensors"
    Graph(nodes(), arrays()).save(path)
    with safetensors.safe_open(path, framework="numpy") as file:
        values = json.loads(file.metadata()["graph"])
    change(values)
    path.write_bytes(safetensors.numpy.save(arrays(), {"graph": json.dumps(values)}))
    with pytest.raises(EdgekdError, match=r"graph\.safetensors"):
        Graph.load(path)


def test_damaged_files_are_one_error(tmp_path):
    path = tmp_path / "graph.safetensors"
    Graph(nodes(), arrays()).save(path)
    content = path.read_bytes()
    for damaged in (b"", content[:9], content[:-1], b"\xff" * 100, content[:8] + b"[" * 5000):
        path.write_bytes(damaged)
        with pytest.raises(EdgekdError, match=r"edgekd\.graph/1"):
            Graph.load(path)
    with pytest.raises(EdgekdError):
        Graph.load(tmp_path / "missing")
