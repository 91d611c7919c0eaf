"""The headline: which artefact to ship, in one sentence that the numbers alone decide."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from edgekd.benchmarking.schema import DriftRecord, HardwareMeasurement, Report, Row
from edgekd.measures.latency_ratio import Ratio, ratio

MAX_DROP_PP = 1.0  # a drop above this is too much, even where there are too few images to call it significant
ALIKE = 1.25  # sizes within this factor are alike: then speed decides
MUCH_FASTER = 0.1  # where the interval does not rule out so much, "not faster" would claim too much
WORST_CLASS_PP = 2.0  # a class that loses more is named
MINUS = "−"


@dataclass(frozen=True)
class Verdict:
    """`outcome`: "ship" a format, "wait" (the best one loses too much), or "nothing" was measured."""

    outcome: Literal["ship", "wait", "nothing"]
    sentence: str
    format: str = ""


def headline(report: Report) -> str:
    """The verdict's sentence."""
    return judge(report).sentence


def judge(report: Report) -> Verdict:
    """Which artefact to ship.

    An artefact keeps the accuracy if no row of it loses significantly (paired, by group where groups are
    known, at 5 %), and its rows with the most images
    no more than 1 pp. Of those that do, the smallest is the one to ship; of several of about that size, the fastest; of
    those that are not clearly slower, the one that needs the least memory. Where none does, the one that loses least is
    named. A row without a reference loses nothing that could be known.
    """
    formats = list(dict.fromkeys(row.format for row in report.rows))
    if not formats:
        return Verdict("nothing", f"nothing was measured: {_trouble(report)}")
    keep = [name for name in formats if not _loses(report, name)]
    if not keep:
        best = max(formats, key=lambda name: _change(_weakest(report, name)))
        return Verdict("wait", f"ship nothing yet: even {best} loses, {_facts(report, best)}", best)
    smallest = min(_size(report, name) for name in keep)
    alike = [name for name in keep if _size(report, name) <= ALIKE * smallest]
    best = _quick_and_lean(report, alike)
    return Verdict("ship", f"ship {best}: {_facts(report, best)}", best)


def baseline(report: Report, row: Row) -> Row | None:
    """The float32 row to compare with: same device and threads; same runtime if it has one; None for float32 itself."""
    found = [r for r in report.rows if r.scheme == "fp32" and (r.device, r.threads) == (row.device, row.threads)]
    if row.scheme == "fp32":
        return None
    return next((r for r in found if r.runtime == row.runtime), found[0] if found else None)


def speed(report: Report, row: Row) -> Ratio | None:
    """Time of a row over that of its baseline; None for an emulator, or where there is no baseline."""
    other = baseline(report, row)
    if other is None or not isinstance(row.measurement, HardwareMeasurement):
        return None
    if not isinstance(other.measurement, HardwareMeasurement):
        return None
    return ratio(other.measurement.latency.samples_ms, row.measurement.latency.samples_ms)


def change_words(drift: DriftRecord) -> str:
    """-0.2 pp (not significant)."""
    if not drift.flips:
        return "no answer changed"
    value = f"{drift.accuracy_change_pp:+.1f} pp".replace("-", MINUS)
    if drift.is_significant:
        return f"{value} (significant, p = {drift.tested_p:.2g})"
    return f"{value} (not significant)"


def _trouble(report: Report) -> str:
    troubles = [f"{name}: {device.failure}" for name, device in report.devices.items() if device.failure]
    troubles += [f"{f.format} on {f.device}: {f.reason}" for f in report.failed]
    more = f" (and {len(troubles) - 1} more)" if len(troubles) > 1 else ""
    return troubles[0] + more if troubles else "no artefact met a device"


def _rows(report: Report, name: str) -> list[Row]:
    return [row for row in report.rows if row.format == name]


def _change(row: Row) -> float:
    drift = row.numerics.drift
    return drift.accuracy_change_pp if drift else 0.0


def _loses(report: Report, name: str) -> bool:
    drifts = [row.numerics.drift for row in _rows(report, name)]
    significantly = any(d and d.accuracy_change_pp < 0 and d.is_significant for d in drifts)
    return significantly or _change(_weakest(report, name)) < -MAX_DROP_PP


