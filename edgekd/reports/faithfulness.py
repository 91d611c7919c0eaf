"""How far explanations can be trusted, as tables on the screen."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.measures.explanations import RANDOM
from edgekd.measures.faithfulness import CURVES, RISES
from edgekd.measures.trust import MEASURES, Mean, Trust
from edgekd.reports.screen import Table

WORDS = {name: name.replace("_", " ") for name in CURVES}

CAUTION = (
    "Black specks in random order are like no picture: where they alone upset a network, deletion to black says little."
)


def show(trust: Trust, console: Console) -> None:
    """Areas with intervals, what beats a random order, the change from float network to file, and localisation."""
    units = f"{trust.images} images" + (f" of {trust.groups} groups" if trust.groups else "")
    console.print(_areas(trust, units))
    console.print(CAUTION, highlight=False, soft_wrap=True)
    for row in trust.rows:
        if lost := [WORDS[name] for name, c in row.curves.items() if c.better and not c.beats_chance]:
            say = f"[yellow]{row.method} on {escape(row.network)} is not shown to beat a random order by:[/] {', '.join(lost)}"
            console.print(say, highlight=False, soft_wrap=True)
    if trust.drift:
        console.print(_drift(trust))
    if trust.sanity:
        console.print(_sanity(trust))
    if any(row.localisation for row in trust.rows):
        console.print(_localisation(trust))


def _areas(trust: Trust, units: str) -> Table:
    columns = [f"{WORDS[c]} {'↑' if c in RISES else '↓'}" for c in CURVES]
    table = Table("method", "network", *columns, title=f"areas [95 %], {units}", title_justify="left", box=SIMPLE)
    for row in trust.rows:
        if row.curves:
            style = "dim" if row.method == RANDOM else ""
            table.add_row(row.method, escape(row.network), *(_cell(row.curves[c].auc) for c in CURVES), style=style)
    return _right(table)


def _drift(trust: Trust) -> Table:
    title = f"change of areas from {trust.rows[0].network}, in pairs [95 %]"
    table = Table("method", "network", *WORDS.values(), title=escape(title), title_justify="left", box=SIMPLE)
    for change in trust.drift:
        table.add_row(change.method, escape(change.network), *(_cell(change.curves[c], "+") for c in CURVES))
    return _right(table)


def _sanity(trust: Trust) -> Table:
    title = "likeness to maps of the network with shuffled weights ↓ [95 %]: rank correlation, 1 is a map of the picture alone"
    table = Table("method", "images", "likeness", title=title, title_justify="left", box=SIMPLE)
    for row in trust.sanity:
        table.add_row(row.method, str(row.images), _cell(row.correlation, "+"))
    return _right(table)


def _localisation(trust: Trust) -> Table:
    most = max(row.regions for row in trust.rows)
    title = f"localisation ↑ [95 %], up to {most} right answers with a known region"
    table = Table("method", "network", *MEASURES, title=escape(title), title_justify="left", box=SIMPLE)
    for row in trust.rows:
        if row.localisation:
            table.add_row(row.method, escape(row.network), *(_cell(row.localisation[m]) for m in MEASURES))
    return _right(table)


def _cell(mean: Mean, sign: str = "") -> str:
    low, high = mean.interval
    return escape(f"{mean.mean:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]")


def _right(table: Table) -> Table:
    for column in table.columns[2:]:
        column.justify, column.no_wrap = "right", True
    return table
