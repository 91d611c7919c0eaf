"""audit.html: the report as one file that opens anywhere, pictures included, without scripts and without network."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from PIL import Image

from edgekd.auditing import caveats
from edgekd.auditing.listing import Entry, Listing
from edgekd.auditing.report import Audit, Pair
from edgekd.auditing.troubles import WORDS
from edgekd.auditing.views import VIEWS
from edgekd.errors import CorruptImage
from edgekd.files import write_atomic

NAME = "audit.html"
SIDE = 160  # px of a picture on the page
UNLABELLED = "(no label)"
KINDS = {"exact": "exact", "similar": "similar", **{view.kind: view.kind.replace("_", " ") for view in VIEWS}}


def write(audit: Audit, listing: Listing, folder: Path) -> None:
    """Write audit.html into `folder`; the images of the pairs shown are opened once more."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(resources.files(__package__).joinpath("page.html.j2").read_text("utf-8"))
    entries = {entry.name: entry for entry in listing.entries}
    sections = [
        (title, text, len(pairs), [(kind, count, _rows(some, entries, listing)) for kind, count, some in shown])
        for title, text, pairs in _sections(audit)
        for shown in [selection(pairs, audit.settings.shown, by_kind=pairs is not audit.line)]
    ]
    text = template.render(audit=audit, sections=sections, words=WORDS, table=class_table(audit), caveats=caveats)
    write_atomic(folder / NAME, text)


def _sections(audit: Audit) -> list[tuple[str, str, Sequence[Pair]]]:
    """Titles, explanations and pairs, the worst first; a pair may stand in more than one section."""
    line = f"{audit.settings.duplicate:g}"
    return [
        ("Copies in two splits", "Whoever trains on one of them is tested on what was learnt by heart.",
         [p for p in audit.pairs if p.across_splits]),
        ("One picture, two labels", "At least one label is wrong; the clean split leaves both out.",
         [p for p in audit.pairs if p.two_labels]),
        ("One picture, two groups", "Two groups (patients, say) share a picture: they may be one.",
         [p for p in audit.pairs if p.two_groups]),
        ("Nearest to the line", f"Pairs just above and below {line} (audit.duplicate). Judge here whether the line lies well.",
         audit.line),
        ("Alike in two splits", "Not copies, but alike enough to be of one patient.", audit.related),
        ("Copies in one split", "They count double in training or testing.",
         [p for p in audit.pairs if not p.across_splits and p.kind != "exact"]),
        ("Exact copies in one split", "Equal pixel for pixel.",
         [p for p in audit.pairs if not p.across_splits and p.kind == "exact"]),
    ]  # fmt: skip


def selection(pairs: Sequence[Pair], places: int, by_kind: bool = True) -> list[tuple[str, int, list[Pair]]]:
    """Kind, how many pairs are of it, and the first of them: at most `places` in all, dealt out evenly to the kinds.

    Without `by_kind` all stay in their order.
    """
    kinds: dict[str, list[Pair]] = {}
    for pair in pairs:
        kinds.setdefault(KINDS[pair.kind] if by_kind else "all", []).append(pair)
    dealt = deal([len(found) for found in kinds.values()], places)
    return [(kind, len(found), found[:n]) for (kind, found), n in zip(kinds.items(), dealt, strict=True)]


def deal(counts: Sequence[int], places: int) -> list[int]:
    """`places` dealt one by one in turn to things of which there are `counts`; what one cannot use the others get."""
    dealt = [0] * len(counts)
    while places and (wanting := [i for i, count in enumerate(counts) if dealt[i] < count]):
        for i in wanting[:places]:
            dealt[i] += 1
        places -= len(wanting[:places])
    return dealt


def _rows(pairs: list[Pair], entries: dict[str, Entry], listing: Listing) -> list[dict[str, Any]]:
    """Pairs with their pictures as data URLs: both as they are, and the second turned to match the first."""
    return [
        {"pair": pair, "kind": KINDS[pair.kind], "a": a, "b": b, "turned": turned, "is_copy": pair.kind != "similar"}
        for pair in pairs
        for a, b, turned in [_pictures(pair, entries, listing)]
    ]


def _pictures(pair: Pair, entries: dict[str, Entry], listing: Listing) -> tuple[str, str, str]:
    view = next((v for v in VIEWS if v.words == pair.view), VIEWS[0])
    a, b = (_open(listing, entries[p.path]) for p in (pair.a, pair.b))
    turned = data_url(view.turn(b)) if b and view is not VIEWS[0] else ""
    return data_url(a), data_url(b), turned


def _open(listing: Listing, entry: Entry) -> Image.Image | None:
    try:
        return listing.open_image(entry)
    except CorruptImage:  # it was read before: it has changed or gone meanwhile
        return None


def data_url(image: Image.Image | None) -> str:
    """A small JPEG of an image as a data URL, "" for None."""
    if image is None:
        return ""
    image = image.convert("RGB")
    image.thumbnail((SIDE, SIDE), Image.Resampling.BILINEAR)
    content = io.BytesIO()
    image.save(content, "JPEG", quality=75)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")


def class_table(audit: Audit) -> tuple[list[str], list[tuple[str, list[tuple[int, float]]]]]:
    """Splits, and per label its count in each with the share of the largest count (the length of a bar)."""
    splits = _unique(c.split for c in audit.classes)
    counts = {(c.split, c.label): c.images for c in audit.classes}
    largest = max(counts.values(), default=1)
    labels = sorted(_unique(c.label for c in audit.classes), key=lambda label: (not label, label))
    rows = [
        (label or UNLABELLED, [(n := counts.get((split, label), 0), 100 * n / largest) for split in splits])
        for label in labels
    ]
    return [split or "images" for split in splits], rows


def _unique(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