def _weakest(report: Report, name: str) -> Row:
    """The row to quote: of those with the most images the one that loses most."""
    rows = _rows(report, name)
    most = max(row.numerics.evaluation.images for row in rows)
    return min((row for row in rows if row.numerics.evaluation.images == most), key=_change)


def _size(report: Report, name: str) -> int:
    return _rows(report, name)[0].size_bytes


def _on_hardware(report: Report, name: str) -> dict[str, Row]:
    """Per device of hardware, in the report's order, the row with the fewest threads."""
    rows = sorted(_rows(report, name), key=lambda row: row.threads, reverse=True)
    found = {row.device: row for row in rows if isinstance(row.measurement, HardwareMeasurement)}
    return {name: found[name] for name in report.devices if name in found}


def _quick_and_lean(report: Report, names: list[str]) -> str:
    """On the first device of hardware that ran them all; the smallest if there is none."""
    rows = {name: _on_hardware(report, name) for name in names}
    device = next((d for d in report.devices if all(d in found for found in rows.values())), None)
    if device is None:
        return min(names, key=lambda name: _size(report, name))
    found = {name: rows[name][device].measurement for name in names}
    times = {name: m.latency for name, m in found.items() if isinstance(m, HardwareMeasurement)}
    memory = {name: m.memory.increase_mib for name, m in found.items() if isinstance(m, HardwareMeasurement)}
    fastest = min(times, key=lambda name: times[name].median_ms)
    level = [n for n in times if n == fastest or ratio(times[fastest].samples_ms, times[n].samples_ms).low <= 1]
    return min(level, key=lambda name: memory[name])


def _facts(report: Report, name: str) -> str:
    """The clauses after the colon."""
    row = _weakest(report, name)
    e, drift = row.numerics.evaluation, row.numerics.drift
    accuracy = change_words(drift) if drift else f"accuracy {100 * e.accuracy:.1f} %"
    noise = "" if e.ece <= e.ece_noise_p95 else ", above its noise"
    clauses = [accuracy, *_worst_class(drift), f"ECE {e.ece:.3f}{noise}", *_smaller(report, name)]
    return ", ".join(clauses) + "; " + _speed_words(report, name)


def _worst_class(drift: DriftRecord | None) -> Iterable[str]:
    known = {n: v for n, v in drift.recall_change_pp.items() if v is not None} if drift else {}
    worst = min(known, key=lambda n: known[n], default="")
    if known and known[worst] < -WORST_CLASS_PP:
        yield f"recall of {worst} {known[worst]:+.1f} pp".replace("-", MINUS)


def _smaller(report: Report, name: str) -> Iterable[str]:
    others = (baseline(report, row) for row in _rows(report, name))
    other = next((row for row in others if row), None)
    if other:
        times = other.size_bytes / max(_size(report, name), 1)
        yield (
            f"{times:.1f}× smaller than {other.format}"
            if times >= 1
            else f"{1 / times:.1f}× the size of {other.format}"
        )


def _speed_words(report: Report, name: str) -> str:
    rows = _on_hardware(report, name)
    if not rows:
        return "its speed is not known: no hardware ran it"
    return ", ".join(_on(report, device, row) for device, row in rows.items())


def _on(report: Report, device: str, row: Row) -> str:
    place = "on this CPU" if report.devices[device].kind == "local" else f"on {device}"
    found, other = speed(report, row), baseline(report, row)
    if found is None or other is None:
        milliseconds = row.measurement.latency.median_ms if isinstance(row.measurement, HardwareMeasurement) else 0.0
        return f"{place} {milliseconds:.2f} ms"
    if found.high < 1:
        return f"{place} {1 / found.value:.1f}× faster than {other.format}"
    if found.low > 1:
        return f"{place} not faster than {other.format}, {found.value:.1f}× its time"
    if found.low < 1 - MUCH_FASTER:
        between = f"{found.low:.1f} to {found.high:.1f} times its time"
        return f"{place} too noisy to tell whether it is faster than {other.format} ({between})"
    return f"{place} not faster than {other.format}"
