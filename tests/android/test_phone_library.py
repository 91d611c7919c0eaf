"""The TFLite library of an x86-64 phone, unmodified, on a desktop JVM, through the app's own engine: as in Python."""

import subprocess

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find, tflite

MODEL = "artefacts/tflite-int8.tflite"


@pytest.fixture(scope="module")
def answers(desktop, tmp_path_factory):
    """A function: outputs of the app's engine, and the runtime's name, version, delegate and threads that worked."""
    folder = tmp_path_factory.mktemp("jvm")
    inputs, outputs = folder / "inputs", folder / "outputs"

    def run(model, pixels, dtype, *more, threads=1):
        inputs.write_bytes(np.ascontiguousarray(pixels).tobytes())
        command = desktop.command(
            "org.edgekd.bionic.Answers", [model, inputs, outputs, str(threads), *more], folder / "classes"
        )
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return np.fromfile(outputs, dtype).reshape(len(pixels), -1), done.stdout.strip().split("\t")

    return run


def in_python(model, pixels):
    """Outputs of LiteRT's interpreter."""
    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    index, output = interpreter.get_input_details()[0]["index"], interpreter.get_output_details()[0]["index"]
    found = []
    for image in pixels:
        interpreter.set_tensor(index, image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(output)[0])
    return np.stack(found)


def test_the_shipped_file_answers_as_in_python(answers, bundle, golden, images):
    pixels = np.concatenate([golden, images])
    found, facts = answers(bundle.file(MODEL), pixels, np.float32)
    assert facts[:3] == ["TensorFlow Lite", "2.21.0", "XNNPACK"]
    expected = in_python(bundle.file(MODEL), pixels)
    assert len(found) == len(golden) + 100
    assert np.abs(found - expected).max() <= 2**-22  # the last bits of a float32 softmax; logits are equal, see below
    assert np.array_equal(found.argmax(1), expected.argmax(1))


def test_its_logits_are_those_of_python_to_the_bit(answers, bundle, golden, images, tmp_path):
    form, module = find("tflite-int8")
    facts = FileFacts("logits", "", bundle.manifest.label_names, bundle.manifest.input, io="int8")
    module.write(Graph.load(bundle.file("int8/qat.safetensors")), form, facts, tmp_path / "logits.tflite")
    codes = (np.concatenate([golden, images]).astype(np.int16) - 128).astype(np.int8)
    expected = in_python(tmp_path / "logits.tflite", codes)
    for threads in (1, 3):
        found, facts = answers(tmp_path / "logits.tflite", codes, np.int8, threads=threads)
        assert facts[2:] == ["XNNPACK", str(threads)]  # as many work as are asked for
        assert np.array_equal(found, expected)


def test_its_heat_map_is_that_of_python_to_the_bit(answers, mapped, golden, images):
    pixels = np.concatenate([golden, images[:20]])
    found, facts = answers(mapped, pixels, np.float32, "heatmap")
    assert facts[2] == "XNNPACK"
    expected = tflite.load(mapped).heatmap(pixels)
    assert len(np.unique(found)) > 40
    assert np.array_equal(found.reshape(expected.shape), expected)


def test_a_mapped_file_answers_as_the_one_without(answers, mapped, bundle, golden):
    found, _ = answers(mapped, golden, np.float32)
    bare, _ = answers(bundle.file(MODEL), golden, np.float32)
    assert np.array_equal(found, bare)


def test_without_xnnpack_it_says_so_and_rounds_otherwise(answers, bundle, golden):
    found, facts = answers(bundle.file(MODEL), golden[:1], np.float32, "built-in")
    assert facts[2] == "built-in"
    assert np.abs(found - in_python(bundle.file(MODEL), golden[:1])).max() < 0.1
