"""report.html: the benchmark as one file that opens anywhere, figures and images included, without scripts or network."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekd.benchmarking.comparison import row_name
from edgekd.benchmarking.schema import FLIPPED, HardwareMeasurement, Report, Row
from edgekd.benchmarking.verdict import judge
from edgekd.devices.document import Provenance
from edgekd.files import write_atomic
from edgekd.measures.paired import words
from edgekd.reports import benchmark_figures as figures
from edgekd.reports.benchmark import from_files, long_run, paced, processor, ran, warnings
from edgekd.reports.significance import by_group

NAME = "report.html"
SIDE = 160  # px of an image on the page
MAX_FLIPPED = 36  # images shown; all are in report.json
COLOURS = {"ship": "", "wait": "warn", "nothing": "bad"}


@dataclass(frozen=True)
class Answers:
    """Rows of one artefact that gave equal answers, on whatever devices and threads."""

    rows: tuple[Row, ...]
    devices: tuple[tuple[str, Provenance], ...]

    @property
    def row(self) -> Row:
        """One of them, for all."""
        return self.rows[0]

    @property
    def name(self) -> str:
        """tflite-int8 on local and a76."""
        return f"{self.row.format} on {' and '.join(name for name, _ in self.devices)}"


@dataclass(frozen=True)
class Flipped:
    """An image that some artefacts answer otherwise than the reference: its probabilities, for the classes involved."""

    name: str
    label: int
    picture: str  # a data URL, "" where the image is not there
    classes: tuple[int, ...]
    answers: tuple[tuple[str, int, tuple[float, ...]], ...]  # who, its class, probabilities of `classes`


def write_page(report: Report, folder: Path) -> Path:
    """Write report.html into `folder`, with the flipped images that are stored there.

    Raises: EdgekdError if the folder cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        resources.files(__package__).joinpath("benchmark_page.html.j2").read_text("utf-8")
    )
    groups = group(report)
    chosen, count = flipped_images(groups)
    context = {
        "report": report,
        "verdict": judge(report),
        "colour": COLOURS[judge(report).outcome],
        "places": [_place(name, report) for name in report.devices],
        "groups": groups,
        "flipped": flipped(groups, report, _pictures(folder, chosen), chosen),
        "flipped_count": count,
        "warnings": warnings(report),
        "artefacts": {row.format: row for row in report.rows},
    }
    functions = {"row_name": row_name, "processor": processor, "ran": ran, "figures": figures}
    functions |= {"by_group": by_group, "change": words}
    write_atomic(folder / NAME, template.render(**context, **functions))
    return folder / NAME


def group(report: Report) -> list[Answers]:
    """The rows by artefact and equal answers: a file that answers the same everywhere stands once."""
    found: dict[Any, list[Row]] = {}
    for row in report.rows:
        e = row.numerics.evaluation
        found.setdefault((row.format, row.numerics.indices, e.nll, e.ece, e.confusion), []).append(row)
    return [
        Answers(tuple(rows), tuple({row.device: row.measurement.provenance for row in rows}.items()))
        for rows in found.values()
    ]


def _place(name: str, report: Report) -> dict[str, Any]:
    """A device, its rows, and its figures as SVG."""
    rows = [row for row in report.rows if row.device == name]
    timed = [(row, row.measurement) for row in rows if isinstance(row.measurement, HardwareMeasurement)]
    whole = [row for row in rows if row.numerics.evaluation.images == report.data.images]
    reference = report.reference.evaluation.accuracy if report.reference and len(whole) == len(rows) else None
    return {
        "name": name,
        "record": report.devices[name],
        "system": next((row.system for row in rows), report.devices[name].system),
        "rows": rows,
        "timed": timed,
        "reference": reference,
        "sets": list(dict.fromkeys((row.format, e.sets.all) for row in rows if (e := row.numerics.evaluation).sets)),
        "has_pss": any(m.memory.pss_after_mib is not None for _, m in timed),
        "trade_off": figures.trade_off(rows, reference, name) if rows else "",
        "distributions": figures.distributions(timed, name) if timed else "",
        "long_runs": [(row, text) for row in rows if (text := long_run(row))],
        "paced": [(row, text) for row in rows for text in paced(row)],
        "files": [(row, from_files(f)) for row in rows if (f := row.numerics.from_files)],
        "sustained": figures.sustained(timed, name) if any(m.sustained for _, m in timed) else "",
    }


def flipped_images(groups: Sequence[Answers]) -> tuple[list[int], int]:
    """Indices of the flipped images to show, those first that most artefacts flip, then the surest; and of how many."""
    found: dict[int, list[float]] = {}
    for answers in groups:
        drift = answers.row.numerics.drift
        for flip in drift.flips if drift else ():
            found.setdefault(flip.index, []).append(flip.probs_after[flip.after])
    order = sorted(found, key=lambda index: (-len(found[index]), -max(found[index])))
    return order[:MAX_FLIPPED], len(order)


def flipped(
    groups: Sequence[Answers], report: Report, pictures: Mapping[int, str], chosen: Sequence[int]
) -> list[Flipped]:
    """Each image with the reference's probabilities and those of every artefact that flips it."""
    flips = [
        (answers.name, {flip.index: flip for flip in answers.row.numerics.drift.flips})
        for answers in groups
        if answers.row.numerics.drift
    ]
    cards = []
    for index in chosen:
        here = [(who, found[index]) for who, found in flips if index in found]
        first = here[0][1]
        classes = tuple(dict.fromkeys([first.before, *(flip.after for _, flip in here), first.label]))
        words = report.reference.words if report.reference else "before"
        before = (words, first.before, tuple(first.probs_before[k] for k in classes))
        after = [(who, flip.after, tuple(flip.probs_after[k] for k in classes)) for who, flip in here]
        cards.append(Flipped(first.name, first.label, pictures.get(index, ""), classes, (before, *after)))
    return cards


def _pictures(folder: Path, chosen: Sequence[int]) -> dict[int, str]:
    """Data URLs of the stored images, by index; none where the file is not there or is no such file."""
    if not (folder / FLIPPED).is_file() or find_spec("safetensors") is None:
        return {}
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(folder / FLIPPED, "np") as file:
            stored = set(file.keys())
            return {index: data_url(file.get_tensor(str(index))) for index in chosen if str(index) in stored}
    except (OSError, SafetensorError):
        return {}


def data_url(pixels: np.ndarray) -> str:
    """A small PNG of pixels [S, S, 3] uint8 as a data URL; "" for anything else."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        return ""
    is_grey = (pixels == pixels[..., :1]).all()
    image = Image.fromarray(pixels[..., 0] if is_grey else pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
