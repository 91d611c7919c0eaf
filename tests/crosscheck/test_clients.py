"""Programs that others wrote take our files as they are and give our answers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find

pytestmark = pytest.mark.crosscheck
FORMATS = ("tflite", "tflite-fp16", "tflite-int8")


def python_of(variable: str) -> str:
    """The Python that an environment variable names."""
    if not os.environ.get(variable):
        pytest.skip(f"{variable} names no Python with the client's packages")
    return os.environ[variable]


@pytest.fixture(params=FORMATS)
def artefact(request, float_graph: Graph, int8_graph: Graph, facts: FileFacts, tmp_path: Path) -> Path:
    """Our file in one format."""
    format, module = find(request.param)
    path = tmp_path / f"{format.name}.tflite"
    module.write(int8_graph if format.is_int8 else float_graph, format, facts, path)
    return path


@pytest.fixture
def some_pixels(pixels: np.ndarray, tmp_path: Path) -> np.ndarray:
    """40 of the pictures, also in pixels.npy."""
    np.save(tmp_path / "pixels.npy", pixels[::13])
    return pixels[::13]


def test_mediapipe(artefact: Path, facts: FileFacts, some_pixels: np.ndarray, tmp_path: Path, run) -> None:
    python = python_of("EDGEKD_MEDIAPIPE_PYTHON")
    run("with_mediapipe.py", artefact, tmp_path / "pixels.npy", tmp_path / "answers.json", python=python)
    answers = json.loads((tmp_path / "answers.json").read_text())
    assert {name for answer in answers for name in answer} == set(facts.label_names)
    theirs = np.array([[answer[name] for name in facts.label_names] for answer in answers])
    ours = find("tflite")[1].load(artefact, 1).probs(some_pixels)
    assert (theirs.argmax(1) == ours.argmax(1)).all()
    # int8 is exact in every XNNPACK; float sums are in an order of each version's own.
    tolerance = 1e-6 if "int8" in artefact.name else 1e-4
    np.testing.assert_allclose(theirs, ours, rtol=0, atol=tolerance)


def test_tflite_runtime(artefact: Path, some_pixels: np.ndarray, tmp_path: Path, run) -> None:
    python = python_of("EDGEKD_TFLITE_RUNTIME_PYTHON")
    run("with_tflite_runtime.py", artefact, tmp_path / "pixels.npy", tmp_path / "probs.npy", python=python)
    theirs, ours = np.load(tmp_path / "probs.npy"), find("tflite")[1].load(artefact, 1).probs(some_pixels)
    # Its int8 kernels are older than XNNPACK's and round some sums to the neighbouring code, so a near tie may tip over.
    first, second = np.sort(ours, axis=1)[:, :-3:-1].T
    clear = first - second > 0.1
    assert clear.mean() > 0.8
    assert (theirs.argmax(1) == ours.argmax(1))[clear].all()
    assert np.abs(theirs - ours).mean() < (0.01 if "int8" in artefact.name else 1e-6)
