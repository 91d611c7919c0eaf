"""Weights folded in NumPy: by hand, to the bit as lowering does it, and what a file with other weights is told."""

import json

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.quantization import folding, reference
from edgekd.quantization.folding import Norm, Source, UnfoldedGraph
from edgekd.quantization.graph import Conv, DepthwiseConv, FullyConnected, Graph, Grid, Input, Mean

NODES = (
    Input(name="pixels", size=5),
    Conv(name="conv", inputs=("pixels",), stride=(2, 1)),
    DepthwiseConv(name="deep", inputs=("conv",), activation="relu"),
    Mean(name="pool", inputs=("deep",)),
    FullyConnected(name="head", inputs=("pool",)),
)
SOURCES = {
    "conv": Source(weight="c.weight", bias="c.bias", norms=(Norm(prefix="n", eps=0.25),)),
    "deep": Source(weight="d.weight", norms=(Norm(prefix="m", eps=0.5, is_affine=False),)),
    "head": Source(weight="h.weight", bias="h.bias"),
}


def tensors(kind=np.float32):
    rng = np.random.default_rng(8)
    shapes = {"c.weight": (4, 3, 2, 3), "c.bias": (4,), "d.weight": (4, 1, 1, 2), "h.weight": (2, 4), "h.bias": (2,)}
    shapes |= {f"n.{part}": (4,) for part in ("running_mean", "weight", "bias")} | {"m.running_mean": (4,)}
    found = {name: rng.normal(size=shape).astype(kind) for name, shape in shapes.items()}
    return found | {"n.running_var": np.full(4, 0.75, kind), "m.running_var": np.full(4, 3.5, kind)}


def graph(**changes):
    return UnfoldedGraph(nodes=changes.get("nodes", NODES), sources=SOURCES | changes.get("sources", {}))


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
def test_layouts_and_norms_by_hand(kind):
    t = tensors(kind)
    found = graph().fold(t)
    # sqrt(0.75 + 0.25) = 1 and sqrt(3.5 + 0.5) = 2.
    gain = t["n.weight"].astype(float)
    for o, i, y, x in np.ndindex(4, 3, 2, 3):
        assert found.arrays["conv.weight"][o, y, x, i] == pytest.approx(t["c.weight"][o, i, y, x] * gain[o], rel=1e-6)
    bias = (t["c.bias"].astype(float) - t["n.running_mean"]) * gain + t["n.bias"]
    assert found.arrays["conv.bias"] == pytest.approx(bias, rel=1e-5, abs=1e-6)
    for c, x in np.ndindex(4, 2):
        assert found.arrays["deep.weight"][0, x, c] == pytest.approx(t["d.weight"][c, 0, 0, x] / 2, rel=1e-6)
    assert found.arrays["deep.bias"] == pytest.approx(-t["m.running_mean"].astype(float) / 2, rel=1e-6)
    assert np.array_equal(found.arrays["head.weight"], t["h.weight"].astype(np.float32))
    assert {array.dtype for array in found.arrays.values()} == {np.dtype(np.float32)}
    assert found.nodes == NODES


def test_norms_are_folded_in_their_order():
    one, two = Norm(prefix="n", eps=0.25), Norm(prefix="m", eps=0.5, is_affine=False)
    t = tensors()
    once = graph().fold(t)
    both = graph(sources={"conv": Source(weight="c.weight", bias="c.bias", norms=(one, two))}).fold(t)
    assert both.arrays["conv.weight"] == pytest.approx(once.arrays["conv.weight"] / 2)
    assert both.arrays["conv.bias"] == pytest.approx((once.arrays["conv.bias"] - t["m.running_mean"]) / 2)


def test_it_comes_back_as_it_was_saved(tmp_path):
    graph().save(tmp_path / "graph.json")
    again = UnfoldedGraph.load(tmp_path / "graph.json")
    assert again == graph()
    assert again.keys == set(tensors())


def changed(name, array):
    return lambda t: {**t, name: array}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: {k: v for k, v in t.items() if k != "n.bias"}, "conv: no tensor 'n.bias'"),
        (changed("n.bias", np.zeros(5, np.float32)), r"'n.bias' has the shape \(5,\), not \(4,\)"),
        (changed("n.running_var", np.full(4, -1, np.float32)), "'n.running_var' is negative"),
        (changed("m.running_mean", np.float32([0, np.nan, 0, 0])), "'m.running_mean' holds NaN"),
        (changed("h.weight", np.zeros((2, 4, 1), np.float32)), r"'h.weight' has the shape \(2, 4, 1\)"),
        (changed("h.weight", np.zeros((0, 4), np.float32)), r"'h.weight' has the shape \(0, 4\)"),
        (changed("h.weight", np.zeros((2, 4), np.int8)), "'h.weight' is of type int8"),
        (changed("h.bias", np.zeros((), np.float32)), r"'h.bias' has the shape \(\), not \(2,\)"),
        (changed("d.weight", np.zeros((4, 2, 1, 2), np.float32)), r"'d.weight' has the shape \(4, 2, 1, 2\)"),
        (changed("n.weight", np.full(4, 3e38, np.float32)), "finite"),
        (changed("c.weight", np.zeros((4, 2, 2, 3), np.float32)), "input"),
    ],
)
def test_a_tensor_that_does_not_fit_is_named(change, expected):
    with pytest.raises(EdgekdError, match=expected):
        graph().fold(change(tensors()), "graph.json")


