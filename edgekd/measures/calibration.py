"""Calibration: does a confidence of 0.8 mean right eight times in ten? Errors, proper scores, the noise floor, temperature.

NumPy only (SciPy where a temperature is fitted), so that devices can use it. Probabilities are [N, K] with rows that sum
to 1, labels [N]; every function raises ValueError if N is 0, shapes disagree or rows are no probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BINS = 15
TEMPERATURE_RANGE = (0.05, 20.0)
SMALLEST = 1e-12  # probabilities are clipped here before a logarithm


def check(probs: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The inputs as float64 and int64 arrays.

    Raises: ValueError as the module says.
    """
    p, y = np.asarray(probs, np.float64), np.asarray(labels)
    if p.ndim != 2 or y.shape != p.shape[:1] or not len(p):
        raise ValueError(f"expected probs [N, K] and labels [N] with N > 0, found {p.shape} and {y.shape}")
    if not np.isfinite(p).all() or (p < 0).any() or np.abs(p.sum(1) - 1).max() > 1e-3:
        raise ValueError("expected rows of probabilities that sum to 1")
    if not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= p.shape[1]:
        raise ValueError(f"expected integer labels from 0 to {p.shape[1] - 1}, found {y.dtype} {y.min()} to {y.max()}")
    return p, y.astype(np.int64)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Probabilities [N, K] float64 of logits [N, K] divided by the temperature."""
    z = np.asarray(logits, np.float64) / temperature
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def nll(probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats."""
    p, y = check(probs, labels)
    return float(-np.log(np.maximum(p[np.arange(len(y)), y], SMALLEST)).mean())


def brier(probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean squared distance between probabilities and one-hot labels, summed over classes: 0 to 2 (Brier, 1950)."""
    p, y = check(probs, labels)
    return float(np.square(p - np.eye(p.shape[1])[y]).sum(1).mean())


@dataclass(frozen=True)
class ReliabilityBin:
    """One bin (low, high] of top-1 confidence; confidence and accuracy are means over its `count` images."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


def reliability_bins(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> list[ReliabilityBin]:
    """Equal-width bins of top-1 confidence; means of an empty bin are 0."""
    p, y = check(probs, labels)
    confidence, right = p.max(1), (p.argmax(1) == y).astype(np.float64)
    index = bin_index(confidence, bins)
    count, c, a = (np.bincount(index, w, bins) for w in (None, confidence, right))
    n = np.maximum(count, 1)
    edges = np.linspace(0, 1, bins + 1)
    return [
        ReliabilityBin(*(float(e) for e in edges[i : i + 2]), int(count[i]), float(c[i] / n[i]), float(a[i] / n[i]))
        for i in range(bins)
    ]


def bin_index(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin (low, high] of each confidence; 0 counts to the first."""
    # searchsorted on the same edges that are reported: ceil(c * bins) errs where c * bins is rounded.
    return np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="left") - 1, 0, bins - 1)


def ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Expected calibration error, a fraction in [0, 1]: equal-width bins (low, high] on top-1 confidence.

    Source: Guo et al., ICML 2017.
    """
    p, y = check(probs, labels)
    return float(_ece(p.max(1), (p.argmax(1) == y)[None], bins)[0])


def _ece(confidence: np.ndarray, right: np.ndarray, bins: int) -> np.ndarray:
    """ECE [D] for D draws of correctness [D, N] at the same confidences [N]."""
    index = bin_index(confidence, bins)
    gap = right - confidence
    sums = np.stack([gap[:, index == b].sum(1) for b in np.unique(index)])
    return np.abs(sums).sum(0) / len(confidence)


def adaptive_ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """ECE with bins of equal mass instead of equal width (Nguyen & O'Connor, EMNLP 2015)."""
    p, y = check(probs, labels)
    order = np.argsort(p.max(1), kind="stable")
    gap = ((p.argmax(1) == y) - p.max(1))[order]
    return float(sum(abs(part.sum()) for part in np.array_split(gap, min(bins, len(gap)))) / len(gap))


def classwise_ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Mean over classes of the ECE of that class's probability (Kull et al., NeurIPS 2019)."""
    p, y = check(probs, labels)
    return float(np.mean([_ece(p[:, k], (y == k)[None], bins)[0] for k in range(p.shape[1])]))


def debiased_ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Square root of the debiased squared calibration error over bins of equal mass, 0 if the estimate is negative.

    Per bin (mean accuracy - mean confidence)² - a (1 - a) / (n - 1) (Kumar et al., NeurIPS 2019, section 5).
    """
    p, y = check(probs, labels)
    order = np.argsort(p.max(1), kind="stable")
    confidence, right = p.max(1)[order], (p.argmax(1) == y)[order].astype(np.float64)
    total = 0.0
    for part in np.array_split(np.arange(len(y)), min(bins, len(y))):
        if len(part) > 1:
            a = right[part].mean()
            total += len(part) / len(y) * ((a - confidence[part].mean()) ** 2 - a * (1 - a) / (len(part) - 1))
    return float(np.sqrt(max(0.0, total)))


def noise_floor(probs: np.ndarray, bins: int = BINS, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and 95th percentile of the ECE that a perfectly calibrated model with these confidences would show.

    Correctness is drawn with probability equal to the confidence, `draws` times; an ECE below this says nothing.
    """
    p, _ = check(probs, np.zeros(len(probs), int))
    confidence = p.max(1)
    right = np.random.default_rng(seed).random((draws, len(confidence))) < confidence
    found = _ece(confidence, right, bins)
    return float(found.mean()), float(np.quantile(found, 0.95))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in TEMPERATURE_RANGE that minimises the NLL of softmax(logits / T) (Guo et al., ICML 2017).

    Where every answer is right the minimum is at the lower end of the range: no finite sample tells a smaller one.
    """
    from scipy.optimize import minimize_scalar

    check(softmax(logits), labels)
    bounds = tuple(np.log(TEMPERATURE_RANGE))
    found = minimize_scalar(
        lambda log_t: nll(softmax(logits, np.exp(log_t)), labels),
        bounds=bounds,
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
