"""Files with their own heat map, in every runtime: the first output untouched, the map the graph's, the lint awake."""

import json
from dataclasses import replace

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.quantization import heatmap, integers
from edgekd.quantization.graph import Graph
from edgekd.runtimes import find, formats, tflite, tflite_model
from edgekd.runtimes.isolated import Isolated
from edgekd.runtimes.sessions import KEY, heatmap_of

from .conftest import each_grey, real_run

NAMES = ("tflite", "tflite-int8", "onnx", "onnx-int8", "openvino", "openvino-int8")
onnx = pytest.importorskip("onnx")


@pytest.fixture
def written(float_graph, int8_graph, facts, tmp_path):
    """A function: a file with a map, and the one without beside it."""

    def write(name):
        format, module = find(name)
        graph = int8_graph if format.is_int8 else float_graph
        mapped = heatmap.with_heatmap(graph)
        paths = [tmp_path / f"{stem}{format.suffixes[0]}" for stem in ("mapped", "bare")]
        for one, path in zip((mapped, graph), paths, strict=True):
            module.write(one, format, facts, path)
        return mapped, graph, format, module, *paths

    return write


@pytest.mark.parametrize("name", NAMES)
def test_the_first_output_is_that_of_the_file_without_to_the_bit(name, written, pixels):
    *_, module, path, bare = written(name)
    found = module.load(path, 1).probs(pixels)
    assert found.tobytes() == module.load(bare, 1).probs(pixels).tobytes()
    assert len(np.unique(found)) > 20


@pytest.mark.parametrize(("name", "limit"), [("tflite", 1e-5), ("onnx", 1e-5), ("openvino", 2e-2)])
def test_float_maps_are_the_last_map_times_the_weights(name, limit, written, pixels, float_graph):
    mapped, *_, module, path, _ = written(name)
    session = module.load(path, 1)
    found = session.heatmap(pixels)
    assert found.dtype == np.float32
    values = real_run(float_graph, pixels)
    expected = values["twice"] @ float_graph.weight(float_graph.output).T
    assert np.ptp(expected) > 3
    assert np.abs(found - expected).max() < limit
    logits = found.mean((1, 2), dtype=np.float64) + heatmap.bias_of(mapped)
    scores = np.exp(logits / 1.7)
    assert session.probs(pixels) == pytest.approx(scores / scores.sum(1, keepdims=True), abs=1e-5)


@each_grey
@pytest.mark.parametrize(("name", "share"), [("tflite-int8", 0.01), ("onnx-int8", 0.01), ("openvino-int8", 0.1)])
def test_int8_maps_are_the_exact_integers(name, share, written, pixels):
    mapped, *_, module, path, _ = written(name)
    found = module.load(path, 1).heatmap(pixels)
    grid = mapped.grid(heatmap.NODE)
    exact = integers.run(mapped, pixels)[heatmap.NODE]
    codes = np.rint(found / grid.scale) + grid.zero_point
    assert found == pytest.approx(grid.real(codes), rel=1e-6, abs=1e-6)  # nothing between two steps
    assert len(np.unique(codes)) > 25
    assert np.abs(codes - exact).max() <= 1
    assert (codes != exact).mean() < share  # OpenVINO rounds sums in its own place


def test_every_code_of_the_tflite_map_is_recomputed_from_its_own_input(written, pixels):
    mapped, *_, path, _ = written("tflite-int8")
    codes = tflite.load(path, keep=True).codes(pixels)
    node = mapped.by_name[heatmap.NODE]
    exact = integers.apply(mapped, node, [codes[name] for name in node.inputs])
    assert np.array_equal(codes[heatmap.NODE], exact)
    assert np.array_equal(codes[heatmap.OUTPUT], mapped.grid(node.name).real(exact))


@pytest.mark.parametrize("name", NAMES)
def test_the_lint_knows_files_with_and_without_apart(name, written, facts):
    mapped, graph, format, module, path, bare = written(name)
    assert module.lint(mapped, format, facts, path) == []
    assert module.lint(graph, format, facts, bare) == []
    for wrong, other in ((mapped, bare), (graph, path)):
        problems = module.lint(wrong, format, facts, other)
        assert any("output" in problem for problem in problems)
        assert "metadata 'edgekd' differs" in problems


@pytest.mark.parametrize("name", NAMES)
def test_equal_graphs_are_equal_files(name, written):
    *_, format, _, path, _ = written(name)
    first = [path.with_suffix(suffix).read_bytes() for suffix in format.suffixes]
    written(name)
    assert [path.with_suffix(suffix).read_bytes() for suffix in format.suffixes] == first


@pytest.mark.parametrize("name", NAMES)
def test_the_metadata_tell_of_the_map(name, written, pixels, facts):
    mapped, *_, module, path, bare = written(name)
    session = module.load(path, 1)
    assert session.ends.facts == facts
    assert session.ends.heatmap == session.heatmap(pixels[:1]).shape[1:] == heatmap.shape_of(mapped)
    assert module.load(bare, 1).ends.heatmap is None


