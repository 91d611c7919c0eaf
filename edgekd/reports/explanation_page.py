"""explanations.html: pictures and maps side by side, in one file that opens anywhere, without scripts or network."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from PIL import Image

from edgekd.bundle import Manifest
from edgekd.files import write_atomic
from edgekd.reports import heatmap
from edgekd.reports.explanation import Row, place_in_words, possible

NAME = "explanations.html"
MAX_ROWS = 100  # pictures on the page; all are in explanations.json


def write(rows: Sequence[Row], manifest: Manifest, folder: Path) -> Path:
    """Write the page into `folder`.

    Raises: EdgekdError if the folder cannot be written.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(
        resources.files(__package__).joinpath("explanation_page.html.j2").read_text("utf-8")
    )
    functions = {"data_url": data_url, "strip": heatmap.strip, "scale": heatmap.Scale.of, "picture": Image.fromarray}
    functions |= {"possible": possible, "outlined": heatmap.outlined, "place_in_words": place_in_words}
    text = template.render(rows=rows[:MAX_ROWS], left=max(0, len(rows) - MAX_ROWS), manifest=manifest, **functions)
    write_atomic(folder / NAME, text)
    return folder / NAME


def data_url(image: Image.Image) -> str:
    """An image as the data URL of a PNG."""
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(content.getvalue()).decode("ascii")