def test_all_problems_are_listed_at_once():
    with pytest.raises(EdgekdError, match=r"4 problems") as found:
        graph(sources={"pool": Source(weight="x")}).fold({**tensors(), "h.bias": np.zeros(3), "d.weight": np.zeros(3)})
    text = str(found.value)
    for problem in ("pool: a source, but", "no tensor 'x'", "'h.bias'", "'d.weight'"):
        assert problem in text
    with pytest.raises(EdgekdError, match="head: no source"):
        UnfoldedGraph(nodes=NODES, sources={k: v for k, v in SOURCES.items() if k != "head"}).fold(tensors())


def test_many_nodes_of_one_large_tensor_fill_no_memory(monkeypatch):
    monkeypatch.setattr(folding, "MAX_WEIGHTS", 4 * 18 + 4 * 2 + 8)
    assert graph().fold(tensors())
    monkeypatch.setattr(folding, "MAX_WEIGHTS", 4 * 18 + 4 * 2 + 7)
    with pytest.raises(EdgekdError, match="at most 87 weights"):
        graph().fold(tensors())


@pytest.mark.parametrize("kind", ["conv", "depthwise"])
def test_the_normalization_goes_into_whatever_convolution_reads_the_pixels(kind):
    rng = np.random.default_rng(4)
    first = (
        Conv(name="first", inputs=("pixels",)) if kind == "conv" else DepthwiseConv(name="first", inputs=("pixels",))
    )
    shape = (3, 2, 2, 3) if kind == "conv" else (2, 2, 3)
    source = Input(name="pixels", size=5, mean=(100.0, 110.0, 120.0), std=(50.0, 60.0, 70.0))
    nodes = (source, first, Mean(name="pool", inputs=("first",)))
    arrays = {"first.weight": rng.normal(size=shape), "first.bias": rng.normal(size=3)}
    before = Graph(nodes, {name: array.astype(np.float32) for name, array in arrays.items()})
    after, pixels = folding.fold_normalization(before), rng.integers(0, 256, (4, 5, 5, 3), dtype=np.uint8)
    assert after.input.std == (1, 1, 1)
    np.testing.assert_allclose(reference.logits(after, pixels), reference.logits(before, pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("mean", "grey"), [((100.0, 110.0, 120.0), 110), ((0.4, 0.0, 0.0), 0), ((255.0,) * 3, 255), ((-3.0, 0.0, 0.0), 0)]
)
def test_padding_is_a_pixel_of_the_grey_next_to_the_mean(mean, grey):
    rng = np.random.default_rng(5)
    nodes = (
        Input(name="pixels", size=5, mean=mean, std=(50.0, 60.0, 70.0)),
        Conv(name="first", inputs=("pixels",), padding=(1, 1, 1, 1)),
        Mean(name="pool", inputs=("first",)),
    )
    arrays = {"first.weight": rng.normal(size=(3, 2, 2, 3)), "first.bias": rng.normal(size=3)}
    before = Graph(nodes, {name: array.astype(np.float32) for name, array in arrays.items()})
    after, pixels = folding.fold_normalization(before), rng.integers(0, 256, (2, 5, 5, 3), dtype=np.uint8)
    assert after.input.mean == (grey, grey, grey)
    bordered = np.pad(pixels, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=grey)
    wide = Graph(
        (nodes[0].model_copy(update={"size": 7}), nodes[1].model_copy(update={"padding": (0,) * 4}), nodes[2]),
        before.arrays,
    )
    np.testing.assert_allclose(reference.logits(after, pixels), reference.logits(wide, bordered), atol=1e-4)


def test_a_graph_on_the_grid_is_no_float_graph():
    grid = Grid(scale=1.0, zero_point=0)
    with pytest.raises(EdgekdError, match="int8"):
        graph(nodes=tuple(node.model_copy(update={"grid": grid}) for node in NODES)).fold(tensors())


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.update(schema="edgekd.float_graph/2"),
        lambda v: v.update(more=1),
        lambda v: v.pop("sources"),
        lambda v: v.update(sources=[]),
        lambda v: v["nodes"][1].update(kind="pool"),
        lambda v: v["nodes"][1].update(name="../x"),
        lambda v: v["sources"]["conv"].update(weight=""),
        lambda v: v["sources"]["conv"].update(weight="k" * 501),
        lambda v: v["sources"]["conv"]["norms"][0].update(eps=-1.0),
        lambda v: v["sources"]["conv"]["norms"][0].update(eps=float("nan")),
        lambda v: v["sources"]["conv"].update(norms=[{"prefix": "n", "eps": 1.0}] * 9),
    ],
)
def test_a_file_with_another_structure_is_refused(change, tmp_path):
    path = tmp_path / "graph.json"
    graph().save(path)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(EdgekdError, match=r"graph\.json"):
        UnfoldedGraph.load(path)


def test_damaged_files_are_one_error(tmp_path):
    path = tmp_path / "graph.json"
    graph().save(path)
    content = path.read_bytes()
    for damaged in (b"", content[:-9], b"\xff" * 100, b"[" * 100_000, b"1", b" " * (folding.MAX_BYTES + 1)):
        path.write_bytes(damaged)
        with pytest.raises(EdgekdError, match=r"graph\.json"):
            UnfoldedGraph.load(path)
    with pytest.raises(EdgekdError, match="missing"):
        UnfoldedGraph.load(tmp_path / "missing")
