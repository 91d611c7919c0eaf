"""OpenVINO files hold the graph exactly, and its CPU plugin computes what the integer oracle does."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax
from edgekd.quantization import integers
from edgekd.runtimes import cpu, find

from .conftest import each_grey

pytest.importorskip("onnx")
openvino = pytest.importorskip("openvino")
FLOAT, RUNTIME = find("openvino")
INT8, _ = find("openvino-int8")


@pytest.fixture
def written(int8_graph, facts, tmp_path):
    """The int8 files of the small network."""
    path = tmp_path / "tiny.xml"
    RUNTIME.write(int8_graph, INT8, facts, path)
    return path


def both(path):
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def changed(path, name, index, value):
    """The files with one value behind the input `index` of the operator `name` changed."""
    model = openvino.Core().read_model(path)
    node = next(n for n in model.get_ops() if n.get_friendly_name() == name)
    source = node.input_value(index).get_node()
    while source.get_type_name() != "Constant":
        source = source.input_value(0).get_node()
    data = source.get_data().copy()
    data.reshape(-1)[0] = value
    other = openvino.opset13.constant(data, dtype=source.get_element_type())
    for reader in list(source.output(0).get_target_inputs()):
        reader.replace_source_output(other.output(0))
    content = path.with_name("changed.xml")
    openvino.save_model(model, content, compress_to_fp16=False)
    return content


def test_float_probabilities_are_those_computed_by_hand(float_graph, float_logits, facts, pixels, tmp_path):
    path = tmp_path / "tiny.xml"
    RUNTIME.write(float_graph, FLOAT, facts, path)
    assert RUNTIME.lint(float_graph, FLOAT, facts, path) == []
    found = RUNTIME.load(path, 1).probs(pixels)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, softmax(float_logits, 1.7), atol=2e-3)  # float16 weights


def test_biases_of_zeros_are_not_looked_for_and_weights_still_are(float_graph, facts, tmp_path):
    arrays = dict(float_graph.arrays)
    arrays["dilated.bias"] = np.zeros_like(arrays["dilated.bias"])  # OpenVINO leaves such an addition out
    graph, path = replace(float_graph, arrays=arrays), tmp_path / "tiny.xml"
    RUNTIME.write(graph, FLOAT, facts, path)
    assert RUNTIME.lint(graph, FLOAT, facts, path) == []
    other = replace(graph, arrays=arrays | {"dilated.weight": arrays["dilated.weight"] * np.float32(1.01)})
    assert RUNTIME.lint(other, FLOAT, facts, path) == ["dilated: weight differs by more than float16 rounds"]
    other = replace(graph, arrays=arrays | {"dilated.bias": arrays["dilated.bias"] + np.float32(0.1)})
    assert RUNTIME.lint(other, FLOAT, facts, path) == ["dilated: no such operator with weight and bias"]


@each_grey
def test_int8_logits_are_the_oracles_within_one_step(int8_graph, facts, pixels, tmp_path):
    facts, path = replace(facts, io="int8"), tmp_path / "tiny.xml"
    RUNTIME.write(int8_graph, INT8, facts, path)
    assert RUNTIME.lint(int8_graph, INT8, facts, path) == []
    session = RUNTIME.load(path, 1)
    codes = np.concatenate([session.request.infer({0: x[None]})[0].copy() for x in session.ends.feed(pixels)])
    oracle = integers.run(int8_graph, pixels)["head"]
    assert codes.dtype == np.int8
    assert np.abs(codes.astype(int) - oracle).max() <= 1


@each_grey
@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_int8_probabilities_are_calibrated_inside_or_by_the_session(int8_graph, facts, pixels, tmp_path, io):
    facts, path = replace(facts, io=io), tmp_path / "tiny.xml"
    RUNTIME.write(int8_graph, INT8, facts, path)
    expected = softmax(integers.logits(int8_graph, pixels), 1.7)
    step = int8_graph.grid("head").scale / 1.7
    np.testing.assert_allclose(RUNTIME.load(path, 1).probs(pixels), expected, atol=step / 2 + 1e-6)


@pytest.mark.parametrize("name", ["sum", "twice"])
def test_additions_read_what_was_rounded(written, name):
    named = {n.get_friendly_name(): n for n in openvino.Core().read_model(written).get_ops()}
    read = [value.get_node() for value in named[name].input_values()]
    assert [n.get_type_name() for n in read] == ["Clamp", "Clamp"]
    assert [n.input_value(0).get_node().get_type_name() for n in read] == ["FakeQuantize", "FakeQuantize"]


def test_no_images_give_no_probabilities(written, pixels):
    assert RUNTIME.load(written, 1).probs(pixels[:0]).shape == (0, 3)


def test_metadata_come_back_as_facts(written, facts):
    assert RUNTIME.load(written, 1).facts == facts
    model = openvino.Core().read_model(written)
    assert model.get_rt_info(["edgekd", "labels"]).value == "cat\ndog\ngröße"


def test_the_same_graph_gives_the_same_bytes(written, int8_graph, facts):
    first = both(written)
    RUNTIME.write(int8_graph, INT8, facts, written)
    assert both(written) == first
    assert sorted(p.name for p in written.parent.iterdir()) == ["tiny.bin", "tiny.xml"]


def test_nothing_of_the_place_of_writing_is_in_the_file(written):
    assert not re.search(rb"/tmp|/home|input_model", both(written)[0])


@pytest.mark.parametrize(
    ("name", "index", "value", "words"),
    [
        ("stem.real", 2, 5.5, "stem: scale or zero point differs"),
        ("wide/WithoutBiases", 1, -128, "wide: codes of the weight differ"),
        ("depthwise.weight.real", 1, 1e-3, "depthwise: scales of the weight differ"),
        ("head", 1, 12345, "head: codes of the bias differ"),
        ("head.bias.real", 1, 1e-3, "head: scales of the bias differ"),
        ("calibrated", 1, 1.0, "the calibration temperature differs"),
    ],
)
def test_lint_names_what_was_changed(written, int8_graph, facts, name, index, value, words):
    assert words in RUNTIME.lint(int8_graph, INT8, facts, changed(written, name, index, value))


def test_lint_finds_a_float_island(written, int8_graph, facts):
    model = openvino.Core().read_model(written)
    named = {n.get_friendly_name(): n for n in model.get_ops()}
    named["wide/WithoutBiases"].input(0).replace_source_output(named["narrow"].output(0))
    path = written.with_name("changed.xml")
    openvino.save_model(model, path, compress_to_fp16=False)
    assert "wide: reads a tensor that is not on the int8 grid" in RUNTIME.lint(int8_graph, INT8, facts, path)


def test_lint_finds_other_metadata_other_weights_and_damage(written, int8_graph, float_graph, facts):
    problems = RUNTIME.lint(int8_graph, INT8, replace(facts, name="other"), written)
    assert problems == ["metadata 'edgekd' differs", "metadata 'name' differs"]
    path = written.with_name("float.xml")
    RUNTIME.write(float_graph, FLOAT, facts, path)
    wrong = changed(path, "back/WithoutBiases", 1, 9.0)
    assert RUNTIME.lint(float_graph, FLOAT, facts, wrong) == ["back: weight differs by more than float16 rounds"]
    written.write_bytes(written.read_bytes()[:1000])
    assert "not valid OpenVINO files" in RUNTIME.lint(int8_graph, INT8, facts, written)[0]


@pytest.mark.parametrize("content", [None, b"", b"not a model", b"<net></net>", bytes(range(256)) * 50])
def test_what_is_no_model_is_an_error(tmp_path, content):
    path = tmp_path / "tiny.xml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(EdgekdError, match=r"tiny\.xml"):
        RUNTIME.load(path, 1)


def test_files_cut_short_or_without_facts_are_an_error(written):
    xml, weights = both(written)
    written.write_bytes(xml[: len(xml) // 2])
    with pytest.raises(EdgekdError, match="an OpenVINO file"):
        RUNTIME.load(written, 1)
    written.write_bytes(xml)
    written.with_suffix(".bin").write_bytes(weights[:100])
    with pytest.raises(EdgekdError, match="an OpenVINO file"):
        RUNTIME.load(written, 1)
    written.with_suffix(".bin").write_bytes(weights)
    written.write_bytes(re.sub(rb"<edgekd>.*</edgekd>", b"", xml, flags=re.DOTALL))
    with pytest.raises(EdgekdError, match="a file written by edgekd"):
        RUNTIME.load(written, 1)


def test_a_graph_of_the_other_kind_is_refused(float_graph, facts, tmp_path):
    with pytest.raises(EdgekdError, match="a graph on the int8 grid"):
        RUNTIME.write(float_graph, INT8, facts, tmp_path / "x.xml")


@pytest.mark.parametrize("saturates", [True, False])
def test_without_vnni_the_session_calculates_in_float(written, int8_graph, pixels, monkeypatch, saturates):
    really = cpu.saturates()  # this processor
    monkeypatch.setattr(cpu, "saturates", lambda: saturates)
    session = RUNTIME.load(written, 1)
    assert session.cure == ("LP_TRANSFORMS_MODE=NO" if saturates else "")
    assert session.describe()["cure"] == session.cure
    ran = {
        info["runtimePrecision"].astype(str)
        for info in (op.get_rt_info() for op in session.request.get_compiled_model().get_runtime_model().get_ops())
        if info["layerType"].astype(str) == "Convolution"
    }
    assert ran <= ({"f32"} if saturates else {"u8", "i8"})
    if saturates or not really:  # uncured where sums saturate, it answers wrongly: what the cure is for
        expected = softmax(integers.logits(int8_graph, pixels), 1.7)
        np.testing.assert_allclose(session.probs(pixels), expected, atol=int8_graph.grid("head").scale)
