"""Drift between two networks on the same images: paired, so that a small change shows or is shown to be noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.errors import missing_package
from edgekd.measures.calibration import check


@dataclass(frozen=True)
class Drift:
    """What changes from A to B. `flips` are the images whose most probable class differs."""

    images: int
    flips: tuple[int, ...]
    only_a_right: int
    only_b_right: int
    accuracy_change_pp: float
    mcnemar_p: float
    recall_change_pp: tuple[float | None, ...]  # per class; None for a class without images
    smallest_significant_pp: float  # a drift below this cannot be significant; above 100: none can, with so few images


def drift(probs_a: np.ndarray, probs_b: np.ndarray, labels: np.ndarray) -> Drift:
    """Compare B with A; probabilities [N, K] of the same N images, labels [N].

    Raises: ValueError as `calibration.check` does, or if the shapes differ.
    """
    a, y = check(probs_a, labels)
    b, _ = check(probs_b, labels)
    if a.shape != b.shape:
        raise ValueError(f"expected the same images and classes, found {a.shape} and {b.shape}")
    right_a, right_b = a.argmax(1) == y, b.argmax(1) == y
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    recall = tuple(
        100 * float(right_b[y == k].mean() - right_a[y == k].mean()) if (y == k).any() else None
        for k in range(a.shape[1])
    )
    return Drift(
        images=len(y),
        flips=tuple(int(i) for i in np.flatnonzero(a.argmax(1) != b.argmax(1))),
        only_a_right=only_a,
        only_b_right=only_b,
        accuracy_change_pp=100 * (only_b - only_a) / len(y),
        mcnemar_p=mcnemar(only_a, only_b),
        recall_change_pp=recall,
        smallest_significant_pp=100 * smallest_significant_flips() / len(y),
    )


def mcnemar(only_a_right: int, only_b_right: int) -> float:
    """Exact two-sided McNemar p: the discordant images are fair coin tosses if nothing changed (McNemar, 1947)."""
    try:
        from scipy.stats import binomtest
    except ModuleNotFoundError:
        raise missing_package("scipy", "train", "a paired test") from None

    discordant = only_a_right + only_b_right
    return float(binomtest(only_a_right, discordant).pvalue) if discordant else 1.0


def smallest_significant_flips(level: float = 0.05) -> int:
    """The fewest flips, all in one direction, whose exact two-sided p is below `level`: 6 for 0.05.

    Raises: ValueError for a level that no p can be below.
    """
    if not 0 < level <= 1:
        raise ValueError(f"expected a level in (0, 1], found {level}")
    flips = 1
    while 2 * 0.5**flips >= level:
        flips += 1
    return flips
