"""A Keras student two ways: the files that edgekd writes, and what TensorFlow's own converter makes of the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.preprocess import InputContract
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find

pytestmark = pytest.mark.crosscheck
SIZE, LABELS = 96, ("a", "b", "c", "d")  # as by_keras.py has them
IMAGES, REPRESENTATIVE = 200, 64


@pytest.fixture(scope="module")
def made(run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the student's float graph, and TensorFlow's float file of the Keras model."""
    folder = tmp_path_factory.mktemp("keras")
    run("by_keras.py", folder / "graph.safetensors", folder / "theirs.tflite")
    return folder


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """[200, 96, 96, 3] uint8: coarse blocks of colour."""
    coarse = np.random.default_rng(1).integers(0, 256, (IMAGES, 6, 6, 3), dtype=np.uint8)
    return coarse.repeat(SIZE // 6, 1).repeat(SIZE // 6, 2)


def facts(io: str) -> FileFacts:
    return FileFacts(
        "keras", "A cross-check", LABELS, InputContract(size=SIZE, mean=(0.5,) * 3, std=(0.5,) * 3), 1.0, io
    )


def test_with_the_same_ranges_int8_answers_are_identical(
    made: Path, pictures: np.ndarray, on_the_grid, int8_logits, run
) -> None:
    graph = on_the_grid(Graph.load(made / "graph.safetensors"), pictures[:REPRESENTATIVE])
    graph.save(made / "int8.safetensors")
    format, module = find("tflite-int8")
    module.write(graph, format, facts("int8"), made / "ours-int8.tflite")
    run("by_tensorflow.py", made / "int8.safetensors", made / "theirs-int8.tflite")
    ours, theirs = (int8_logits(made / f"{who}-int8.tflite", pictures, graph.output.grid) for who in ("ours", "theirs"))
    assert len(np.unique(ours, axis=0)) > IMAGES / 2  # the pictures do tell
    differing = (ours != theirs).any(axis=1).sum()
    assert differing == 0, f"{differing} of {IMAGES} images differ, by up to {np.abs(ours.astype(int) - theirs).max()}"


def test_float_probabilities_are_those_of_the_keras_models_own_file(made: Path, pictures: np.ndarray) -> None:
    """TensorFlow converted the Keras model itself here: nothing of our graph is in its file."""
    from ai_edge_litert.interpreter import Interpreter

    format, module = find("tflite")
    module.write(Graph.load(made / "graph.safetensors"), format, facts("uint8"), made / "ours.tflite")
    ours = module.load(made / "ours.tflite", 1).probs(pictures)
    interpreter = Interpreter(str(made / "theirs.tflite"), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    theirs = []
    for picture in pictures:
        interpreter.set_tensor(given["index"], picture[None].astype(np.float32))
        interpreter.invoke()
        theirs.append(interpreter.get_tensor(found["index"])[0])
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    assert (ours.argmax(1) == np.argmax(theirs, 1)).all()
