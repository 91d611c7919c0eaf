"""A benchmark without test images as tables on the screen: times, memory, and how golden images are answered."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.benchmarking.schema import DeviceRecord, HardwareMeasurement, TimedRow, TimesReport
from edgekd.reports.benchmark import MIB, processor, ran, show_paced, show_troubles
from edgekd.reports.screen import Table

SILENT = (
    "nothing is said of accuracy: there were no images to answer; --data PATH names some, in class folders or a CSV"
)


def show(report: TimesReport, console: Console) -> None:
    """A table per device, what failed or was left out, what cannot be trusted, and what is missing."""
    for name, device in report.devices.items():
        rows = [row for row in report.rows if row.device == name]
        if rows:
            console.print(_table(name, device, rows))
        if device.failure:
            console.print(f"[red]{escape(name)} failed[/]: {escape(device.failure)}", highlight=False, soft_wrap=True)
    show_paced(report.rows, console)
    show_troubles(report, console)
    console.print(f"[bold yellow]{SILENT}[/]", highlight=False, soft_wrap=True)


def _table(name: str, device: DeviceRecord, rows: list[TimedRow]) -> Table:
    timed = device.provenance == "hardware"
    title = f"{name} · {device.provenance} · {processor(rows[0])} · {rows[0].golden.images} golden images"
    table = Table(box=SIMPLE, title=escape(title), title_justify="left", pad_edge=False, padding=0)
    table.caption_justify = "left"
    table.caption = escape("; ".join(dict.fromkeys(ran(row) for row in rows)))
    table.caption += "\ngolden Δ: largest change of a probability since the file was verified"
    table.caption += "; RAM: MiB that the artefact adds to its runtime" if timed else ""
    table.add_column("artefact", min_width=12)
    columns = ["median ms", "p90 ms", "load ms", "RAM"] if timed else []
    for column in ("thr", "MiB", *columns, "golden Δ"):
        table.add_column(column, justify="right", min_width=3 if column == "thr" else 5)
    for row in rows:
        change = f"{row.golden.largest_change:.1g}"
        table.add_row(escape(row.format), str(row.threads), f"{row.size_bytes / MIB:.2f}", *_times(row), change)
    return table


def _times(row: TimedRow) -> list[str]:
    m = row.measurement
    if not isinstance(m, HardwareMeasurement):
        return []
    return [
        f"{m.latency.median_ms:.2f}",
        f"{m.latency.p90_ms:.2f}",
        f"{m.load_ms:.1f}",
        f"{m.memory.increase_mib:.1f}",
    ]
