"""Why an int8 file drifts: the layers that lose most, or chance."""

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


def worst_layers(bundle: Bundle, graph: Graph, pixels: Array) -> dict[str, float]:
    """The layers that add most noise to the float student, with their signal-to-noise ratio in dB, the worst first."""
    reference = fold_normalization(float_graph(bundle), graph.input.mean[0])
    ratios = signal_to_noise(reference, graph, pixels[:IMAGES])
    worst = sorted(ratios.items(), key=lambda item: item[1])[:WORST]
    return {name: round(value, 2) for name, value in worst}


def chance(drift: dict[str, Any]) -> list[str]:
    """What to try where the fall that a report's `drift` tells of may be chance."""
    p, images, groups = drift["p"], drift["images"], drift["groups"]
    if p < LEVEL:
        return []
    test = "McNemar p" if groups is None else "p by group"
    of = "" if groups is None else f" of {groups} groups"
    return [f"a larger validation split: on these {images} images{of} the fall may be chance ({test} = {p:.2f})"]
