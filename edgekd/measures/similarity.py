"""How much two maps of relevance are alike."""

from __future__ import annotations

import numpy as np

from edgekd.errors import missing_package


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Spearman's rank correlation of two maps of one shape, in [-1, 1]; ties get their mean rank.

    None where a map has no differences. Its unit does not matter: maps of float and int8 networks compare.
    Raises: ValueError for different shapes; EdgekdError if scipy is missing.
    """
    try:
        from scipy.stats import rankdata
    except ModuleNotFoundError:
        raise missing_package("scipy", "export", "comparing maps") from None
    if a.shape != b.shape:
        raise ValueError(f"expected maps of one shape, found {a.shape} and {b.shape}")
    ranks = np.stack([rankdata(a), rankdata(b)])
    if not np.ptp(ranks, axis=1).all():
        return None
    return float(np.corrcoef(ranks)[0, 1])
