"""Latency: what a list of times says, and how far it is from what the processor's arithmetic units could do.

NumPy only. Times are in ms of one image, sampled after warm-up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Of times in ms; percentiles are interpolated, `std_ms` is that of the sample (n - 1), 0 for one time."""

    count: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float


def summarize(samples_ms: Sequence[float]) -> Summary:
    """What times say.

    Raises: ValueError for none, or for times that are not finite and positive.
    """
    times = np.asarray(samples_ms, np.float64)
    if times.ndim != 1 or not len(times) or not np.isfinite(times).all() or times.min() < 0:
        raise ValueError(f"expected finite times [N] with N > 0, found {times.shape}")
    median, p90, p99 = (float(q) for q in np.quantile(times, [0.5, 0.9, 0.99]))
    std = float(times.std(ddof=1)) if len(times) > 1 else 0.0
    return Summary(len(times), median, p90, p99, float(times.mean()), std)


def spread(medians_ms: Sequence[float]) -> float:
    """How far medians of the same thing are apart: (largest - smallest) / smallest; 0 for one of them.

    Between processes this is the error of a latency: memory lies elsewhere in each, and other work comes and goes.
    """
    low, high = min(medians_ms), max(medians_ms)
    return (high - low) / low if low > 0 else 0.0


@dataclass(frozen=True)
class Core:
    """Multiply-accumulates per cycle of one core, in float32 and in int8 with 32-bit sums."""

    name: str
    fp32: int
    int8: int


CORTEX = {
    "Cortex-A72": Core("Cortex-A72", 4, 8),
    "Cortex-A76": Core("Cortex-A76", 8, 32),
    "Cortex-X1": Core("Cortex-X1", 16, 64),
}
ZEN_3 = Core("AVX2", 16, 32)  # two 256-bit units
ZEN_4 = Core("Zen 4 with AVX-512 VNNI", 16, 64)
ZEN_5 = Core("Zen 5 with AVX-512 VNNI", 32, 128)  # two 512-bit units


def core(cpu: str, features: Sequence[str]) -> Core | None:
    """The core of a processor that a device calls `cpu`; None where it is not known, or is of several kinds."""
    if cpu in CORTEX:
        return CORTEX[cpu]
    family = re.search(r"AMD.*family (\d+)", cpu)
    if family and "avx512_vnni" in features:
        return {25: ZEN_4, 26: ZEN_5}.get(int(family[1]))
    return ZEN_3 if "avx2" in features and not {"avx512f", "avx_vnni"} & set(features) else None


def limit_ms(core: Core, macs: int, frequency_mhz: float, threads: int, is_int8: bool) -> float:
    """The time in ms in which arithmetic alone would be done: MACs / (MACs per cycle x clock x threads).

    Good kernels reach about 2.1 times that on one thread: pixels and weights have to be fetched too.
    """
    per_cycle = core.int8 if is_int8 else core.fp32
    return macs / (per_cycle * frequency_mhz * 1e3 * threads)