def test_what_it_is_stands_in_the_file(written):
    mapped, *_, path, _ = written("tflite-int8")
    described = json.loads(tflite_model.entries(tflite.read(path))[KEY])["heatmap"]
    assert described["shape"] == [8, 9, 3]
    assert (described["output"], described["unit"]) == ("heatmap", "logits")
    bias = mapped.bias(mapped.output) * mapped.bias_scale(mapped.output).astype(np.float64)
    assert described["bias"] == pytest.approx(bias)
    signature = tflite.read(path).signatureDefs[0]
    assert [entry.name for entry in signature.outputs] == [b"probs", b"heatmap"]


@pytest.mark.parametrize("name", ["tflite-int8", "onnx", "openvino-int8"])
def test_maps_come_through_the_child_process(name, written, pixels):
    *_, module, path, bare = written(name)
    with Isolated() as child:
        found = child.load(name, path).heatmap(pixels)
        assert np.array_equal(found, module.load(path, 1).heatmap(pixels))
        with pytest.raises(EdgekdError, match="--heatmap"):
            child.load(name, bare).heatmap(pixels)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_without_a_map_says_so(name, written, pixels):
    *_, module, _, bare = written(name)
    with pytest.raises(EdgekdError, match="a file with a heat map"):
        module.load(bare, 1).heatmap(pixels)


def change_weight(model):
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"class_map.weight")
    data = np.array(model.buffers[tensor.buffer].data)
    data[3] ^= 1
    model.buffers[tensor.buffer].data = data


def change_scale(model):
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"class_map")
    tensor.quantization.scale = np.nextafter(np.float32(tensor.quantization.scale), np.float32(9))


def change_source(model):
    graph = model.subgraphs[0]
    names = [t.name for t in graph.tensors]
    conv = next(o for o in graph.operators if o.outputs[0] == names.index(b"class_map"))
    conv.inputs = [names.index(b"narrow"), *conv.inputs[1:]]


def change_output(model):
    graph = model.subgraphs[0]
    graph.outputs = [graph.outputs[0], graph.outputs[0]]


def drop_output(model):
    model.subgraphs[0].outputs = model.subgraphs[0].outputs[:1]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_weight, "class_map: weight is not the graph's"),
        (change_scale, "class_map: the scale or zero point is not the graph's"),
        (change_source, "heatmap: made of another tensor than the mean is"),
        (change_output, "expected a second output 'heatmap'"),
        (drop_output, "expected two outputs"),
    ],
)
def test_the_tflite_lint_finds_a_change_of_the_map(change, expected, written, facts):
    mapped, _, format, _, path, _ = written("tflite-int8")
    model = tflite.read(path)
    change(model)
    path.write_bytes(tflite_model.bytes_of(model))
    assert any(expected in problem for problem in tflite.lint(mapped, format, facts, path))


@pytest.mark.parametrize("name", NAMES)
def test_the_lint_finds_a_map_of_something_else(name, written, facts):
    mapped, _, format, module, path, _ = written(name)
    nodes = tuple(
        node.model_copy(update={"inputs": ("sum",)}) if node.name == heatmap.NODE else node for node in mapped.nodes
    )
    module.write(Graph(nodes, mapped.arrays), format, facts, path)
    assert "heatmap: made of another tensor than the mean is" in module.lint(mapped, format, facts, path)


def test_the_onnx_lint_finds_another_tensor_at_the_output(written, facts):
    mapped, _, format, module, path, _ = written("onnx-int8")
    model = onnx.load(path)
    next(node for node in model.graph.node if node.output[0] == "heatmap").input[0] = "class_map.sum"
    path.write_bytes(model.SerializeToString())
    assert "heatmap: not the values of class_map" in module.lint(mapped, format, facts, path)


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8", "openvino-int8"])
def test_int8_ends_leave_no_place_for_a_map(name, int8_graph, facts, tmp_path):
    format, module = find(name)
    with pytest.raises(EdgekdError, match="uint8"):
        module.write(heatmap.with_heatmap(int8_graph), format, replace(facts, io="int8"), tmp_path / "x")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "described",
    [[], {"output": "heatmap"}, {"output": "other", "shape": [1, 2, 3]}, {"output": "heatmap", "shape": [0, 2, 3]},
     {"output": "heatmap", "shape": [7, 7]}, {"output": "heatmap", "shape": "773"}],
)  # fmt: skip
def test_a_damaged_description_is_one_error(described, tmp_path):
    with pytest.raises(EdgekdError, match="the description of a heat map"):
        heatmap_of({KEY: json.dumps({"heatmap": described})}, tmp_path)


@pytest.mark.parametrize("name", ["tflite", "onnx"])
def test_a_map_that_is_told_of_and_not_there_is_one_error(name, written):
    *_, module, path, _ = written(name)
    if name == "tflite":
        model = tflite.read(path)
        drop_output(model)
        path.write_bytes(tflite_model.bytes_of(model))
    else:
        model = onnx.load(path)
        del model.graph.output[1]
        path.write_bytes(model.SerializeToString())
    with pytest.raises(EdgekdError, match="heatmap"):
        module.load(path, 1)


def test_six_formats_can_have_a_map():
    assert sorted(name for name, (format, _) in formats().items() if format.takes_heatmap) == sorted(NAMES)
