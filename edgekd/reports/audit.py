"""An audit as a summary on the screen: the headline, classes, copies and troubles."""

from __future__ import annotations

from collections import Counter
from functools import partial

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.auditing import caveats
from edgekd.auditing.page import class_table
from edgekd.auditing.report import Audit
from edgekd.auditing.troubles import WORDS
from edgekd.reports.screen import Table

SHOWN = 8  # rows of troubles


def show(audit: Audit, console: Console) -> None:
    """What a person should know first; the page and audit.json have the rest."""
    say = partial(console.print, highlight=False, soft_wrap=True)
    for line in headlines(audit):
        say(line)
    c = audit.counts
    say(f"[{'yellow' if c.without_group else 'default'}]{caveats.patients(audit)}[/]")
    without = f", {c.unlabelled} images without a label" if c.unlabelled else ""
    say(f"{c.readable} of {c.listed} images read, {c.pictures} distinct pictures{without}")
    console.print(_classes(audit))
    if audit.pairs:
        kinds = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in audit.counts.pairs.items() if k != "similar")
        say(f"{len(audit.pairs)} pairs of copies: {kinds}")
    if audit.counts.two_labels:
        say(f"[red]pairs of copies under two labels: {audit.counts.two_labels}[/]")
    if audit.troubles:
        console.print(_troubles(audit))
    clean = audit.clean
    kept = sum(c.images for c in clean.kept)
    say(
        f"clean split: {kept} kept, {len(clean.removed)} left out, {len(clean.moved)} moved to the split of their group"
    )
    if clean.estimated_groups:
        say(f"[{'default' if clean.estimated_groups_used else 'yellow'}]{caveats.estimates(audit)}[/]")
    for note in clean.notes:
        say(f"[yellow]note:[/] {escape(note)}")


def headlines(audit: Audit) -> list[str]:
    """One line per leak, or that there is none, in rich's markup."""
    lines = []
    for leak in audit.leaks:
        turned = f", {leak.mirrored} of them mirrored or turned" if leak.mirrored else ""
        share = f"{100 * leak.leaked / leak.images:.1f} %"
        lines.append(
            f"[bold red]{share} of the {leak.split} images are copies of {leak.other} images[/]: "
            f"{leak.leaked} of {leak.images}{turned}"
        )
    lines += [f"[bold red]{line}[/]" for line in caveats.shared_groups(audit)]
    if not lines:
        has_splits = any(c.split for c in audit.classes)
        lines.append("[green]no copy lies in two splits[/]" if has_splits else "the set has no splits yet")
    return lines


def _classes(audit: Audit) -> Table:
    splits, rows = class_table(audit)
    table = Table("label", *splits, box=SIMPLE)
    for label, counts in rows:
        table.add_row(escape(label), *(str(count) for count, _ in counts))
    for column in table.columns[1:]:
        column.justify = "right"
    return table


def _troubles(audit: Audit) -> Table:
    table = Table("file", "what", "found", title=f"{len(audit.troubles)} troubles", title_justify="left", box=SIMPLE)
    for trouble in audit.troubles[:SHOWN]:
        table.add_row(escape(trouble.path), WORDS[trouble.kind], escape(trouble.reason))
    left = Counter(WORDS[t.kind] for t in audit.troubles[SHOWN:])
    if left:
        table.add_row("…", ", ".join(f"{n} {words}" for words, n in left.items()), "", style="dim")
    return table
