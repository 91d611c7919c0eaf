"""What a field log says of a model, as tables on the screen."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape

from edgekd.measures.field import FieldScores, Proportion
from edgekd.reports.evaluation import percent
from edgekd.reports.screen import Table

SHORT = 12  # digits of a sha256 that tell models apart


def show(model: str, sha256: str, found: FieldScores, console: Console) -> None:
    """Headline, and scores per class."""
    title = f"{escape(model)} {sha256[:SHORT]}: {found.accuracy.of} marked images, each taken as independent"
    table = Table(title=title, title_justify="left", box=None, show_header=False)
    table.add_row("accuracy", cell(found.accuracy))
    table.add_row("not sure", cell(found.unsure))
    table.add_row("accuracy where sure", cell(found.sure_accuracy))
    table.add_row("true class in the set", cell(found.set_coverage))
    verdict = "within noise" if found.ece <= found.ece_noise_p95 else "above noise"
    floor = f"a perfect model shows {found.ece_noise_floor:.4f}, up to {found.ece_noise_p95:.4f}: {verdict}"
    table.add_row("ECE", f"{found.ece:.4f} ({floor})")
    console.print(table)
    classes = Table(
        "class", "of its images [95 %]", "of its answers [95 %]", title="right, per class", title_justify="left"
    )
    for row in found.classes:
        classes.add_row(escape(row.label_name), cell(row.recall), cell(row.precision))
    for column in classes.columns[1:]:
        column.justify, column.no_wrap = "right", True
    console.print(classes)


def cell(found: Proportion | None) -> str:
    """93.40 % [91.20, 95.10], 467 of 500; a dash for None."""
    if found is None:
        return "–"
    low, high = found.interval
    return escape(f"{percent(found.share)} [{100 * low:.2f}, {100 * high:.2f}], {found.count} of {found.of}")
