"""How a model did where it was used: answers that people marked right or wrong. FieldScores.java computes the same.

Each marked image counts as independent: a log knows no patients, and slices of one patient make these intervals too narrow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edgekd.measures import calibration
from edgekd.measures.intervals import Interval, exact

UNKNOWN = -1  # the label of an image of which nobody said what it shows


@dataclass(frozen=True)
class Proportion:
    """`count` of `of` images, `of` at least 1."""

    count: int
    of: int

    @property
    def share(self) -> float:
        """In [0, 1]."""
        return self.count / self.of

    @property
    def interval(self) -> Interval:
        """The exact 95 % interval of the share (Clopper & Pearson, 1934)."""
        return exact(self.share, self.of)


@dataclass(frozen=True)
class FieldClass:
    """Of the images of a class those answered so (`recall`), of the answers of it those marked right (`precision`).

    None where there are none.
    """

    label_name: str
    recall: Proportion | None
    precision: Proportion | None


@dataclass(frozen=True)
class FieldScores:
    """Measures of the marked answers of one model."""

    accuracy: Proportion  # of the most probable class, also where the app said "not sure"
    unsure: Proportion
    sure_accuracy: Proportion | None  # without the answers that were "not sure"
    set_coverage: Proportion | None  # sets that hold the true class, where both are known
    ece: float
    ece_noise_floor: float  # mean ECE of a perfectly calibrated model with the same confidences
    ece_noise_p95: float
    reliability: tuple[calibration.ReliabilityBin, ...]
    classes: tuple[FieldClass, ...]


def score(
    probs: np.ndarray,
    is_right: np.ndarray,
    is_unsure: np.ndarray,
    labels: np.ndarray,
    sets: Sequence[Sequence[int] | None],
    label_names: Sequence[str],
) -> FieldScores:
    """Measure N marked answers: probs [N, K], marks [N] bool, "not sure" [N] bool, labels [N] or UNKNOWN, sets [N] or None.

    Raises: ValueError as `calibration.check` does.
    """
    answers = np.asarray(probs).argmax(1)
    # Calibration asks whether the answer is right: any other class stands for the true one of a wrong answer.
    stand_in = np.where(is_right, answers, (answers + 1) % np.shape(probs)[1])
    floor, p95 = calibration.noise_floor(probs)
    held = [label in found for label, found in zip(labels, sets, strict=True) if label != UNKNOWN and found is not None]
    return FieldScores(
        accuracy=Proportion(int(is_right.sum()), len(is_right)),
        unsure=Proportion(int(is_unsure.sum()), len(is_right)),
        sure_accuracy=_of(is_right, ~is_unsure),
        set_coverage=Proportion(sum(held), len(held)) if held else None,
        ece=calibration.ece(probs, stand_in),
        ece_noise_floor=floor,
        ece_noise_p95=p95,
        reliability=tuple(calibration.reliability_bins(probs, stand_in)),
        classes=tuple(
            FieldClass(name, recall=_of(is_right, labels == k), precision=_of(is_right, answers == k))
            for k, name in enumerate(label_names)
        ),
    )


def _of(is_right: np.ndarray, rows: np.ndarray) -> Proportion | None:
    return Proportion(int(is_right[rows].sum()), int(rows.sum())) if rows.any() else None
