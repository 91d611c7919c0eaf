"""Answers that know when to be silent: accuracy of the surest, and sets of classes that hold the right one often enough.

NumPy only, so that devices can use it. Probabilities are [N, K] with rows that sum to 1, labels [N].
"""

from __future__ import annotations

import math

import numpy as np

from edgekd.bundle import ConformalRecord
from edgekd.measures.calibration import check
from edgekd.measures.intervals import Groups, Interval, mean_interval, members, share_interval
from edgekd.section import Section

ALPHA = 0.1  # share of images whose set may miss the right class
COVERAGES = (0.8, 0.9, 0.95)
ROUNDING = 1e-9  # of probabilities that are equal on paper


class Selective(Section):
    """How accurate the surest answers are. `aurc`: mean over coverages of the share of wrong answers, less is better."""

    aurc: float
    accuracy_at: dict[str, float]  # coverage in per cent -> accuracy of that share of the images, the surest


class SetScores(Section):
    """Of how many images the set holds the right class, and how many classes it has, with 95 % intervals by group."""

    images: int
    coverage: float
    coverage_interval: Interval
    mean_size: float
    mean_size_interval: Interval


class GroupScores(Section):
    """The mean over groups of the share of their images whose set holds the right class, with its 95 % interval."""

    groups: int
    coverage: float
    coverage_interval: Interval


class Sets(Section):
    """Conformal sets on a split. `unsure`: the share of images whose set has no class, or all of them.

    `by_group` is the coverage with each group counted once, however many images it has: what `fit` promises, of which the
    coverage of images is another mean.
    """

    alpha: float
    quantile: float
    all: SetScores
    classes: dict[str, SetScores]  # by label; classes without images are left out
    sizes: tuple[int, ...]  # how many images have a set of 0, 1, … K classes
    unsure: float
    by_group: GroupScores | None = None  # where the groups are known


def risk_coverage(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of wrong answers [N] among the k surest images, k = 1 … N (Geifman and El-Yaniv, NeurIPS 2017).

    Of equally sure images each counts as the mean of all of them: their order is chance.
    """
    p, y = check(probs, labels)
    confidence, is_wrong = p.max(1), (p.argmax(1) != y).astype(float)
    place = np.unique(-confidence, return_inverse=True)[1]
    level = np.bincount(place, is_wrong) / np.bincount(place)
    return np.cumsum(np.repeat(level, np.bincount(place))) / np.arange(1, len(y) + 1)


def selective(probs: np.ndarray, labels: np.ndarray) -> Selective:
    """The area under the risk-coverage curve, and accuracy at `COVERAGES` (of images, rounded up)."""
    risk = risk_coverage(probs, labels)
    counts = {c: math.ceil(c * len(risk) - ROUNDING) for c in COVERAGES}
    return Selective(
        aurc=float(risk.mean()), accuracy_at={f"{100 * c:g}": float(1 - risk[k - 1]) for c, k in counts.items()}
    )


def fit(
    probs: np.ndarray, labels: np.ndarray, groups: Groups | None = None, alpha: float = ALPHA, seed: int = 0
) -> ConformalRecord:
    """Split conformal prediction by the least ambiguous sets (LAC; Sadinle, Lei and Wasserman, JASA 2019).

    The quantile is the ⌈(n + 1)(1 - alpha)⌉-th smallest of the n scores 1 - p_true, and 1 if n is too few for that. Slices
    of one patient are not exchangeable: of each group one image is drawn, so that n counts groups, and the sets then hold
    the right class for an image drawn from a new patient with a chance of at least 1 - alpha (Dunn, Wasserman and Ramdas,
    JASA 2023). Where the temperature was fitted on the same images, that chance is a little less: by one number's worth.
    Raises: ValueError as `calibration.check` does, or for an alpha outside (0, 1).
    """
    p, y = check(probs, labels)
    if not 0 < alpha < 1:
        raise ValueError(f"expected alpha in (0, 1), found {alpha}")
    drawn = one_of_each(members(groups, len(y)), seed)
    scores = np.sort(1 - p[drawn, y[drawn]])
    rank = math.ceil((len(scores) + 1) * (1 - alpha) - ROUNDING)
    quantile = float(scores[rank - 1]) if rank <= len(scores) else 1.0
    return ConformalRecord(
        alpha=alpha, quantile=min(max(quantile, 0.0), 1.0), drawn=len(drawn), by_group=groups is not None
    )


def one_of_each(member: np.ndarray, seed: int = 0) -> np.ndarray:
    """The index of one image, drawn at random, of each of the groups [N] that are numbered from 0."""
    mixed = np.random.default_rng(seed).permutation(len(member))
    return mixed[np.unique(member[mixed], return_index=True)[1]]


def sets(probs: np.ndarray, quantile: float) -> np.ndarray:
    """Which classes are in each image's set, [N, K] bool: those with 1 - p at most the quantile."""
    return 1 - np.asarray(probs, np.float64) <= quantile + ROUNDING


def score(
    probs: np.ndarray,
    labels: np.ndarray,
    label_names: tuple[str, ...],
    conformal: ConformalRecord,
    groups: Groups | None = None,
    seed: int = 0,
) -> Sets:
    """Coverage and size of the sets on a split, over all and by class."""
    p, y = check(probs, labels)
    inside = sets(p, conformal.quantile)
    sizes, member = inside.sum(1), members(groups, len(y))
    holds = inside[np.arange(len(y)), y]

    def scores(rows: np.ndarray) -> SetScores:
        own = np.unique(member[rows], return_inverse=True)[1].astype(str)
        return SetScores(
            images=int(rows.sum()),
            coverage=float(holds[rows].mean()),
            coverage_interval=share_interval(holds[rows].astype(float), own, seed),
            mean_size=float(sizes[rows].mean()),
            mean_size_interval=mean_interval(sizes[rows].astype(float), own, seed),
        )

    return Sets(
        by_group=None if groups is None else _by_group(holds, member, seed),
        alpha=conformal.alpha,
        quantile=conformal.quantile,
        all=scores(np.ones(len(y), bool)),
        classes={name: scores(y == k) for k, name in enumerate(label_names) if (y == k).any()},
        sizes=tuple(np.bincount(sizes, minlength=p.shape[1] + 1).tolist()),
        unsure=float(((sizes == 0) | (sizes == p.shape[1])).mean()),
    )


def _by_group(holds: np.ndarray, member: np.ndarray, seed: int) -> GroupScores:
    shares = np.bincount(member, weights=holds) / np.bincount(member)
    interval = share_interval(shares, None, seed)
    return GroupScores(groups=len(shares), coverage=float(shares.mean()), coverage_interval=interval)
