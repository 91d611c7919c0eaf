"""Two benchmarks side by side on the screen: what changed in every row that both have."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.benchmarking.comparison import Change, Comparison
from edgekd.reports.screen import Table

MARK = "[bold]*[/]"


def show(found: Comparison, console: Console) -> None:
    """The table, what only one of them has, and what goes beyond a limit."""
    table = Table(box=SIMPLE, title="after against before", title_justify="left", pad_edge=False, padding=0)
    table.add_column("artefact", min_width=11)
    table.add_column("device", min_width=5)
    for column in ("thr", "Δ pp (p)", "Δ ECE", "latency × [95 %]", "size", "RAM"):
        table.add_column(column, justify="right", no_wrap=True)
    for change in found.changes:
        table.add_row(escape(change.format), escape(change.device), str(change.threads), *_cells(change))
    console.print(table)
    console.print(f"{MARK} significant at 5 %; {_summary(found)}", highlight=False, soft_wrap=True)
    if any(c.latency and c.latency.rounds < 2 for c in found.changes):
        text = "one round only: the error between processes is not in the interval of latency; measure with --rounds 3"
        console.print(f"[yellow]note:[/] {text}", highlight=False, soft_wrap=True)
    for words, rows in (("only before", found.lost), ("only after", found.new)):
        if rows:
            console.print(f"[yellow]{words}:[/] {escape('; '.join(rows))}", highlight=False, soft_wrap=True)
    for note in found.notes:
        console.print(f"[yellow]note:[/] {escape(note)}", highlight=False, soft_wrap=True)
    for excess in found.exceeded:
        console.print(f"[red]over the limit:[/] {escape(str(excess))}", highlight=False, soft_wrap=True)
    if found.limits and not found.exceeded:
        console.print(f"[green]within the limits[/] of {', '.join(found.limits)}", highlight=False, soft_wrap=True)


def _summary(found: Comparison) -> str:
    accuracy = sum(c.accuracy.is_significant for c in found.changes)
    latency = sum(bool(c.latency and c.latency.is_significant) for c in found.changes)
    test = "p by group; " if any(c.accuracy.groups for c in found.changes) else ""
    return f"{test}accuracy changed in {accuracy}, latency in {latency} of {len(found.changes)} rows"


def _cells(change: Change) -> list[str]:
    a, t, memory = change.accuracy, change.latency, change.peak_rss_mib
    p = "" if a.p is None else f" ({a.p:.2f})"
    latency = ""
    if t:
        low, high = t.interval
        latency = escape(f"{t.ratio:.2f} [{low:.2f}, {high:.2f}]") + (MARK if t.is_significant else "")
    return [
        f"{a.change_pp:+.2f}{p}{MARK if a.is_significant else ''}",
        f"{change.ece[1] - change.ece[0]:+.3f}",
        latency,
        f"{change.size_bytes[1] / max(change.size_bytes[0], 1):.2f}",
        f"{memory[1] / memory[0]:.2f}" if memory and memory[0] > 0 else "",
    ]
