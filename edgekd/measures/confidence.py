"""From which confidence on an answer counts.

A classifier answers whatever it is shown; an app should say "not sure" where such answers are often wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.errors import missing_package
from edgekd.measures.calibration import check

ROUNDING = 1e-9  # of means that are equal on paper


@dataclass(frozen=True)
class Threshold:
    """Answers of less than `confidence` are "not sure". Accuracies are None where no image is on that side."""

    confidence: float
    images: int
    share: float  # of the images that are below
    accuracy_below: float | None
    accuracy_above: float | None


def threshold(probs: np.ndarray, labels: np.ndarray, accuracy: float) -> Threshold:
    """The confidence from which on answers are right with at least `accuracy`, for probabilities [N, K] and labels [N].

    Let c be an answer's probability (its confidence) and r(c) the chance that it is right, taken to rise with c: the
    isotonic regression of "right" (1 or 0) on c by least squares (Ayer et al., 1955; for confidences Zadrozny and Elkan,
    2002). The threshold is the smallest c among the N images with r(c) >= accuracy, and 1 if there is none.
    Raises: ValueError for no images, or what are no probabilities; EdgekdError if scikit-learn is not installed.
    """
    try:
        from sklearn.isotonic import isotonic_regression
    except ModuleNotFoundError:
        raise missing_package("scikit-learn", "export", "the confidence from which on answers count") from None
    p, y = check(probs, labels)
    confidence, is_right = p.max(1), p.argmax(1) == y
    values, place = np.unique(confidence, return_inverse=True)
    count = np.bincount(place)
    fitted = isotonic_regression(np.bincount(place, is_right) / count, sample_weight=count)
    sure = values[fitted >= accuracy - ROUNDING]
    found = float(sure[0]) if len(sure) else 1.0
    below = confidence < found
    return Threshold(found, len(y), float(below.mean()), _mean(is_right[below]), _mean(is_right[~below]))


def _mean(is_right: np.ndarray) -> float | None:
    return float(is_right.mean()) if len(is_right) else None
