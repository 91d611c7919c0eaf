"""One int8 graph, three writers that know nothing of each other: the same logits, bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgekd.quantization.graph import Graph, Grid
from edgekd.runtimes import FileFacts, find

pytestmark = pytest.mark.crosscheck


@pytest.fixture(scope="module")
def ours(
    int8_graph: Graph, facts: FileFacts, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> np.ndarray:
    """int8 logits [N, K] of our file."""
    format, module = find("tflite-int8")
    path = tmp_path_factory.mktemp("ours") / "network.tflite"
    module.write(int8_graph, format, dataclasses.replace(facts, io="int8"), path)
    return logits(path, pixels, int8_graph.output.grid)


@pytest.mark.parametrize("script", ["by_litert_torch.py", "by_tensorflow.py"])
def test_logits_are_bit_identical(
    script: str, ours: np.ndarray, int8_graph: Graph, pixels: np.ndarray, tmp_path: Path, run
) -> None:
    int8_graph.save(tmp_path / "graph.safetensors")
    run(script, tmp_path / "graph.safetensors", tmp_path / "theirs.tflite")
    theirs = logits(tmp_path / "theirs.tflite", pixels, int8_graph.output.grid)
    assert len(ours) == 500
    assert len(np.unique(ours, axis=0)) > 250  # the pictures do tell
    differing = (ours != theirs).any(axis=1).sum()
    largest = np.abs(ours.astype(int) - theirs).max()
    assert differing == 0, f"{differing} of {len(ours)} images differ, by up to {largest} codes"


def logits(path: Path, pixels: np.ndarray, grid: Grid) -> np.ndarray:
    """int8 logits [N, K] of a file with int8 codes in and out, on the graph's grids."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert given["dtype"] == found["dtype"] == np.int8
    assert given["quantization"] == (1.0, -128)
    assert found["quantization"] == (grid.scale, grid.zero_point)
    result = []
    for image in pixels:
        interpreter.set_tensor(given["index"], (image[None].astype(np.int16) - 128).astype(np.int8))
        interpreter.invoke()
        result.append(interpreter.get_tensor(found["index"])[0])
    return np.stack(result)
