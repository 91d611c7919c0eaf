"""A benchmark as tables on the screen: one row per artefact, runtime, device and number of threads."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.benchmarking.comparison import row_name
from edgekd.benchmarking.schema import (
    DeviceRecord,
    Findings,
    FromFiles,
    HardwareMeasurement,
    PacedRun,
    Report,
    Row,
    TimedRow,
)
from edgekd.benchmarking.verdict import judge
from edgekd.devices.document import Window
from edgekd.reports.screen import Table

MIB = 2**20
SHOWN = 4  # rows named one by one
NUMBER = re.compile(r"\d+(?:\.\d+)?", re.ASCII)
HEAT = (  # what tells of it, in words, with so many digits
    ("temperature_c", "{} °C", ".1f"),
    ("battery_temperature_c", "battery {} °C", ".1f"),
    ("thermal_headroom", "thermal headroom {}", ".2f"),
)
COLOURS = {"ship": "bold green", "wait": "bold yellow", "nothing": "bold red"}


def show(report: Report, console: Console) -> None:
    """A table per device, what failed, what cannot be trusted, and the verdict."""
    for name, device in report.devices.items():
        rows = [row for row in report.rows if row.device == name]
        if rows:
            console.print(_table(name, device, rows))
        if device.failure:
            console.print(f"[red]{escape(name)} failed[/]: {escape(device.failure)}", highlight=False, soft_wrap=True)
    show_paced(report.rows, console)
    for row in report.rows:
        if row.numerics.from_files:
            text = f"files: {row_name(row)}, {from_files(row.numerics.from_files)}"
            console.print(escape(text), highlight=False, soft_wrap=True)
    show_troubles(report, console)
    found = judge(report)
    console.print(f"[{COLOURS[found.outcome]}]{escape(found.sentence)}[/]", highlight=False, soft_wrap=True)


def show_paced(rows: Sequence[TimedRow], console: Console) -> None:
    """Long runs, and single ones at a camera's rate: a line for each row and rate."""
    for row in rows:
        if text := long_run(row):
            console.print(escape(f"long run: {row_name(row)}, {text}"), highlight=False, soft_wrap=True)
        for text in paced(row):
            console.print(escape(f"camera: {row_name(row)}, {text}"), highlight=False, soft_wrap=True)


def paced(row: TimedRow) -> list[str]:
    """At 10 frames a second: 2.31 ms, p90 2.60 (back to back 1.72 ms); 0 of 100 frames dropped; 54.1 °C."""
    m = row.measurement
    if not isinstance(m, HardwareMeasurement):
        return []
    found = []
    for run in m.paced:
        times = (
            f"{run.latency.median_ms:.2f} ms, p90 {run.latency.p90_ms:.2f} (back to back {m.latency.median_ms:.2f} ms)"
        )
        frames = f"{run.dropped} of {run.runs + run.dropped} frames dropped"
        found.append("; ".join(filter(None, (f"at {run.fps:g} frames a second: {times}", frames, heat(run)))))
    return found


def long_run(row: TimedRow) -> str:
    """In 300 s without a pause: 91 % of its first speed; battery 31.5 to 36.0 °C; "" where there was none."""
    m = row.measurement
    if not isinstance(m, HardwareMeasurement) or m.sustained is None:
        return ""
    run = m.sustained
    words = f"in {run.seconds:.0f} s without a pause: {100 * run.last_over_first:.0f} % of its first speed"
    return "; ".join(filter(None, (words, heat(run.windows[0], run.windows[-1]))))


def heat(*moments: PacedRun | Window) -> str:
    """54.1 °C, battery 31.5 to 36.0 °C, thermal headroom 0.45 to 0.80: at these moments, of what the device tells."""
    words = []
    for name, form, digits in HEAT:
        values = [value for moment in moments if (value := getattr(moment, name)) is not None]
        if values:
            words.append(form.format(" to ".join(format(value, digits) for value in values)))
    return ", ".join(words)


def from_files(found: FromFiles) -> str:
    """16 images answered from their files: decoded otherwise 3 (1 other answer), resized otherwise 0 (0 other answers), …"""
    decoder, resize = _answers(found.decoder_answers), _answers(found.resize_answers)
    steps = [
        f"decoded otherwise {found.decoded_differ} ({decoder})",
        f"resized otherwise {found.pixels_differ} ({resize})",
    ]
    if found.kernel_answers is not None:
        steps.append(f"kernels {_answers(found.kernel_answers)}")
    if found.not_decoded:
        steps.append(f"not decoded {found.not_decoded}")
    change = f"a probability changes by {found.largest_change:.2g} at most"
    return f"{len(found.rows)} images answered from their files: {', '.join(steps)}; {change}"


def _answers(count: int) -> str:
    return f"{count} other answer{'' if count == 1 else 's'}"


