"""Drift between two networks on the same images: paired, so that a small change shows or is shown to be noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekd.measures import paired
from edgekd.measures.calibration import check, log_loss
from edgekd.measures.clustered import gain_interval, ratio_interval
from edgekd.measures.intervals import LEVEL, Groups, Interval, members


@dataclass(frozen=True)
class Drift:
    """What changes from A to B. `flips` are the images whose most probable class differs.

    `p` is that of the sign-flip test over groups; each image is its own where no groups are known, and `p` is McNemar's.
    """

    images: int
    groups: int | None  # None where they are not known
    flips: tuple[int, ...]
    only_a_right: int
    only_b_right: int
    accuracy_change_pp: float
    interval_pp: Interval  # 95 %, of the change
    nll_change: float  # nats per image; below 0 B is the better one
    nll_interval: Interval  # 95 %, of the change
    p: float
    mcnemar_p: float  # as if all images were independent
    recall_change_pp: tuple[float | None, ...]  # per class; None for a class without images
    smallest_significant_pp: float | None  # a change below this cannot be significant; None: none can, of so few groups

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would seldom do it."""
        return self.p < LEVEL

    @property
    def nll_words(self) -> str:
        """-0.0312 [-0.058, -0.004]."""
        return paired.nll_words(self.nll_change, self.nll_interval)

    @property
    def facts(self) -> dict[str, Any]:
        """The change and its tests in plain values, as JSON documents hold them."""
        return {
            "accuracy_change_pp": self.accuracy_change_pp,
            "interval_pp": list(self.interval_pp),
            "groups": self.groups,
            "p": self.p,
            "mcnemar_p": self.mcnemar_p,
        }

    def __str__(self) -> str:
        """+4.00 pp [1.3, 7.2], p = 0.004 by 121 groups, McNemar p = 0.001, 800 images."""
        by_group = "" if self.groups is None else f"p = {self.p:.3f} by {self.groups} groups, "
        change = paired.words(self.accuracy_change_pp, self.interval_pp)
        return f"{change}, {by_group}McNemar p = {self.mcnemar_p:.3f}, {self.images} images"


def drift(probs_a: np.ndarray, probs_b: np.ndarray, labels: np.ndarray, groups: Groups | None = None) -> Drift:
    """Compare B with A; probabilities [N, K] of the same N images, labels [N], `groups` [N] (patients) where known.

    Raises: ValueError as `calibration.check` does, if the shapes differ, or if groups are not one per image.
    """
    a, y = check(probs_a, labels)
    b, _ = check(probs_b, labels)
    if a.shape != b.shape:
        raise ValueError(f"expected the same images and classes, found {a.shape} and {b.shape}")
    member = members(groups, len(y))
    right_a, right_b = a.argmax(1) == y, b.argmax(1) == y
    only_a, only_b = int((right_a & ~right_b).sum()), int((right_b & ~right_a).sum())
    units = int(member.max()) + 1
    differences = np.bincount(member[right_b], minlength=units) - np.bincount(member[right_a], minlength=units)
    low, high = gain_interval(differences, np.bincount(member))
    surprise = log_loss(b, y) - log_loss(a, y)
    mcnemar_p, fewest = paired.mcnemar(only_a, only_b), paired.fewest_groups()
    recall = tuple(
        100 * float(right_b[y == k].mean() - right_a[y == k].mean()) if (y == k).any() else None
        for k in range(a.shape[1])
    )
    return Drift(
        images=len(y),
        groups=None if groups is None else units,
        flips=tuple(int(i) for i in np.flatnonzero(a.argmax(1) != b.argmax(1))),
        only_a_right=only_a,
        only_b_right=only_b,
        accuracy_change_pp=100 * (only_b - only_a) / len(y),
        interval_pp=(100 * low, 100 * high),
        nll_change=float(surprise.mean()),
        nll_interval=ratio_interval(np.bincount(member, surprise), np.bincount(member)),
        p=mcnemar_p if groups is None else paired.sign_flip_p(differences),  # McNemar's is the same, and sooner there
        mcnemar_p=mcnemar_p,
        recall_change_pp=recall,
        smallest_significant_pp=100 * fewest / len(y) if units >= fewest else None,
    )
