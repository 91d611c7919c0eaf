"""How long candidates take as int8 files, before any training: a latency depends on the graph and not on the weights."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork
from edgekd.preprocess import InputContract
from edgekd.quantization import ranges
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.lowering import lower
from edgekd.runtimes import FileFacts, Session, find

FORMAT = "tflite-int8"
Times = tuple[float, ...]  # ms, of one round
WARM_UP, ROUNDS, IMAGES = 3, 10, 5  # runs that do not count; rounds over all files; single images of each in a round


def write(network: PixelNetwork, views: Tensor, path: Path) -> None:
    """Write a network as an int8 file whose ranges are those of the views [B, 3, H, W].

    Raises: EdgekdError for a network that cannot be lowered.
    """
    format, runtime = find(FORMAT)
    float_graph = lower(network)
    quantized = FakeQuantNetwork(fold_normalization(float_graph))
    extremes = ranges.Extremes()
    ranges.observe(quantized, [views], extremes)
    quantized.set_ranges(extremes.found)
    graph = quantized.graph()
    labels = tuple(f"class {index}" for index in range(graph.shapes[graph.output.name][0]))
    contract = InputContract(size=network.size, mean=network.mean, std=network.std)
    runtime.write(graph, format, FileFacts("candidate", "random weights", labels, contract), path)


def latencies(networks: Mapping[str, PixelNetwork], views: Tensor, threads: int) -> dict[str, list[Times] | str]:
    """Times in ms of single images by name, round by round, or why a network has no int8 file.

    Files take turns, so that a machine whose speed drifts slows all of them alike.
    """
    found: dict[str, list[Times] | str] = {}
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
        sessions: dict[str, tuple[Session, np.ndarray]] = {}
        for index, (name, network) in enumerate(networks.items()):
            path = Path(folder) / f"{index}.tflite"
            try:
                write(network, views, path)
            except EdgekdError as e:
                found[name] = str(e).partition("\n")[0]
                continue
            image = np.zeros((1, network.size, network.size, 3), np.uint8)
            with _quiet():
                sessions[name] = find(FORMAT)[1].load(path, threads), image
            found[name] = []
        for session, image in sessions.values():
            _times(session, image, WARM_UP)
        for _ in range(ROUNDS):
            for name, (session, image) in sessions.items():
                times = found[name]
                assert isinstance(times, list)
                times.append(_times(session, image, IMAGES))
    return found


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what native code writes to stderr: LiteRT tells there of its kernels."""
    kept = os.dup(2)
    try:
        with Path(os.devnull).open("wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _times(session: Session, image: np.ndarray, count: int) -> Times:
    found = []
    for _ in range(count):
        begin = time.perf_counter()
        session.probs(image)
        found.append((time.perf_counter() - begin) * 1e3)
    return tuple(found)