def show_troubles(report: Findings, console: Console) -> None:
    """Rows that failed, artefacts that were left out, and numbers that cannot be trusted."""
    for failed in report.failed:
        what = f"{row_name(failed)}, stage {failed.stage}"
        console.print(f"[red]failed[/] {escape(what)}: {escape(failed.reason)}", highlight=False, soft_wrap=True)
    for one in report.left_out:
        console.print(f"[red]left out[/] {escape(f'{one.format}: {one.reason}')}", highlight=False, soft_wrap=True)
    for warning, where in warnings(report).items():
        console.print(f"[yellow]warning[/] ({escape(where)}): {escape(warning)}", highlight=False, soft_wrap=True)


def warnings(report: Findings) -> dict[str, str]:
    """Every kind of warning once, with the rows that it is about, in words; numbers that differ become ranges."""
    kinds: dict[str, list[tuple[str, TimedRow]]] = {}
    for row in report.rows:
        for warning in dict.fromkeys(row.warnings):
            kinds.setdefault(NUMBER.sub("#", warning), []).append((warning, row))
    return {_merged([w for w, _ in found]): _where([row for _, row in found], report) for found in kinds.values()}


def _merged(texts: list[str]) -> str:
    """Texts that differ in their numbers alone as one: load 4.0–4.9."""
    numbers = zip(*(NUMBER.findall(text) for text in texts), strict=True)
    ranges = (sorted(set(values), key=float) for values in numbers)
    words = iter([values[0] if len(values) == 1 else f"{values[0]}–{values[-1]}" for values in ranges])
    return NUMBER.sub(lambda _: next(words), texts[0])


def _where(rows: list[TimedRow], report: Findings) -> str:
    """`all of pi5`, how many of it, or the rows one by one."""
    rows = list({row.key: row for row in rows}.values())
    words = []
    for device in dict.fromkeys(row.device for row in rows):
        here = [row for row in rows if row.device == device]
        total = sum(row.device == device for row in report.rows)
        if len(here) == total > 1:
            words.append(f"all of {device}")
        elif len(here) > SHOWN:
            words.append(f"{len(here)} of {total} rows of {device}")
        else:
            words += [row_name(row) for row in here]
    return "; ".join(words)


def _table(name: str, device: DeviceRecord, rows: list[Row]) -> Table:
    """An emulated device's table has no columns for time and memory."""
    title = f"{name} · {device.provenance} · {processor(rows[0])} · {rows[0].numerics.evaluation.images} images"
    timed = device.provenance == "hardware"
    columns = ["thr", "MiB", "acc. %", "Δ pp", "flips", "ECE"]
    columns += ["median ms", "p90 ms", "RAM"] if timed else ["dot products"]
    table = Table(box=SIMPLE, title=escape(title), title_justify="left", pad_edge=False, padding=0)
    table.caption_justify = "left"
    table.caption = escape("; ".join(dict.fromkeys(ran(row) for row in rows)))
    by_group = any(row.numerics.drift and row.numerics.drift.groups for row in rows)
    table.caption += "\n* significant at 5 %" + (" by group" if by_group else "")
    table.caption += "; RAM: MiB that the artefact adds to its runtime" if timed else ""
    table.add_column("artefact", min_width=12)
    for column in columns:
        table.add_column(column, justify="right", min_width=3 if column == "thr" else 5)
    for row in rows:
        table.add_row(escape(row.format), str(row.threads), *_numbers(row), *_measured(row))
    return table


def processor(row: TimedRow) -> str:
    """What it ran on, as the device or its emulator says."""
    if not isinstance(row.measurement, HardwareMeasurement):
        return f"{row.measurement.emulation.cpu_model} in {row.measurement.emulation.emulator}"
    return row.system.cpu or row.system.machine


def ran(row: TimedRow) -> str:
    """The runtime: LiteRT 2.1.0 (XNNPACK)."""
    return f"{row.ran.name} {row.ran.version} ({row.ran.delegate})"


def _numbers(row: Row) -> list[str]:
    e, drift = row.numerics.evaluation, row.numerics.drift
    change = flips = ""
    if drift:
        change = f"{drift.accuracy_change_pp:+.2f}{'*' if drift.is_significant else ''}"
        flips = str(len(drift.flips))
    return [f"{row.size_bytes / MIB:.2f}", f"{100 * e.accuracy:.2f}", change, flips, f"{e.ece:.3f}"]


def _measured(row: Row) -> list[str]:
    m = row.measurement
    if not isinstance(m, HardwareMeasurement):
        return [dot_products(m.emulation.instructions)]
    return [f"{m.latency.median_ms:.2f}", f"{m.latency.p90_ms:.2f}", f"{m.memory.increase_mib:.1f}"]


def dot_products(instructions: dict[str, int]) -> str:
    """How many of an emulator's instructions were dot products of int8; "" where it did not count."""
    count = instructions.get("sdot")
    return "" if count is None else f"{count:,}"
