"""How much slower one thing is than another, with an interval: the error between processes is part of it. NumPy only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 4000
SMALLEST_MS = 1e-6  # a clock that did not move
Rounds = Sequence[Sequence[float]]  # times in ms of each round, a fresh process each


@dataclass(frozen=True)
class Ratio:
    """`value` is after / before, above 1 for slower, with its 95 % interval."""

    value: float
    low: float
    high: float

    @property
    def is_significant(self) -> bool:
        """Whether 1 (nothing changed) is outside the interval."""
        return not self.low <= 1 <= self.high


def median(rounds: Rounds) -> float:
    """The median over rounds of the median of each, in ms."""
    return max(float(np.median([np.median(times) for times in rounds])), SMALLEST_MS)


def ratio(before: Rounds, after: Rounds, seed: int = 0) -> Ratio:
    """The ratio of the medians, with a 95 % percentile bootstrap interval.

    Rounds are drawn first and times in them second (Davison & Hinkley, Bootstrap Methods, 1997, section 3.8): times of one
    process are far more alike than those of two, and an interval that takes them for independent is too narrow. With one
    round on a side the error between its processes is not known, and the interval is too narrow still.
    Raises: ValueError for a side without times.
    """
    rng = np.random.default_rng(seed)
    found = _resampled_medians(after, rng) / _resampled_medians(before, rng)
    low, high = (float(q) for q in np.quantile(found, [0.025, 0.975]))
    return Ratio(median(after) / median(before), low, high)


def _resampled_medians(rounds: Rounds, rng: np.random.Generator) -> np.ndarray:
    """Medians [RESAMPLES] of resampled rounds.

    The median of n times drawn with replacement is one of the sorted times; its rank is the median of n uniform ranks, which
    is Beta distributed. So one number is drawn instead of n.
    """
    if not len(rounds) or not all(len(times) for times in rounds):
        raise ValueError("expected at least one round with at least one time each")
    ordered = [np.sort(np.asarray(times, np.float64)) for times in rounds]
    counts = np.array([len(times) for times in ordered])
    chosen = rng.integers(0, len(ordered), (RESAMPLES, len(ordered)))
    half = (counts[chosen] + 1) / 2
    rank = np.minimum((rng.beta(half, half) * counts[chosen]).astype(int), counts[chosen] - 1)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return np.maximum(np.median(np.concatenate(ordered)[starts[chosen] + rank], axis=1), SMALLEST_MS)
