"""95 % intervals of a share: by bootstrap, and the exact one where resamples cannot vary. Whole groups are the unit.

Slices of one patient are not independent: where groups (patients, say) are known, they are counted and resampled, not images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgekd.errors import missing_package

LEVEL = 0.05  # of tests; intervals hold the rest
RESAMPLES = 2000
NO_WIDTH = 1e-12  # shares that are equal but for rounding
Interval = tuple[float, float]
Groups = Sequence[str] | np.ndarray  # [N], the patient of each image: a name, or a number that stands for it


def members(groups: Groups | None, images: int) -> np.ndarray:
    """The group [N] of each image as a number from 0; each image is its own where no groups are known.

    Raises: ValueError if groups are not one per image.
    """
    if groups is None:
        return np.arange(images)
    if len(groups) != images:
        raise ValueError(f"expected a group for each of {images} images, found {len(groups)}")
    return np.unique(np.asarray(groups, dtype=str), return_inverse=True)[1]


def percentile(values: np.ndarray) -> Interval:
    """The middle 95 % of resampled values [R] (percentile bootstrap)."""
    low, high = np.quantile(values, [LEVEL / 2, 1 - LEVEL / 2])
    return float(low), float(high)


def has_no_width(interval: Interval) -> bool:
    """Whether all resamples gave the same: then the bootstrap knows nothing of the error."""
    return interval[1] - interval[0] <= NO_WIDTH


def exact(share: float, groups: int) -> Interval:
    """The exact 95 % interval of a share in [0, 1] of which `groups` independent groups tell (Clopper & Pearson, 1934).

    With x = share · G it is [Beta(α/2; x, G - x + 1), Beta(1 - α/2; x + 1, G - x)], α = 0.05; x need not be whole: G is the
    effective number of answers (Korn & Graubard, Survey Methodology 24, 1998). So G groups without an error leave
    [(α/2)^(1/G), 1], and G groups without a right answer [0, 1 - (α/2)^(1/G)].
    Raises: ValueError for a share that is none, or without a group.
    """
    if not 0 <= share <= 1 or groups < 1:
        raise ValueError(f"expected a share in [0, 1] of at least 1 group, found {share} of {groups}")
    try:
        from scipy.stats import beta
    except ModuleNotFoundError:
        raise missing_package("scipy", "train", "an exact interval") from None
    x = share * groups
    low = float(beta.ppf(LEVEL / 2, x, groups - x + 1)) if x > 0 else 0.0
    high = float(beta.ppf(1 - LEVEL / 2, x + 1, groups - x)) if x < groups else 1.0
    return low, high


def mean_interval(values: np.ndarray, groups: Groups | None = None, seed: int = 0) -> Interval:
    """95 % interval of the mean of values [N], by bootstrap over groups; each image is its own where none are known."""
    member = members(groups, len(values))
    sums, counts = np.bincount(member, values), np.bincount(member)
    draws = np.random.default_rng(seed).multinomial(len(counts), np.full(len(counts), 1 / len(counts)), RESAMPLES)
    return percentile(draws @ sums / (draws @ counts))


def share_interval(values: np.ndarray, groups: Groups | None = None, seed: int = 0) -> Interval:
    """As `mean_interval`, of values [N] in [0, 1]: where all are equal, resamples tell nothing, and the exact one stands."""
    found = mean_interval(values, groups, seed)
    if has_no_width(found):
        return exact(float(values.mean()), len(np.unique(members(groups, len(values)))))
    return found
