"""Why an int8 file drifts: the layers that lose most, and what to try."""

from __future__ import annotations

from typing import Any

from edgekd.artefacts.graphs import float_graph
from edgekd.bundle import Bundle
from edgekd.measures.intervals import LEVEL
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import Array, Graph
from edgekd.quantization.reference import signal_to_noise

IMAGES = 8
WORST = 5


def explain(bundle: Bundle, graph: Graph, source: str, pixels: Array) -> dict[str, Any]:
    """The layers that add most noise to the float student, by their signal-to-noise ratio, and what may help."""
    ratios = signal_to_noise(fold_normalization(float_graph(bundle)), graph, pixels[:IMAGES])
    worst = sorted(ratios.items(), key=lambda item: item[1])[:WORST]
    return {"worst_layers_db": {name: round(value, 2) for name, value in worst}, "try": _advice(source)}


def chance(drift: dict[str, Any]) -> list[str]:
    """What to try where the fall that a report's `drift` tells of may be chance."""
    p, images, groups = drift["p"], drift["images"], drift["groups"]
    if p < LEVEL:
        return []
    test = "McNemar p" if groups is None else "p by group"
    of = "" if groups is None else f" of {groups} groups"
    return [f"a larger validation split: on these {images} images{of} the fall may be chance ({test} = {p:.2f})"]


def _advice(source: str) -> list[str]:
    if source.startswith("ptq"):
        return ["quantization-aware training: python -m edgekd.distill --qat --resume", "another method: --ptq minmax"]
    return [
        "more quantization-aware epochs: --set qat.training.epochs=10",
        "a gentler stage, which keeps more answers: --set qat.training.learning_rate=3e-6",
        "a wider gate, if the loss is acceptable: --max-drop-pp, --max-class-drop-pp",
    ]
