"""Accuracy, per-class and averaged scores, AUC and confusion by scikit-learn, and bootstrap intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekd.errors import missing_package
from edgekd.measures.calibration import check
from edgekd.measures.intervals import RESAMPLES, Groups, Interval, exact, has_no_width, members, percentile


def _sklearn() -> Any:
    try:
        from sklearn import metrics
    except ModuleNotFoundError:
        raise missing_package("scikit-learn", "train", "scoring by class") from None
    return metrics


def accuracy(probs: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of images [N] whose most probable class [N, K] is the label."""
    p, y = check(probs, labels)
    return float((p.argmax(1) == y).mean())


def per_class(probs: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """precision, recall, f1 and support, one value per class; 0 where a class is never predicted or absent."""
    p, y = check(probs, labels)
    found = _sklearn().precision_recall_fscore_support(y, p.argmax(1), labels=range(p.shape[1]), zero_division=0)
    return {
        n: [float(v) for v in values] for n, values in zip(("precision", "recall", "f1", "support"), found, strict=True)
    }


def averages(probs: np.ndarray, labels: np.ndarray, average: str) -> dict[str, float]:
    """precision, recall and f1, averaged over classes (`macro`) or by their support (`weighted`)."""
    p, y = check(probs, labels)
    classes = range(p.shape[1])
    found = _sklearn().precision_recall_fscore_support(y, p.argmax(1), labels=classes, average=average, zero_division=0)
    return {n: float(v) for n, v in zip(("precision", "recall", "f1"), found[:3], strict=True)}


def one_vs_rest_auc(probs: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Area under the ROC curve of each class against the rest; None where a class is absent or the only one."""
    p, y = check(probs, labels)
    return [
        float(_sklearn().roc_auc_score(y == k, p[:, k])) if 0 < (y == k).sum() < len(y) else None
        for k in range(p.shape[1])
    ]


def confusion(probs: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """Counts [K][K]: rows are labels, columns predictions."""
    p, y = check(probs, labels)
    return _sklearn().confusion_matrix(y, p.argmax(1), labels=range(p.shape[1])).tolist()


def bootstrap_intervals(
    probs: np.ndarray, labels: np.ndarray, groups: Groups | None = None, seed: int = 0
) -> dict[str, Interval]:
    """95 % percentile bootstrap intervals of `accuracy` and `macro_f1` over RESAMPLES resamples of the images.

    With `groups` [N] whole groups are drawn: slices of one patient are not independent, and an interval that takes them
    for independent is too narrow (cluster bootstrap; Field & Welsh, JRSS B 2007).
    Where resamples cannot vary (all answers are right, say) they know nothing of the error. Then accuracy has the exact
    interval of `intervals.exact`, where G groups (images, if none are known) count as G answers: [0.025^(1/G), 1] if all are
    right. Macro F1 has the mean over classes of the exact intervals of their recalls, each of the groups that have it.
    Raises: ValueError as `calibration.check` does, or if groups are not one per image.
    """
    p, y = check(probs, labels)
    classes, member = p.shape[1], members(groups, len(y))
    cells, index = np.unique(
        y * classes + p.argmax(1), return_inverse=True
    )  # of the confusion matrix, that are not empty
    rng = np.random.default_rng(seed)
    number = int(member.max()) + 1
    if groups is None:
        counts = rng.multinomial(len(y), np.bincount(index) / len(y), RESAMPLES)
    else:
        draws = (np.bincount(rng.integers(0, number, number), minlength=number) for _ in range(RESAMPLES))
        counts = np.stack([np.bincount(index, draw[member]) for draw in draws])
    accuracies, f1 = map(percentile, _scores(counts, cells // classes, cells % classes, classes))
    is_right = p.argmax(1) == y
    if has_no_width(accuracies):
        accuracies = exact(float(is_right.mean()), number)
    if has_no_width(f1) or is_right.all():  # where all are right, F1 varies only with classes that a resample lacks
        f1 = _recalls(is_right, y, member, classes)
    return {"accuracy": accuracies, "macro_f1": f1}


def _recalls(is_right: np.ndarray, labels: np.ndarray, member: np.ndarray, classes: int) -> Interval:
    """The mean over classes of the exact interval of recall; (0, 0) counts for a class without images, whose F1 is 0."""
    found = [
        exact(float(is_right[of_class].mean()), len(np.unique(member[of_class]))) if of_class.any() else (0.0, 0.0)
        for of_class in (labels == k for k in range(classes))
    ]
    low, high = np.mean(found, axis=0)
    return float(low), float(high)


def _scores(counts: np.ndarray, labels: np.ndarray, answers: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Accuracy and macro F1 [R] of R confusion matrices, given by the counts [R, C] of C cells."""
    every = np.arange(classes)
    of_label, of_answer = (labels[:, None] == every).astype(float), (answers[:, None] == every).astype(float)
    right = counts * (labels == answers)
    f1 = 2 * (right @ of_label) / np.maximum(counts @ (of_label + of_answer), 1)  # 0 if neither predicted nor present
    return right.sum(1) / counts.sum(1), f1.mean(1)
