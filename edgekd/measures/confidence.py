"""From which confidence on an answer counts. NumPy only.

A classifier answers whatever it is shown; an app should say "not sure" where such answers are often wrong.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.measures.calibration import check


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
    Raises: ValueError for no images, or what are no probabilities.
    """
    p, y = check(probs, labels)
    confidence, is_right = p.max(1), p.argmax(1) == y
    values, place = np.unique(confidence, return_inverse=True)
    fitted = isotonic(np.bincount(place, is_right), np.bincount(place))
    sure = values[fitted >= accuracy]
    found = float(sure[0]) if len(sure) else 1.0
    below = confidence < found
    return Threshold(found, len(y), float(below.mean()), _mean(is_right[below]), _mean(is_right[~below]))


def isotonic(sums: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The rising sequence [N] nearest to sums / weights by weighted least squares: pool adjacent violators."""
    blocks: list[tuple[float, float, int]] = []  # sum, weight, length
    for block in zip(sums, weights, np.ones(len(sums), int), strict=True):
        while blocks and blocks[-1][0] * block[1] >= block[0] * blocks[-1][1]:
            block = tuple(a + b for a, b in zip(blocks.pop(), block, strict=True))
        blocks.append(block)
    return np.repeat([s / w for s, w, _ in blocks], [length for *_, length in blocks])


def _mean(is_right: np.ndarray) -> float | None:
    return float(is_right.mean()) if len(is_right) else None
