"""Calibration before and after the temperature: a table, reliability diagrams in one picture, and one page."""

from __future__ import annotations

import base64
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.files import write_atomic
from edgekd.measures.temperature import Calibration, Change, Scores, Tempered
from edgekd.reports.lettering import lettering
from edgekd.reports.pictures import BLUE, DPI, GREY, ORANGE
from edgekd.reports.screen import Table

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE, PICTURE = "calibration.html", "calibration.png"
COLUMNS = 4
HEADER = (
    "network",
    "T",
    "ECE before (noise)",
    "after (noise)",
    "change [95 %]",
    "NLL before",
    "after",
    "over-confidence",
)


def cells(found: Tempered) -> tuple[str, ...]:
    """A network's row, as text: what `HEADER` says; over-confidence is that before the temperature."""
    before, after = found.before, found.after
    return (
        found.name,
        f"{found.temperature:.3f}",
        f"{before.ece:.4f} ({before.ece_noise_floor:.4f})",
        f"{after.ece:.4f} ({after.ece_noise_floor:.4f})",
        signed(found.ece_change),
        f"{before.nll:.4f}",
        f"{after.nll:.4f}",
        signed(before.gap),
    )


def signed(change: Change) -> str:
    """+0.0123 [+0.0012, +0.0234]."""
    return f"{change.value:+.4f} [{change.interval[0]:+.4f}, {change.interval[1]:+.4f}]"


def show(found: Calibration, console: Console) -> None:
    """The table, and what it says of the claims."""
    first = found.networks[0]
    units = f"{first.images} images" + (f" of {first.groups} groups" if first.groups else "")
    table = Table(*HEADER, title=f"calibration, {units}", title_justify="left", box=SIMPLE)
    for network in found.networks:
        table.add_row(*map(escape, cells(network)))
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    console.print(table)
    console.print("over-confidence: mean confidence less accuracy before the temperature, 95 % interval by group")
    for finding in found.findings:
        console.print(f"“{finding.claim}”: {finding.verdict}. {finding.measured}", highlight=False, soft_wrap=True)


def write(found: Calibration, folder: Path) -> Path:
    """Write the picture and the page into `folder`; gives the page.

    Raises: EdgekdError if the folder cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    picture = diagrams(found)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    source = resources.files(__package__).joinpath("calibration_page.html.j2").read_text("utf-8")
    url = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
    text = environment.from_string(source).render(found=found, header=HEADER, cells=cells, picture=url)
    write_atomic(folder / PICTURE, picture)
    write_atomic(folder / PAGE, text)
    return folder / PAGE


def diagrams(found: Calibration) -> bytes:
    """Reliability diagrams of all networks, before and after the temperature, as one PNG."""
    from matplotlib.figure import Figure

    names, fonts = lettering([network.name for network in found.networks], 28, 2)
    columns = min(COLUMNS, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(3.2 * columns, 3.3 * rows + 0.4), layout="constrained")
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, network, name in zip(panels, found.networks, names, strict=False):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--")
        _line(axes, network.before, ORANGE, "before")
        _line(axes, network.after, BLUE, f"after T = {network.temperature:.2f}")
        axes.set_title(name, fontsize="medium", parse_math=False, fontfamily=fonts)
        axes.set(xlim=(0, 1), ylim=(-0.02, 1.02))
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.legend(frameon=False, fontsize="x-small", loc="upper left")
    for axes in panels[len(names) :]:
        axes.set_visible(False)
    figure.supxlabel("confidence", fontsize="medium")
    figure.supylabel("accuracy (size: images in the bin)", fontsize="medium")
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _line(axes: Axes, scores: Scores, colour: str, label: str) -> None:
    bins = [b for b in scores.reliability if b.count]
    total = sum(b.count for b in bins)
    x, y = [b.confidence for b in bins], [b.accuracy for b in bins]
    axes.plot(x, y, color=colour, linewidth=1.2, label=f"{label}: ECE {scores.ece:.3f}")
    axes.scatter(x, y, [8 + 120 * b.count / total for b in bins], color=colour, alpha=0.7)
