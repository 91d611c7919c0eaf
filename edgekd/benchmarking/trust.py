"""Why a number cannot be trusted, in words: one small function per reason."""

from __future__ import annotations

from collections.abc import Iterator

from edgekd.benchmarking.schema import HardwareMeasurement, TimedRow
from edgekd.measures.latency import spread

HOT_C = 80.0
SPREAD = 0.1
FEW_RUNS = 100
SLOWS = 0.9
SHARE = 0.9
LOW_BATTERY = 20.0  # %: phones begin to save power
SHARE_OF_EACH = 0.7  # of several threads, which also wait for each other


def warnings(row: TimedRow) -> tuple[str, ...]:
    """The warnings of a row; emulated numbers are numerics, which are exact."""
    measured = row.measurement
    if not isinstance(measured, HardwareMeasurement):
        return ()
    return (*_kernels(row), *_machine(row, measured), *_samples(row, measured))


def _kernels(row: TimedRow) -> Iterator[str]:
    if row.ran.name == "tflite-runtime" and row.ran.delegate == "built-in" and row.scheme == "static_wi8_ai8":
        yield "tflite-runtime runs int8 without XNNPACK, at about a tenth of the speed: install ai-edge-litert"
    elif row.runtime == "tflite" and row.ran.delegate == "built-in":
        yield "the built-in kernels ran, not XNNPACK: about a tenth of the speed"
    if row.ran.threads_ran is not None and row.ran.threads_ran != row.threads:
        yield f"{row.ran.threads_ran} of {row.threads} threads did the work"


def _machine(row: TimedRow, measured: HardwareMeasurement) -> Iterator[str]:
    is_phone = row.system.system.startswith("Android")  # whose governor no one can choose
    if row.system.governor not in ("", "performance") and not is_phone:
        yield f"the clock is governed by {row.system.governor!r}, not 'performance'"
    loads = [c.load_1min for c in (*measured.before, *measured.after) if c.load_1min is not None]
    if loads and max(loads) > row.threads + 0.5:  # the benchmark alone makes a load of its threads
        yield f"other work on the machine: load {max(loads):.1f}"
    threads = min(row.ran.threads_ran or row.threads, row.threads)
    least = SHARE if threads == 1 else SHARE_OF_EACH * threads
    if measured.processor_share is not None and measured.processor_share < least:
        yield f"other work took the processor: this process had {measured.processor_share:.2f} of {threads}"
    filters = {a.compiled for a in measured.attended} - {"", "speed"}
    if filters:
        yield f"the app's Java was compiled as {min(filters)!r}, not 'speed': decoding and resizing may be slower"
    throttled = [c.throttling or "throttled" for c in (*measured.before, *measured.after) if c.throttled]
    if throttled:
        yield f"throttled: {throttled[-1]}"
    temperatures = [c.temperature_c for c in measured.after if c.temperature_c is not None]
    if temperatures and max(temperatures) >= HOT_C:
        yield f"hot: {max(temperatures):.0f} °C"
    batteries = [c.battery_percent for c in measured.after if c.battery_percent is not None and not c.charging]
    if batteries and min(batteries) < LOW_BATTERY:
        yield f"battery at {min(batteries):.0f} %: the phone may save power"


def _samples(row: TimedRow, measured: HardwareMeasurement) -> Iterator[str]:
    apart = spread(measured.latency.round_medians_ms)
    if apart > SPREAD:
        yield f"medians of the rounds are {apart:.0%} apart"
    if measured.latency.count < FEW_RUNS:
        yield f"{measured.latency.count} runs: p99 is not much more than the slowest"
    if measured.sustained and measured.sustained.last_over_first < SLOWS:
        yield f"slows down to {measured.sustained.last_over_first:.0%} in the long run"
    if measured.limit and measured.limit.ratio < 1:
        yield "faster than its arithmetic limit: the clock is higher than the machine says"
