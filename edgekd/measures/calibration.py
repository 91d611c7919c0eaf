"""Calibration: does a confidence of 0.8 mean right eight times in ten? Errors, proper scores, the noise floor, temperature.

NumPy only (SciPy where a temperature is fitted), so that devices can use it. Probabilities are [N, K] with rows that sum
to 1, labels [N]; every function raises ValueError if N is 0, shapes disagree or rows are no probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.errors import missing_package

BINS = 15
TEMPERATURE_RANGE = (0.05, 20.0)
SMALLEST = 1e-12  # probabilities are clipped here before a logarithm
CHUNK = 4_000_000  # random numbers drawn at a time: tens of MiB, for devices


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
    """Probabilities [N, K] float64 of logits [N, K] divided by the temperature.

    Raises: ValueError for logits that are not finite or not [N, K], or a temperature that is not finite and positive.
    """
    return np.exp(_log_softmax(_check_logits(logits), temperature))


def _check_logits(logits: np.ndarray) -> np.ndarray:
    z = np.asarray(logits, np.float64)
    if z.ndim != 2 or not np.isfinite(z).all():
        raise ValueError(f"expected finite logits [N, K], found {z.shape}, {int((~np.isfinite(z)).sum())} not finite")
    return z


def _log_softmax(z: np.ndarray, temperature: float) -> np.ndarray:
    if not (np.isfinite(temperature) and temperature > 0):
        raise ValueError(f"expected a finite positive temperature, found {temperature}")
    z = (z - z.max(axis=1, keepdims=True)) / temperature
    return z - np.log(np.exp(z).sum(axis=1, keepdims=True))


def nll(probs: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-likelihood in nats; a probability below 1e-12 counts as 1e-12."""
    return float(log_loss(probs, labels).mean())


def log_loss(probs: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Negative log-likelihood [N] of each image in nats; a probability below 1e-12 counts as 1e-12."""
    p, y = check(probs, labels)
    return -np.log(np.maximum(p[np.arange(len(y)), y], SMALLEST))


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
        ReliabilityBin(float(edges[i]), float(edges[i + 1]), int(count[i]), float(c[i] / n[i]), float(a[i] / n[i]))
        for i in range(bins)
    ]


def bin_index(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin (low, high] of each confidence; 0 counts to the first.

    Raises: ValueError if there is not at least one bin.
    """
    _check_bins(bins)
    # searchsorted on the same edges that are reported: ceil(c * bins) errs where c * bins is rounded.
    return np.clip(np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="left") - 1, 0, bins - 1)


def _check_bins(bins: int) -> None:
    if bins < 1:
        raise ValueError(f"expected at least 1 bin, found {bins}")


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
    """ECE with bins of equal mass instead of equal width (Nguyen & O'Connor, EMNLP 2015).

    Equal confidences share a bin, so that the order of the images does not matter.
    """
    p, y = check(probs, labels)
    index = mass_index(p.max(1), bins)
    gap = (p.argmax(1) == y) - p.max(1)
    return float(np.abs(np.bincount(index, gap)).sum() / len(gap))


def mass_index(confidence: np.ndarray, bins: int) -> np.ndarray:
    """The bin of each confidence where each bin takes N / bins images in ascending order and ties stay together."""
    _check_bins(bins)
    _, inverse, count = np.unique(confidence, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - count / 2  # of the ranks that a value holds, in (0, N)
    return (middle * bins / len(confidence)).astype(np.int64)[inverse]


def classwise_ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Mean over classes of the ECE of that class's probability (Kull et al., NeurIPS 2019)."""
    p, y = check(probs, labels)
    return float(np.mean([_ece(p[:, k], (y == k)[None], bins)[0] for k in range(p.shape[1])]))


def debiased_ece(probs: np.ndarray, labels: np.ndarray, bins: int = BINS) -> float:
    """Square root of the debiased squared calibration error over bins of equal mass, 0 if the estimate is negative.

    Per bin (mean accuracy - mean confidence)² - a (1 - a) / (n - 1) (Kumar et al., NeurIPS 2019, section 5).
    """
    p, y = check(probs, labels)
    index, confidence, right = mass_index(p.max(1), bins), p.max(1), (p.argmax(1) == y).astype(np.float64)
    count = np.bincount(index)
    told = count > 1  # one image tells nothing of its bin's variance
    n = count[told]
    c, a = (np.bincount(index, w)[told] / n for w in (confidence, right))
    total = (n * ((a - c) ** 2 - a * (1 - a) / (n - 1))).sum() / len(y)
    return float(np.sqrt(max(0.0, total)))


def noise_floor(probs: np.ndarray, bins: int = BINS, draws: int = 1000, seed: int = 0) -> tuple[float, float]:
    """Mean and 95th percentile of the ECE that a perfectly calibrated model with these confidences would show.

    Correctness is drawn with probability equal to the confidence, `draws` times; an ECE below this says nothing.
    Raises: ValueError as the module says, or without a draw.
    """
    if draws < 1:
        raise ValueError(f"expected at least 1 draw, found {draws}")
    p, _ = check(probs, np.zeros(len(probs), int))
    confidence = p.max(1)
    rng, rows = np.random.default_rng(seed), max(1, CHUNK // len(confidence))
    parts = (min(rows, draws - begin) for begin in range(0, draws, rows))
    found = np.concatenate([_ece(confidence, rng.random((n, len(confidence))) < confidence, bins) for n in parts])
    return float(found.mean()), float(np.quantile(found, 0.95))


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature in TEMPERATURE_RANGE that minimises the NLL of softmax(logits / T) (Guo et al., ICML 2017).

    Logits [N, K], labels [N]. The NLL is convex in 1 / T, so the search cannot end in a wrong minimum. It is at the lower end
    of the range where every answer is right, at the upper where logits mislead: no finite sample tells a more extreme one.
    1 where no temperature is better than that.
    Raises: ValueError as the module says, or for logits that are not finite.
    """
    try:
        from scipy.optimize import minimize_scalar
    except ModuleNotFoundError:
        raise missing_package("scipy", "train", "fitting a temperature") from None
    z = _check_logits(logits)
    _, y = check(softmax(z), labels)

    def loss(log_t: float) -> float:  # not `nll`: its clipping would make plateaus
        return float(-_log_softmax(z, np.exp(log_t))[np.arange(len(y)), y].mean())

    low, high = (float(np.log(t)) for t in TEMPERATURE_RANGE)
    found = float(minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6}).x)
    return float(np.exp(min((0.0, low, high, found), key=loss)))
