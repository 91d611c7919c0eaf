"""ONNX files hold the graph exactly, and ONNX Runtime computes what the integer oracle does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax
from edgekd.quantization import integers
from edgekd.runtimes import cpu, find
from edgekd.runtimes.sessions import BATCH

from .conftest import each_grey

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, RUNTIME = find("onnx")
INT8, _ = find("onnx-int8")


@pytest.fixture
def written(int8_graph, facts, tmp_path):
    """An int8 file of the small network."""
    path = tmp_path / "tiny.onnx"
    RUNTIME.write(int8_graph, INT8, facts, path)
    return path


def changed(path, change):
    """The file with its model changed by `change`."""
    model = onnx.load(path)
    change(model)
    path.write_bytes(model.SerializeToString())
    return path


def initializer(model, name):
    return next(i for i in model.graph.initializer if i.name == name)


def set_value(name, index, value):
    def change(model):
        tensor = initializer(model, name)
        array = onnx.numpy_helper.to_array(tensor).copy()
        array.reshape(-1)[index] = value
        tensor.CopyFrom(onnx.numpy_helper.from_array(array, name))

    return change


def test_float_probabilities_are_those_computed_by_hand(float_graph, float_logits, facts, pixels, tmp_path):
    path = tmp_path / "tiny.onnx"
    RUNTIME.write(float_graph, FLOAT, facts, path)
    assert RUNTIME.lint(float_graph, FLOAT, facts, path) == []
    found = RUNTIME.load(path, 1).probs(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(float_logits, 1.7), atol=1e-5)


@each_grey
def test_int8_logits_are_the_oracles_within_one_step(int8_graph, facts, pixels, tmp_path):
    facts, path = replace(facts, io="int8"), tmp_path / "tiny.onnx"
    RUNTIME.write(int8_graph, INT8, facts, path)
    assert RUNTIME.lint(int8_graph, INT8, facts, path) == []
    session = RUNTIME.load(path, 1)
    [codes] = session.session.run(None, {"pixels": session.ends.feed(pixels)})
    oracle = integers.run(int8_graph, pixels)["head"]
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int) - oracle).max() <= 1
    assert (codes == oracle).mean() > 0.8
    assert len(np.unique(oracle)) > 15  # the network does something


@each_grey
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_int8_probabilities_are_calibrated_inside_or_by_the_session(int8_graph, facts, pixels, tmp_path, io):
    facts, path = replace(facts, io=io), tmp_path / "tiny.onnx"
    RUNTIME.write(int8_graph, INT8, facts, path)
    expected = softmax(integers.logits(int8_graph, pixels), 1.7)
    step = int8_graph.grid("head").scale / 1.7
    np.testing.assert_allclose(RUNTIME.load(path, 1).probs(pixels), expected, atol=step / 2 + 1e-6)


def test_every_convolution_runs_on_integers(written, tmp_path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(tmp_path / "optimized.onnx"), 3
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    onnxruntime.InferenceSession(written, options, providers=["CPUExecutionProvider"])
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimized.onnx").graph.node]
    assert kinds.count("QLinearConv") == 6
    assert not {"Conv", "Gemm", "MatMul", "Add"} & set(kinds)


def test_metadata_come_back_as_facts(written, facts):
    assert RUNTIME.load(written, 1).facts == facts
    properties = {p.key: p.value for p in onnx.load(written).metadata_props}
    assert properties["labels"] == "cat\ndog\ngröße"
    assert properties["licence"] == "Apache-2.0"


def test_the_same_graph_gives_the_same_bytes(written, int8_graph, facts):
    first = written.read_bytes()
    RUNTIME.write(int8_graph, INT8, facts, written)
    assert written.read_bytes() == first
    assert [p.name for p in written.parent.iterdir()] == ["tiny.onnx"]


@each_grey
def test_lint_is_silent_about_what_was_written(written, int8_graph, facts):
    assert RUNTIME.lint(int8_graph, INT8, facts, written) == []


@pytest.mark.parametrize(
    ("name", "index", "value", "words"),
    [
        ("stem.scale", 0, 0.0234, "stem: scale or zero point of QuantizeLinear differs"),
        ("sum.zero_point", 0, 3, "sum: scale or zero point of DequantizeLinear differs"),
        ("wide.weight", 5, -128, "wide: codes of the weight differ"),
        ("depthwise.weight.scale", 2, 1e-3, "depthwise: scales of the weight differ"),
        ("head.bias", 1, 12345, "head: codes of the bias differ"),
        ("head.bias.scale", 1, 1e-3, "head: scales of the bias differ"),
        ("calibration_temperature", 0, 1.0, "the calibration temperature differs"),
    ],
)
def test_lint_names_what_was_changed(written, int8_graph, facts, name, index, value, words):
    changed(written, set_value(name, index, value))
    assert words in RUNTIME.lint(int8_graph, INT8, facts, written)


def test_lint_finds_a_float_island(written, int8_graph, facts):
    def skip_the_grid(model):
        reader = next(node for node in model.graph.node if node.name == "wide")
        reader.input[0] = "narrow.sum"

    problems = RUNTIME.lint(int8_graph, INT8, facts, changed(written, skip_the_grid))
    assert "wide: reads a tensor that is not on the int8 grid" in problems


def test_lint_finds_other_metadata_another_operator_set_and_damage(written, int8_graph, facts):
    assert RUNTIME.lint(int8_graph, INT8, replace(facts, name="other"), written) == [
        "metadata 'edgekd' differs",
        "metadata 'name' differs",
    ]
    changed(written, lambda model: setattr(model.opset_import[0], "version", 18))
    assert "operator sets {'': 18}" in RUNTIME.lint(int8_graph, INT8, facts, written)[0]
    written.write_bytes(written.read_bytes()[:1000])
    assert "not a valid ONNX file" in RUNTIME.lint(int8_graph, INT8, facts, written)[0]


def test_lint_of_a_float_file_compares_weights(float_graph, facts, tmp_path):
    path = tmp_path / "tiny.onnx"
    RUNTIME.write(float_graph, FLOAT, facts, path)
    changed(path, set_value("back.weight", 0, 0.5))
    assert RUNTIME.lint(float_graph, FLOAT, facts, path) == ["back: weight differs"]


@pytest.mark.parametrize("content", [None, b"", b"not a model", bytes(range(256)) * 50])
def test_what_is_no_model_is_an_error(tmp_path, content):
    path = tmp_path / "tiny.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgekdError, match=r"tiny\.onnx"):
        RUNTIME.load(path, 1)


def test_a_file_cut_short_or_without_facts_is_an_error(written):
    whole = written.read_bytes()
    written.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EdgekdError, match="an ONNX file"):
        RUNTIME.load(written, 1)
    written.write_bytes(whole)
    changed(written, lambda model: model.ClearField("metadata_props"))
    with pytest.raises(EdgekdError, match="a file written by edgekd"):
        RUNTIME.load(written, 1)


def test_a_graph_of_the_other_kind_is_refused(float_graph, int8_graph, facts, tmp_path):
    with pytest.raises(EdgekdError, match="a graph on the int8 grid"):
        RUNTIME.write(float_graph, INT8, facts, tmp_path / "x.onnx")
    with pytest.raises(EdgekdError, match="a float graph"):
        RUNTIME.write(int8_graph, FLOAT, facts, tmp_path / "x.onnx")
    with pytest.raises(EdgekdError, match="choose an int8 format"):
        RUNTIME.write(float_graph, FLOAT, replace(facts, io="int8"), tmp_path / "x.onnx")


def test_pixels_of_another_shape_are_refused(written, pixels):
    with pytest.raises(EdgekdError, match=r"\[B, 16, 16, 3\] uint8"):
        RUNTIME.load(written, 1).probs(pixels[:, :8])
    with pytest.raises(EdgekdError, match="float32"):
        RUNTIME.load(written, 1).probs(pixels.astype(np.float32))


def test_the_runtime_is_given_a_batch_at_most_and_answers_as_for_each_image(written, pixels):
    session = RUNTIME.load(written, 1)
    given, run = [], session.session.run

    class Recorder:
        """ONNX Runtime's own session, which notes the shapes that it is given."""

        get_inputs = session.session.get_inputs

        def run(self, names, feed):
            given.extend(value.shape for value in feed.values())
            return run(names, feed)

    one_by_one = np.concatenate([session.probs(image[None]) for image in pixels])
    session.session = Recorder()
    assert np.array_equal(session.probs(pixels), one_by_one)
    assert given == [(BATCH, 16, 16, 3), (len(pixels) - BATCH, 16, 16, 3)]


@pytest.mark.parametrize("saturates", [True, False])
def test_without_vnni_the_session_adds_in_32_bits(written, int8_graph, pixels, monkeypatch, saturates):
    really = cpu.saturates()  # this processor
    monkeypatch.setattr(cpu, "saturates", lambda: saturates)
    session = RUNTIME.load(written, 2)
    options = session.session.get_session_options()
    assert session.cure == ("session.x64quantprecision=1" if saturates else "")
    assert options.intra_op_num_threads == 2
    assert session.describe()["cure"] == session.cure
    if saturates:
        assert options.get_session_config_entry("session.x64quantprecision") == "1"
    if saturates or not really:  # uncured where sums saturate, it answers wrongly: what the cure is for
        expected = softmax(integers.logits(int8_graph, pixels), 1.7)
        np.testing.assert_allclose(session.probs(pixels), expected, atol=int8_graph.grid("head").scale)
