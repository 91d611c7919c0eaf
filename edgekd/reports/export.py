"""Exports on screen: the formats there are, and what became of each file."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.artefacts.making import ExportOutcome
from edgekd.bundle import ArtefactRecord, Bundle
from edgekd.errors import EdgekdError
from edgekd.reports import heatmap
from edgekd.reports.screen import Table
from edgekd.reports.significance import by_group
from edgekd.runtimes import Format

MIB = 2**20


def show_formats(formats: Sequence[Format], console: Console) -> None:
    """What can be written, what it needs, whether that is there."""
    table = Table("format", "what", "needs", "installed", box=SIMPLE)
    for format in formats:
        missing = format.missing
        state = "[green]yes[/]" if not missing else escape(f'no: pip install "edgekd[{format.extra}]"')
        table.add_row(format.name, format.words, ", ".join(p.replace("_", "-") for p in format.packages), state)
    console.print(table)


def show(
    outcomes: Sequence[ExportOutcome], failed: Mapping[str, EdgekdError], bundle: Bundle, console: Console
) -> None:
    """The drift table of what ships, then what was rejected and what failed, each with its reason."""
    shipped = [o for o in outcomes if not o.problems]
    if shipped:
        console.print(table(shipped))
        test = f"of the test split: python -m edgekd.benchmark {shlex.quote(str(bundle.folder))}"
        console.print(
            f"ECE is of the images that the temperature was fitted on; {test}", highlight=False, soft_wrap=True
        )
    for outcome in outcomes:
        if outcome.problems:
            _rejected(outcome, console)
    for outcome in shipped:
        record = _record(outcome)
        for source, reasons in record.instead_of.items():
            text = f"[yellow]{outcome.format} is from {record.source}[/]: of {source} it was rejected"
            console.print(f"{text}, {escape('; '.join(reasons))}", highlight=False, soft_wrap=True)
    for outcome in shipped:
        if text := heatmap.words(_record(outcome)):
            console.print(f"{outcome.format}: {text}", highlight=False, soft_wrap=True)
    for name, error in failed.items():
        console.print(f"[red]{name} failed[/]: {escape(str(error))}", highlight=False, soft_wrap=True)
    if bundle.manifest.quantization and any(o.record and o.record.source == "qat" for o in shipped):
        console.print(bundle.manifest.quantization.verdict, highlight=False, soft_wrap=True)
    cures = {o.report["runtime"]["cure"]: o.format for o in outcomes if o.report.get("runtime", {}).get("cure")}
    for cure, name in cures.items():
        console.print(f"{name}: this processor has no VNNI; {cure} keeps int8 sums from saturating", highlight=False)
    for outcome in shipped:
        console.print(f"written: {outcome.path}", highlight=False, markup=False, soft_wrap=True)


def _rejected(outcome: ExportOutcome, console: Console) -> None:
    console.print(f"[red]{outcome.format} rejected[/]: {escape('; '.join(outcome.problems))}", highlight=False)
    for source, reasons in outcome.report.get("instead_of", {}).items():
        console.print(f"  of {source} it was rejected before: {escape('; '.join(reasons))}", highlight=False)
    layers = ", ".join(f"{n} ({db} dB)" for n, db in outcome.report.get("worst_layers_db", {}).items())
    if layers:
        console.print(f"  the worst layers: {layers}", highlight=False, soft_wrap=True)
    for advice in outcome.report.get("try", []):
        console.print(f"  try: {advice}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"  kept as {outcome.path}", highlight=False, markup=False, soft_wrap=True)


def table(shipped: Sequence[ExportOutcome]) -> Table:
    """Drift from the float student to each file, on validation."""
    images = next((o.record.val_images for o in shipped if o.record), 0)
    found = Table(
        box=SIMPLE,
        title_justify="left",
        title=f"drift to the float student in accuracy, {images} validation images",
        collapse_padding=True,
        pad_edge=False,
    )
    tests = ["p by\ngroup", "McNemar\np"] if any(_record(o).groups for o in shipped) else ["McNemar\np"]
    for column in ("format", "from", "MiB", "Δ pp", "flips", *tests, "ECE val,\nfitted", "agrees", "s"):
        is_text = column in ("format", "from")
        found.add_column(column, justify="left" if is_text else "right", no_wrap=is_text)
    for outcome in shipped:
        record = _record(outcome)
        found.add_row(
            outcome.format,
            record.source,
            f"{sum(f.size_bytes for f in record.files.values()) / MIB:.2f}",
            f"{record.drift_pp:+.2f}",
            str(record.flips),
            *[by_group(record), f"{record.mcnemar_p:.3f}"][-len(tests) :],
            f"{record.ece_before:.3f} → {record.ece:.3f}",
            f"{100 * record.top1_agreement:.1f} %",
            f"{outcome.seconds:.1f}",
        )
    return found


def _record(outcome: ExportOutcome) -> ArtefactRecord:
    """The record of a file that ships."""
    assert outcome.record is not None
    return outcome.record
