"""Accuracy, per-class and averaged scores, AUC and confusion by scikit-learn, and bootstrap intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgekd.measures.calibration import check

RESAMPLES = 2000
Interval = tuple[float, float]


def accuracy(probs: np.ndarray, labels: np.ndarray) -> float:
    """The fraction of images [N] whose most probable class [N, K] is the label."""
    p, y = check(probs, labels)
    return float((p.argmax(1) == y).mean())


def per_class(probs: np.ndarray, labels: np.ndarray) -> dict[str, list[float]]:
    """precision, recall, f1 and support, one value per class; 0 where a class is never predicted or absent."""
    from sklearn.metrics import precision_recall_fscore_support

    p, y = check(probs, labels)
    found = precision_recall_fscore_support(y, p.argmax(1), labels=range(p.shape[1]), zero_division=0)
    return {
        n: [float(v) for v in values] for n, values in zip(("precision", "recall", "f1", "support"), found, strict=True)
    }


def averages(probs: np.ndarray, labels: np.ndarray, average: str) -> dict[str, float]:
    """precision, recall and f1, averaged over classes (`macro`) or by their support (`weighted`)."""
    from sklearn.metrics import precision_recall_fscore_support

    p, y = check(probs, labels)
    classes = range(p.shape[1])
    found = precision_recall_fscore_support(y, p.argmax(1), labels=classes, average=average, zero_division=0)
    return {n: float(v) for n, v in zip(("precision", "recall", "f1"), found[:3], strict=True)}


def one_vs_rest_auc(probs: np.ndarray, labels: np.ndarray) -> list[float | None]:
    """Area under the ROC curve of each class against the rest; None where a class is absent or the only one."""
    from sklearn.metrics import roc_auc_score

    p, y = check(probs, labels)
    return [float(roc_auc_score(y == k, p[:, k])) if 0 < (y == k).sum() < len(y) else None for k in range(p.shape[1])]


def confusion(probs: np.ndarray, labels: np.ndarray) -> list[list[int]]:
    """Counts [K][K]: rows are labels, columns predictions."""
    from sklearn.metrics import confusion_matrix

    p, y = check(probs, labels)
    return confusion_matrix(y, p.argmax(1), labels=range(p.shape[1])).tolist()


def macro_f1(predicted: np.ndarray, labels: np.ndarray, classes: int) -> float:
    """Mean F1 over the classes, 0 for one that is neither predicted nor present."""
    table = np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
    sums = table.sum(0) + table.sum(1)
    return float(np.mean(2 * np.diag(table) / np.maximum(sums, 1)))


def bootstrap_interval(
    statistic: Callable[[np.ndarray], float], images: int, groups: Sequence[str] | None = None, seed: int = 0
) -> Interval:
    """95 % percentile interval of `statistic(indices)` over RESAMPLES resamples of the images.

    With `groups` [N] whole groups are drawn: slices of one patient are not independent, and an interval that takes them
    for independent is too narrow (cluster bootstrap; Field & Welsh, JRSS B 2007).
    Raises: ValueError if there are no images, or groups are not one per image.
    """
    if not images or (groups is not None and len(groups) != images):
        raise ValueError(f"expected N > 0 images and as many groups, found {images} and {groups and len(groups)}")
    rng = np.random.default_rng(seed)
    if groups is None:
        found = [statistic(rng.integers(0, images, images)) for _ in range(RESAMPLES)]
    else:
        _, index = np.unique(np.asarray(groups, dtype=str), return_inverse=True)
        members = np.split(np.argsort(index, kind="stable"), np.cumsum(np.bincount(index))[:-1])
        draws = (rng.integers(0, len(members), len(members)) for _ in range(RESAMPLES))
        found = [statistic(np.concatenate([members[i] for i in draw])) for draw in draws]
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)
