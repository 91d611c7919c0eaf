"""TFLite: LiteRT computes the graph's very codes, and the lint sees what is not the graph's."""

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax
from edgekd.quantization import integers
from edgekd.runtimes import find, tflite, tflite_model

from .conftest import each_grey

FORMATS = {f.name: f for f in tflite.FORMATS}


@pytest.fixture
def written(float_graph, int8_graph, facts, tmp_path):
    def write(name, io="uint8"):
        from dataclasses import replace

        format, changed = FORMATS[name], replace(facts, io=io)
        graph = int8_graph if format.is_int8 else float_graph
        tflite.write(graph, format, changed, tmp_path / f"{name}-{io}.tflite")
        return graph, format, changed, tmp_path / f"{name}-{io}.tflite"

    return write


@pytest.mark.parametrize(("name", "limit"), [("tflite", 1e-6), ("tflite-fp16", 5e-3)])
def test_float_files_give_the_networks_probabilities(name, limit, written, pixels, float_logits, facts):
    *_, path = written(name)
    found = tflite.load(path).probs(pixels)
    assert found.dtype == np.float32
    assert found == pytest.approx(softmax(float_logits, facts.calibration_temperature), abs=limit)


@each_grey
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_int8_files_give_the_integers_codes(io, written, pixels, facts):
    graph, *_, path = written("tflite-int8", io)
    expected = integers.logits(graph, pixels)
    found = tflite.load(path).probs(pixels)
    assert found == pytest.approx(softmax(expected, facts.calibration_temperature), abs=1e-5)


@each_grey
def test_every_operator_gives_the_integers_codes(written, pixels):
    graph, *_, path = written("tflite-int8", "int8")
    codes = tflite.load(path, keep=True).codes(pixels)
    codes[graph.input.name] = integers.run_input(pixels)
    for node in graph.nodes[1:]:
        exact = integers.apply(graph, node, [codes[name] for name in node.inputs])
        assert np.array_equal(exact, codes[node.name]), node.name


def test_float_and_int8_bodies_are_what_they_say(written):
    from ai_edge_litert import schema_py_generated as schema

    graph, *_, path = written("tflite-int8")
    model = tflite.read(path)
    kinds = {t.name.decode(): t.type for t in model.subgraphs[0].tensors}
    body = [kinds[n.name] for n in graph.nodes[1:]]
    assert set(body) == {schema.TensorType.INT8}
    codes = [c.builtinCode for c in model.operatorCodes]
    assert not {schema.BuiltinOperator.TRANSPOSE, schema.BuiltinOperator.RESHAPE} & set(codes)
    size = {name: written(name)[3].stat().st_size for name in FORMATS}
    assert size["tflite-fp16"] < size["tflite"]


def test_equal_graphs_are_equal_files_and_data_is_aligned(written):
    *_, path = written("tflite-int8")
    first = path.read_bytes()
    *_, path = written("tflite-int8")
    assert path.read_bytes() == first
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(first)
    for index in range(model.BuffersLength()):
        if model.Buffers(index).DataLength():
            vector = model.Buffers(index)._tab
            assert vector.Vector(vector.Offset(4)) % 16 == 0


def test_names_and_metadata_are_in_the_file(written, facts):
    *_, path = written("tflite-int8")
    model = tflite.read(path)
    entries = tflite_model.entries(model)
    assert entries["labels"].split("\n") == list(facts.label_names)
    signature = model.signatureDefs[0]
    assert [m.name for m in (*signature.inputs, *signature.outputs)] == [b"pixels", b"probs"]
    import zipfile

    with zipfile.ZipFile(path) as archive:
        assert archive.read("labels.txt").decode().split() == list(facts.label_names)


@each_grey
@pytest.mark.parametrize("name", list(FORMATS))
def test_the_lint_finds_nothing_in_what_was_written(name, written):
    assert tflite.lint(*written(name)) == []


