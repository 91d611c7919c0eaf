"""A CSV file that lists images: path, label, and optionally a group (patient), a split and a mask of the true region.

Columns are found by name (`COLUMNS`, any case) or named in `[data.options]`. Other columns are ignored. A row whose label is
empty is an unlabelled training image; in val or test it is an error.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from PIL import Image

from edgekd.data.dataset import HELD_OUT, NO_LABEL, Dataset, Sample, file_fingerprint, split_name
from edgekd.errors import EdgekdError, nearest, several
from edgekd.files import inside
from edgekd.preprocess import decode
from edgekd.section import Section

COLUMNS = {
    "path": ("path", "file", "image", "filename"),
    "label": ("label", "class"),
    "group": ("group", "patient", "patient_id", "pid"),
    "split": ("split", "set"),
    "mask": ("mask",),
}


class Options(Section):
    """Column names where they are none of `COLUMNS`, and the folder that the paths start from (default: the CSV's)."""

    path: str = ""
    label: str = ""
    group: str = ""
    split: str = ""
    mask: str = ""
    root: str = ""


@dataclass(frozen=True)
class _Row:
    line: int
    path: str
    label: str
    group: str
    split: str
    mask: str
    too_long: bool  # more cells than columns: a comma in an unquoted name has shifted the cells


def reads(path: Path) -> bool:
    """Whether `path` is a CSV file."""
    return path.is_file() and path.suffix.lower() == ".csv"


def moved(options: Options, path: str) -> Options:
    """`options` as they hold for another file: without the old one's folder, and with the columns that the new one has."""
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            found = csv.DictReader(file, strict=True).fieldnames or []
    except (OSError, UnicodeDecodeError, csv.Error):  # `read` will say what is wrong with it
        found = []
    return Options(**{key: name for key in COLUMNS if (name := getattr(options, key)) in found})


def read(path: str, options: Options) -> Dataset:
    """The images that the file lists.

    Raises: EdgekdError that lists the first problems by line: paths that leave the folder, no label in val or test, an unknown
    split, the same path twice; and for a file without the needed columns or rows.
    """
    rows = _rows(Path(path), options)
    root = Path(options.root) if options.root else Path(path).parent
    problems = [(row.line, text) for row in rows if (text := _problem(row, root))]
    first: dict[str, int] = {}
    again = [row for row in rows if row.path and first.setdefault(row.path, row.line) != row.line]
    problems += [(row.line, f"{row.path!r} is listed in line {first[row.path]} already") for row in again]
    if problems:
        raise several(path, [f"line {line}: {text}" for line, text in sorted(problems)])
    label_names = tuple(sorted({row.label for row in rows} - {""}))
    samples = (
        Sample(
            name=row.path,
            label=label_names.index(row.label) if row.label else NO_LABEL,
            split=split_name(row.split) or "" if row.split else "",
            group=row.group or None,
            fingerprint=file_fingerprint(root / row.path),
        )
        for row in rows
    )
    masks = {row.path: row.mask for row in rows if row.mask}

    def open_mask(sample: Sample) -> Image.Image | None:
        mask = masks.get(sample.name)
        return decode(inside(root, mask), mask) if mask else None

    return Dataset(label_names, tuple(samples), lambda s: decode(inside(root, s.name), s.name), open_mask)


def _rows(path: Path, options: Options) -> list[_Row]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, strict=True)
            columns = _columns(path, list(reader.fieldnames or []), options)
            rows = [_row(reader.line_num, line, columns) for line in reader]
    except FileNotFoundError:
        raise EdgekdError(str(path), "a CSV file", "no such file", "set data.path, or give --data") from None
    except (OSError, UnicodeDecodeError, csv.Error) as e:
        raise EdgekdError(str(path), "a CSV file in UTF-8", str(e)) from None
    if not rows:
        raise EdgekdError(str(path), "at least one row", "none")
    return rows


def _row(number: int, line: dict[str, str | None], columns: dict[str, str]) -> _Row:
    path, label, group, split, mask = (
        (line.get(columns[key]) or "").strip() if columns[key] else "" for key in COLUMNS
    )
    # One spelling per file: ./a//b.png and a/b.png are the same row twice.
    return _Row(number, str(PurePosixPath(path)) if path else "", label, group, split, mask, None in line)


def _columns(path: Path, found: list[str], options: Options) -> dict[str, str]:
    """What each column is called in this file; "" where an optional one is missing."""
    by_lower = {name.strip().lower(): name for name in found}
    columns = {}
    for key, names in COLUMNS.items():
        asked = getattr(options, key)
        if asked and asked not in found:
            raise EdgekdError(f"{path}, data.options.{key} = {asked!r}", "a column", todo=nearest(asked, found))
        columns[key] = asked or next((by_lower[n] for n in names if n in by_lower), "")
        if not columns[key] and key in ("path", "label"):
            todo = f'name it: --set data.options.{key}="…"'
            raise EdgekdError(
                str(path), f"a column for the {key} (one of {', '.join(names)})", f"columns {found}", todo
            )
    return columns


def _problem(row: _Row, root: Path) -> str:
    if row.too_long:
        return "more cells than columns (quote cells that hold commas)"
    if not row.path:
        return "no path"
    if row.split and split_name(row.split) is None:
        return f"unknown split {row.split!r} (train, val or test)"
    if not row.label and split_name(row.split) in HELD_OUT:
        return f"no label in {row.split} (only training images may have none)"
    try:
        inside(root, row.path)
    except EdgekdError:
        return f"{row.path!r} is not a relative path inside {root}"
    return ""
