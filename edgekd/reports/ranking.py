"""A ranking of candidates as a table on the screen."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.reports.screen import Table

if TYPE_CHECKING:
    from edgekd.ranking.result import CandidateRecord, Ranking


UNSTEADY = 0.25  # of the medians of rounds


def show(ranking: Ranking, console: Console) -> None:
    """One row for each candidate, the highest score first, and why some have no latency."""
    teacher = ranking.teacher
    title = (
        f"students for `{teacher.network}` ({teacher.parameters / 1e6:.2f} M parameters, {teacher.macs / 1e6:.0f} M MACs) "
        f"without training, on {ranking.images} images; 0 is the highest score"
    )
    draws = len(ranking.candidates[0].relation)
    header = ("candidate", "px", f"score (over {draws} draws)", "relation", "semantic", "params", "MACs", "int8, ms")
    table = Table(*header, title=escape(title), title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    for record in ranking.candidates:
        table.add_row(*_cells(record))
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    console.print(table)
    unsteady = [record.candidate for record in ranking.candidates if record.spread > UNSTEADY]
    if unsteady:
        text = f"times of {', '.join(unsteady)} differ between rounds by more than {UNSTEADY:.0%}: something else was running"
        console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False)
    for reason, names in _reasons(ranking).items():
        console.print(f"no int8 file of {', '.join(names)}: {reason}", highlight=False, markup=False)


def _cells(record: CandidateRecord) -> list[str]:
    spread = f" ({min(record.scores):z.4f} to {max(record.scores):z.4f})" if len(record.scores) > 1 else ""
    relation, semantic = (sum(part) / len(part) for part in (record.relation, record.semantic))
    return [
        escape(record.candidate),
        str(record.input_size),
        f"{record.score:z.4f}{spread}",
        f"{relation:z.4f}",
        f"{semantic:z.4f}",
        f"{record.network.parameters / 1e6:.2f} M",
        f"{record.network.macs / 1e6:.0f} M",
        "-" if record.median_ms is None else f"{record.median_ms:.2f}",
    ]


def _reasons(ranking: Ranking) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for record in ranking.candidates:
        if record.reason:
            found.setdefault(record.reason, []).append(record.candidate)
    return found
