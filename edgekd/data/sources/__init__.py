"""Image sources, one file each: a new source is a new module here with `Options` and `read`.

`Options` is a `recipe.Section` with the source's own settings; `read(path, options)` gives a `Dataset`, raises
EdgekdError for a set that cannot be read as a whole, and leaves single unreadable images to `open_image`.
`PACKAGES` are the optional packages that it needs, as imported. A source whose settings belong to one file has
`moved(options, path)`, which gives those that hold for another.
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import Any, Protocol

from edgekd import extras
from edgekd.data.dataset import Dataset
from edgekd.errors import EdgekdError, nearest
from edgekd.recipe import DataRecipe
from edgekd.section import Section, validate


class Source(Protocol):
    """A module of this folder."""

    Options: type[Section]

    def reads(self, path: Path) -> bool:
        """Whether the set at `path` is of its kind."""

    def read(self, path: str, options: Any) -> Dataset:
        """The set at `path`."""


def names() -> list[str]:
    """The names of all sources: the modules of this folder."""
    return sorted(m.name for m in pkgutil.iter_modules(__path__))


def read(data: DataRecipe) -> Dataset:
    """The set that a recipe's `[data]` section names, with splits as the source has them (see `splitting.complete`)."""
    extras.need(f"reading {data.source} data", "medical", packages(data.source))
    source, options = _source(data)
    return source.read(data.path, options)


def moved(data: DataRecipe, path: str) -> DataRecipe:
    """The section for the set at `path`: its source, with those of the options that hold for it too.

    Raises: EdgekdError as `detect` does.
    """
    name = detect(path)
    options = data.options if name == data.source else {}
    if options and Path(path).resolve() != Path(data.path).resolve():
        source, known = _source(data)
        if hasattr(source, "moved"):
            options = source.moved(known, path).model_dump(exclude_defaults=True)
    return data.model_copy(update={"source": name, "path": path, "options": options})


def _source(data: DataRecipe) -> tuple[Source, Any]:
    """The module of a source and its validated options."""
    if data.source not in names():
        raise EdgekdError(f"data.source = {data.source!r}", "a known source", todo=nearest(data.source, names()))
    source: Any = importlib.import_module(f"{__name__}.{data.source}")
    return source, validate(source.Options, data.options, "data.options")


def detect(path: str) -> str:
    """The source that reads `path`: "" or "phantom" -> phantom, a .csv -> csv, .mat files -> figshare, and so on.

    Raises: EdgekdError if the path does not exist or holds nothing that a source reads.
    """
    if path in ("", "phantom"):
        return "phantom"
    if not Path(path).exists():
        raise EdgekdError(f"data path {path}", "a folder or a file", "nothing there")
    for name in names():
        if importlib.import_module(f"{__name__}.{name}").reads(Path(path)):
            return name
    raise EdgekdError(f"data path {path}", "images, a CSV, .mat, DICOM or NIfTI files", "none of them")


def packages(source: str) -> tuple[str, ...]:
    """The optional packages, as imported, that a source needs; () for a name that is none."""
    return getattr(importlib.import_module(f"{__name__}.{source}"), "PACKAGES", ()) if source in names() else ()
