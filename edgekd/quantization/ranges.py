"""Where activation ranges come from before any learning: minima and maxima, percentiles, least squares, running means."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.graph import HIGH, LOW

BINS = 2048
PERCENTILE = 0.9999  # of the values, kept; the outermost 0.01 % are clipped
CANDIDATES = 100  # shares of the full range that `mse` tries
RUNNING = 0.05  # weight of the newest batch in running minima and maxima

Ranges = dict[str, tuple[float, float]]


class Extremes:
    """Minimum and maximum of every activation; with `momentum`, the running means of the batches' ones."""

    def __init__(self, momentum: float | None = None) -> None:
        self.momentum = momentum
        self.found: dict[str, tuple[float, float]] = {}

    def __call__(self, name: str, values: Tensor) -> None:
        """Take in one batch."""
        low, high = (float(v) for v in torch.aminmax(values))
        if name in self.found:
            a, b = self.found[name]
            m = self.momentum
            low, high = (min(a, low), max(b, high)) if m is None else (a + m * (low - a), b + m * (high - b))
        self.found[name] = low, high


class Histograms:
    """A histogram of every activation between its extremes."""

    def __init__(self, extremes: Ranges) -> None:
        self.extremes = extremes
        self.counts: dict[str, Tensor] = {}

    def __call__(self, name: str, values: Tensor) -> None:
        """Take in one batch."""
        low, high = self.extremes[name]
        found = torch.histc(values.float(), BINS, low, max(high, low + 1e-6)).double().cpu()
        self.counts[name] = self.counts[name] + found if name in self.counts else found

    def middles(self, name: str) -> Tensor:
        """The middles [BINS] of the bins."""
        low, high = self.extremes[name]
        width = max(high - low, 1e-6) / BINS
        return low + width * (torch.arange(BINS, dtype=torch.float64) + 0.5)


@torch.inference_mode()
def observe(network: FakeQuantNetwork, batches: Iterable[Tensor], observer: Callable[[str, Tensor], None]) -> None:
    """Show `observer` every activation of the float network on `batches` of views."""
    was = network.quantizing
    network.eval()
    network.quantizing, network.observer = False, observer
    try:
        for views in batches:
            network(views)
    finally:
        network.quantizing, network.observer = was, None


def running(network: FakeQuantNetwork, batches: Iterable[Tensor]) -> Ranges:
    """Running means of the batches' minima and maxima: where learnt ranges start (Jacob et al., CVPR 2018)."""
    extremes = Extremes(RUNNING)
    observe(network, batches, extremes)
    return extremes.found


def post_training(network: FakeQuantNetwork, batches: Callable[[], Iterable[Tensor]]) -> dict[str, Ranges]:
    """Ranges of post-training quantization by method: `minmax`, `percentile`, `mse`; two passes over `batches()`."""
    extremes = Extremes()
    observe(network, batches(), extremes)
    histograms = Histograms(extremes.found)
    observe(network, batches(), histograms)
    names = list(extremes.found)
    return {
        "minmax": extremes.found,
        "percentile": {n: percentile(histograms.middles(n), histograms.counts[n]) for n in names},
        "mse": {n: least_squares(histograms.middles(n), histograms.counts[n]) for n in names},
    }


def percentile(middles: Tensor, counts: Tensor, kept: float = PERCENTILE) -> tuple[float, float]:
    """The range that leaves out (1 - kept) / 2 of the values at either end of a histogram."""
    share = counts.cumsum(0) / counts.sum()
    outside = (1 - kept) / 2
    low = int(torch.searchsorted(share, torch.tensor(outside, dtype=share.dtype)))
    high = int(torch.searchsorted(share, torch.tensor(1 - outside, dtype=share.dtype)))
    last = len(middles) - 1
    return float(middles[min(low, last)]), float(middles[min(high, last)])


def least_squares(middles: Tensor, counts: Tensor) -> tuple[float, float]:
    """The range whose grid has the least mean squared error on a histogram, of shares of the full range (both ends)."""
    low, high = min(float(middles[0]), 0.0), max(float(middles[-1]), 0.0)
    best, found = float("inf"), (low, high)
    for step in range(1, CANDIDATES + 1):
        share = step / CANDIDATES
        a, b = share * low, share * high
        scale = max(b - a, 1e-12) / (HIGH - LOW)
        zero = round(LOW - a / scale)
        rounded = (torch.clamp(torch.round(middles / scale) + zero, LOW, HIGH) - zero) * scale
        error = float((counts * (rounded - middles) ** 2).sum())
        if error < best:
            best, found = error, (a, b)
    return found
