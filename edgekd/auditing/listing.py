"""What is to be audited: the images of a source, or of a folder that is read so leniently that nothing stops the audit.

The folder source stops at what is wrong with a folder as a whole, as a training must. The audit is there to show just
that, so here every oddity is a row and the walk goes on. Nothing is changed on the disk.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from edgekd.auditing.troubles import Trouble
from edgekd.data.dataset import Dataset, split_name
from edgekd.data.folders import IGNORED, relative
from edgekd.preprocess import EXTENSIONS, decode

UNLABELLED = "unlabelled"  # images that lie in no class folder


@dataclass(frozen=True)
class Entry:
    """One image to look at. `split` is train, val, test or ""; `group` is None where none is known."""

    name: str
    label: str
    split: str = ""
    group: str | None = None


@dataclass
class Listing:
    """The entries in a fixed order, how to open one, and what was met on the way.

    `open_image(entry)` gives an RGB image or raises CorruptImage. `locate(entry)` is its file, None where an image is
    no file of its own. `root` is the folder that names are relative to, "" for a source without files. `ignored` counts
    files that are not named like images.
    """

    root: str
    entries: list[Entry]
    open_image: Callable[[Entry], Image.Image]
    locate: Callable[[Entry], Path | None]
    troubles: list[Trouble] = field(default_factory=list)
    ignored: int = 0


def of_dataset(dataset: Dataset, root: str) -> Listing:
    """The samples of a source; `root` is the folder that their names are relative to, "" if they are no files."""
    samples = {sample.name: sample for sample in dataset.samples}
    entries = [Entry(s.name, dataset.label_names[s.label], s.split, s.group) for s in dataset.samples]

    def locate(entry: Entry) -> Path | None:
        return Path(root) / entry.name if root else None

    return Listing(root, entries, lambda e: dataset.open_image(samples[e.name]), locate)


def of_folder(path: str | Path) -> Listing:
    """Every image below a folder.

    The split is the first folder of the path that is called like a split, the label the folder after it (without a split
    the first one). Files beside class folders are `UNLABELLED`.
    """
    root = Path(path)
    walk = _Walk(root)
    entries = [_entry(relative(root, file)) for file in walk.files(root)]
    listing = Listing(str(root), entries, lambda e: decode(root / e.name, e.name), lambda e: root / e.name)
    listing.troubles, listing.ignored = walk.troubles + _same_but_for_case(entries), walk.ignored
    return listing


def _entry(name: str) -> Entry:
    folders = name.split("/")[:-1]
    split = split_name(folders[0]) if folders else None
    labels = folders[1:] if split else folders
    return Entry(name, labels[0] if labels else UNLABELLED, split or "")


@dataclass
class _Walk:
    root: Path
    troubles: list[Trouble] = field(default_factory=list)
    ignored: int = 0
    seen: set[Path] = field(default_factory=set)  # real paths of folders: each is read once

    def files(self, folder: Path) -> Iterator[Path]:
        """Image files in `folder` and below, sorted."""
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 (names alone, so that they sort as text everywhere)
            self.seen.add(folder.resolve())
        except (OSError, RuntimeError) as e:  # no permission, or a loop of links
            self._note("unreadable", folder, _reason(e))
            return
        for name in names:
            entry = folder / name
            if name.startswith(".") or name in IGNORED:
                continue
            try:
                is_folder = self._is_folder(entry)
            except OSError as e:  # a folder that may be listed but not entered
                self._note("unreadable", entry, _reason(e))
                continue
            if is_folder is None:
                continue
            if is_folder:
                yield from self.files(entry)
            elif entry.suffix.lower() in EXTENSIONS:
                yield entry
            else:
                self.ignored += 1

    def _is_folder(self, entry: Path) -> bool | None:
        """Whether an entry is a folder, None for one that is left out with a note.

        Raises: OSError.
        """
        if problem := name_problem(entry.name):
            self._note("name", entry, problem)
        elif entry.is_symlink() and (problem := self._link_problem(entry)):
            self._note("link", entry, problem)
        elif entry.is_dir() and entry.resolve() in self.seen:
            self._note("link", entry, "a folder that a link has led to already")
        else:
            return entry.is_dir()
        return None

    def _link_problem(self, entry: Path) -> str:
        try:
            real = entry.resolve(strict=True)
        except RuntimeError:
            return "a loop of links"
        except OSError as e:
            return f"a link that leads nowhere: {(e.strerror or str(e)).lower()}"
        if real in self.seen:
            return "a link to a folder that is read already"
        return "" if real.is_relative_to(self.root.resolve()) else "a link that leads out of the folder"

    def _note(self, kind: str, path: Path, reason: str) -> None:
        name = "." if path == self.root else relative(self.root, path)
        self.troubles.append(Trouble(kind=kind, path=printable(name), reason=reason))


def _reason(error: OSError | RuntimeError) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def name_problem(name: str) -> str:
    """Why a file of this name cannot be listed in a text file, "" if it can."""
    if any(unicodedata.category(c) == "Cs" for c in name):  # stands for bytes that are not UTF-8
        return "a name that is not text in UTF-8"
    if "\\" in name or any(unicodedata.category(c) == "Cc" for c in name):
        return "a backslash or a control character in the name"
    return "a space at an end of the name" if name != name.strip() else ""


def printable(name: str) -> str:
    """The name with what is not text written as an escape."""
    return "".join(
        c if unicodedata.category(c) not in ("Cs", "Cc") else c.encode("unicode_escape").decode() for c in name
    )


def _same_but_for_case(entries: list[Entry]) -> list[Trouble]:
    """Names that become one on a disk that ignores case or the way in which accents are written."""
    by_name = defaultdict(list)
    for entry in entries:
        by_name[unicodedata.normalize("NFC", entry.name).casefold()].append(entry.name)
    return [
        Trouble(kind="case", path=names[0], reason=f"the same name but for case or accents as {', '.join(names[1:])}")
        for names in by_name.values()
        if len(names) > 1
    ]