def change_scale(model):
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"narrow")
    tensor.quantization.scale = np.nextafter(np.float32(tensor.quantization.scale), np.float32(9))


def change_zero_point(model):
    next(t for t in model.subgraphs[0].tensors if t.name == b"sum").quantization.zeroPoint = [0]


def change_weight(model):
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"wide.weight")
    data = np.array(model.buffers[tensor.buffer].data)
    data[5] ^= 1
    model.buffers[tensor.buffer].data = data


def change_bias_scale(model):
    tensor = next(t for t in model.subgraphs[0].tensors if t.name == b"head.bias")
    tensor.quantization.scale = np.float32(tensor.quantization.scale) * 2


def change_type(model):
    from ai_edge_litert import schema_py_generated as schema

    next(t for t in model.subgraphs[0].tensors if t.name == b"back").type = schema.TensorType.FLOAT32


def change_labels(model):
    entry = next(m for m in model.metadata if m.name == b"labels")
    model.buffers[entry.buffer].data = np.frombuffer(b"a\nb\nc", np.uint8)


def change_input(model):
    model.subgraphs[0].tensors[model.subgraphs[0].inputs[0]].shape = [1, 8, 8, 3]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (change_scale, "narrow: the scale or zero point is not the graph's"),
        (change_zero_point, "sum: the scale or zero point is not the graph's"),
        (change_weight, "wide: weight is not the graph's"),
        (change_bias_scale, "head: the scales of its bias are not the graph's"),
        (change_type, "float island"),
        (change_labels, "metadata 'labels' differs"),
        (change_input, "expected an input of shape"),
    ],
)
def test_the_lint_finds_a_change_of_one_number(change, expected, written):
    graph, format, facts, path = written("tflite-int8")
    model = tflite.read(path)
    change(model)
    path.write_bytes(tflite_model.bytes_of(model))
    assert any(expected in problem for problem in tflite.lint(graph, format, facts, path))


def test_damaged_and_foreign_files_are_one_error(written, tmp_path):
    *_, path = written("tflite-int8")
    content = path.read_bytes()
    for damaged in (b"", content[:7], content[: len(content) // 2], b"TFL3" * 400, content[:4] + b"TFL9" + content[8:]):
        path.write_bytes(damaged)
        with pytest.raises(EdgekdError):
            tflite.load(path)
    with pytest.raises(EdgekdError):
        tflite.load(tmp_path / "missing.tflite")


def test_wrong_pixels_are_refused(written, pixels):
    session = tflite.load(written("tflite")[3])
    for wrong in (pixels[:, :8], pixels.astype(np.float32), pixels[0]):
        with pytest.raises(EdgekdError, match="uint8"):
            session.probs(wrong)


def test_graph_and_format_must_be_of_one_kind(float_graph, int8_graph, facts, tmp_path):
    from dataclasses import replace

    for graph, name in ((float_graph, "tflite-int8"), (int8_graph, "tflite")):
        with pytest.raises(EdgekdError, match=name):
            tflite.write(graph, FORMATS[name], facts, tmp_path / "x.tflite")
    with pytest.raises(EdgekdError, match="int8"):
        tflite.write(float_graph, FORMATS["tflite"], replace(facts, io="int8"), tmp_path / "x.tflite")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "dilation", "expected"),
    [(224, 3, 2, 1, (0, 1)), (225, 3, 2, 1, (1, 1)), (7, 5, 1, 1, (2, 2)), (9, 3, 1, 2, (2, 2)), (8, 1, 2, 1, (0, 0))],
)
def test_same_padding_is_tensorflows(length, kernel, stride, dilation, expected):
    assert tflite_model.same_padding(length, kernel, stride, dilation) == expected


def test_a_format_is_never_guessed():
    assert find("tflite-int8")[0].is_int8
    with pytest.raises(EdgekdError, match="did you mean 'tflite-int8'"):
        find("tflite-int9")
