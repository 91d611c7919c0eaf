"""Paired tests of two networks on the same images: is one right more often, or is that chance?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekd.errors import missing_package
from edgekd.measures.intervals import LEVEL, Interval


def sign_flip_p(differences: np.ndarray) -> float:
    """Exact two-sided p of the sign-flip permutation test over groups.

    `differences` [G]: for each group (patient) how many more of its images network B answers rightly than A, a whole number;
    over folds and seeds, their sum. If A and B were alike, each could as well have the other sign; p is the chance that
    signs drawn at random give a sum at least as far from 0 as the observed one (Fisher, The Design of Experiments, 1935;
    for networks Dror et al., ACL 2018). Groups may differ in size, and images of a group may depend on each other. Where
    each image is its own group, this is the exact McNemar test. p is never 0.

    No signs are drawn: sums are whole numbers, so that all 2^G are counted by adding one group after the other.
    Raises: ValueError for differences that are not whole numbers [G].
    """
    d = np.asarray(differences)
    if d.ndim != 1 or not np.issubdtype(d.dtype, np.integer):
        raise ValueError(f"expected whole numbers [G], found {d.dtype} {d.shape}")
    sizes = np.abs(d[d != 0])
    furthest = (
        int(sizes.sum() - abs(d.sum())) // 2
    )  # the sum of all that must change sign for the observed sum, at most
    chances = np.zeros(furthest + 1)  # of the sum of those with the rarer sign
    chances[0] = 1.0
    for size in sizes:
        if size <= furthest:
            chances[size:] += chances[:-size].copy()
        chances /= 2
    return max(min(1.0, 2 * float(chances.sum())), float(np.finfo(float).tiny))


def mcnemar(only_a_right: int, only_b_right: int) -> float:
    """Exact two-sided McNemar p: the discordant images are fair coin tosses if nothing changed (McNemar, 1947).

    Takes images for independent: where a patient has several, it is too small.
    """
    try:
        from scipy.stats import binomtest
    except ModuleNotFoundError:
        raise missing_package("scipy", "train", "a paired test") from None

    discordant = only_a_right + only_b_right
    return float(binomtest(only_a_right, discordant).pvalue) if discordant else 1.0


def fewest_groups(level: float = LEVEL) -> int:
    """The fewest groups, all changed in one direction, whose exact two-sided p is below `level`: 6 for 0.05.

    Raises: ValueError for a level that no p can be below.
    """
    if not 0 < level <= 1:
        raise ValueError(f"expected a level in (0, 1], found {level}")
    groups = 1
    while 2 * 0.5**groups >= level:
        groups += 1
    return groups


def words(change_pp: float, interval_pp: Interval | None) -> str:
    """+4.00 pp [1.3, 7.2]; a record of an older version has no interval."""
    return f"{change_pp:+.2f} pp" + ("" if interval_pp is None else f" [{interval_pp[0]:z.1f}, {interval_pp[1]:z.1f}]")


def nll_words(change: float, interval: Interval) -> str:
    """-0.0312 [-0.058, -0.004], in nats."""
    return f"{change:+z.4f} [{interval[0]:z.3f}, {interval[1]:z.3f}]"


def holm(values: Sequence[float]) -> list[float]:
    """Each p adjusted for being one of several (Holm, Scandinavian Journal of Statistics 6, 1979), in the order given.

    The i-th smallest of m, from 0, is multiplied by m - i, and none is smaller than one before it, nor above 1: rejecting where
    this is below the level keeps the chance of any false rejection below it, whatever the tests have to do with each other.
    """
    order = sorted(range(len(values)), key=lambda i: values[i])
    adjusted, least = [0.0] * len(values), 0.0
    for rank, i in enumerate(order):
        least = max(least, min(1.0, (len(values) - rank) * values[i]))
        adjusted[i] = least
    return adjusted
