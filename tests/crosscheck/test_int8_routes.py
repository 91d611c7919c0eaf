"""One int8 graph, three writers that know nothing of each other: the same logits, bit for bit."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find

pytestmark = pytest.mark.crosscheck


@pytest.fixture(scope="module")
def ours(
    int8_graph: Graph, facts: FileFacts, pixels: np.ndarray, tmp_path_factory: pytest.TempPathFactory, int8_logits
) -> np.ndarray:
    """int8 logits [N, K] of our file."""
    format, module = find("tflite-int8")
    path = tmp_path_factory.mktemp("ours") / "network.tflite"
    module.write(int8_graph, format, dataclasses.replace(facts, io="int8"), path)
    return int8_logits(path, pixels, int8_graph.output.grid)


@pytest.mark.parametrize("script", ["by_litert_torch.py", "by_tensorflow.py"])
def test_logits_are_bit_identical(
    script: str, ours: np.ndarray, int8_graph: Graph, pixels: np.ndarray, tmp_path: Path, run, int8_logits
) -> None:
    int8_graph.save(tmp_path / "graph.safetensors")
    run(script, tmp_path / "graph.safetensors", tmp_path / "theirs.tflite")
    theirs = int8_logits(tmp_path / "theirs.tflite", pixels, int8_graph.output.grid)
    assert len(ours) == 500
    assert len(np.unique(ours, axis=0)) > 250  # the pictures do tell
    differing = (ours != theirs).any(axis=1).sum()
    largest = np.abs(ours.astype(int) - theirs).max()
    assert differing == 0, f"{differing} of {len(ours)} images differ, by up to {largest} codes"
