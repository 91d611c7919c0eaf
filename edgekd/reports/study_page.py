"""study.html: a study as one file that opens anywhere, the forest plot included, without scripts and without network."""

from __future__ import annotations

import base64
import io
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.files import write_atomic
from edgekd.measures.paired import words
from edgekd.reports import study
from edgekd.reports.lettering import lettering
from edgekd.reports.pictures import BLUE, DPI, GREY, ORANGE
from edgekd.studies.hardest import hardest
from edgekd.studies.result import Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAME, FOREST, TABLE = "study.html", "forest.png", "table.md"


def write(result: Result, folder: Path) -> None:
    """Write the page, the forest plot and the table in Markdown into `folder`.

    Raises: EdgekdError if the folder cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    picture = forest(result)
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("study_page.html.j2").read_text("utf-8"))
    url = "data:image/png;base64," + base64.b64encode(picture).decode("ascii")
    text = template.render(result=result, study=study, forest=url, hard=hardest(result, study.ON_PAGE))
    write_atomic(folder / FOREST, picture)
    write_atomic(folder / TABLE, study.markdown(result))
    write_atomic(folder / NAME, text)


def forest(result: Result) -> bytes:
    """Accuracy of every variant and its gain over the control, with intervals by group, as a PNG."""
    from matplotlib.figure import Figure

    rows = [row for row in result.table if row.accuracy is not None and row.interval is not None]
    names, fonts = lettering([row.variant for row in rows], 24, 2)
    figure = Figure(figsize=(10, 1.5 + 0.5 * max(len(rows), 1)), layout="constrained")
    accuracy, gain = figure.subplots(1, 2, sharey=True)
    for i, row in enumerate(rows):
        assert row.accuracy is not None
        assert row.interval is not None
        colour = GREY if row.is_control else BLUE
        low, high = row.interval
        _bar(accuracy, i, 100 * row.accuracy, (100 * low, 100 * high), colour, f"{100 * row.accuracy:.2f}")
        if row.gain:
            text = f"{words(row.gain.change_pp, row.gain.interval_pp)}, p = {study.p_text(row.gain.p_holm)}"
            told = text.replace("p = <", "p <")
            _bar(gain, i, row.gain.change_pp, row.gain.interval_pp, ORANGE, told)
    accuracy.set_yticks(range(len(names)), names, parse_math=False, fontfamily=fonts)
    accuracy.set(xlabel="accuracy out of fold, % (95 % interval)", ylim=(len(rows) - 0.4, -0.7))
    gain.axvline(0, color=GREY, linewidth=1, linestyle="--")
    gain.set(xlabel=f"gain over {result.study.control or 'a control (none)'}, pp (95 % interval; p after Holm)")
    for axes in (accuracy, gain):
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_axisbelow(True)
        axes.grid(alpha=0.25)
        axes.margins(x=0.15)
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI, metadata={"Software": None})
    return content.getvalue()


def _bar(axes: Axes, row: int, middle: float, interval: tuple[float, float], colour: str, text: str) -> None:
    axes.plot(interval, [row, row], color=colour, linewidth=2)
    axes.plot(middle, row, "s", color=colour)
    axes.annotate(text, (middle, row), (0, 7), textcoords="offset points", ha="center", fontsize="small")
