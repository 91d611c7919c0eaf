"""Intervals of a share, and of a change, over groups of unequal size, also where there are few: patients."""

from __future__ import annotations

import numpy as np

from edgekd.errors import missing_package
from edgekd.measures.intervals import LEVEL, Interval, exact, has_no_width


def ratio_interval(sums: np.ndarray, sizes: np.ndarray) -> Interval:
    """95 % interval of Σ sums / Σ sizes; `sums` [G] and `sizes` [G] > 0 are those of independent groups.

    Student's t around the ratio, whose standard error is that of the jackknife which leaves out one group at a time:
    SE² = (G - 1) / G · Σ_g (θ_(-g) - θ)² (Cochran, Sampling Techniques, 1977, ch. 6; for clusters Bell & McCaffrey, Survey
    Methodology 28, 2002). Large groups count for more, so the degrees of freedom are those of Kish's effective number of
    groups: (Σ n)² / Σ n² - 1. By simulation it covers the truth where the percentile bootstrap over groups is too narrow:
    with few groups, with very unequal ones, and where most of them did not change.
    It may reach beyond the values that a share can have, and has no width where the share of all groups is the same.
    """
    d, n = np.asarray(sums, np.float64), np.asarray(sizes, np.float64)
    whole = d.sum() / n.sum()
    if len(d) < 2:
        return whole, whole
    away = (d - whole * n) / (n.sum() - n)  # θ - θ_(-g) but for the sign
    error = float(np.sqrt((len(d) - 1) / len(d) * np.square(away).sum()))
    if error < 1e-12:
        return whole, whole
    reach = error * _quantile(n.sum() ** 2 / np.square(n).sum() - 1)
    return whole - reach, whole + reach


def _quantile(freedom: float) -> float:
    try:
        from scipy.stats import t
    except ModuleNotFoundError:
        raise missing_package("scipy", "train", "an interval over groups") from None
    return float(t.ppf(1 - LEVEL / 2, freedom))


def share_interval(right: np.ndarray, answers: np.ndarray) -> Interval:
    """95 % interval of a share in [0, 1]: `right` [G] of `answers` [G] of every group; exact where all have the same share."""
    low, high = ratio_interval(right, answers)
    if has_no_width((low, high)):
        return exact(min(max(low, 0.0), 1.0), len(right))
    return max(low, 0.0), min(high, 1.0)


def gain_interval(differences: np.ndarray, answers: np.ndarray) -> Interval:
    """95 % interval of a change of accuracy from A to B, a fraction in [-1, 1].

    `differences` [G]: how many more answers of each group B has right than A; `answers` [G]: how many there are.
    Where all groups changed by the same share r, nothing varies; G such groups leave room for at most a share
    u = 1 - 0.025^(1/G) of others (see `intervals.exact`), whatever these do: [r (1 - u) - u, r (1 - u) + u].
    """
    low, high = ratio_interval(differences, answers)
    if has_no_width((low, high)):
        others = exact(0.0, len(differences))[1]
        return low * (1 - others) - others, low * (1 - others) + others
    return max(low, -1.0), min(high, 1.0)
