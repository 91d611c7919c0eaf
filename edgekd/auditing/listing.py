"""What is to be audited: the images of a source, or of a folder that is read so leniently that nothing stops the audit.

The folder source stops at what is wrong with a folder as a whole, as a training must. The audit is there to show just
that, so here every oddity is a row and the walk goes on. Nothing is changed on the disk.
"""

from __future__ import annotations

import os
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from PIL import Image

from edgekd.auditing.troubles import Trouble
from edgekd.data import unlabelled
from edgekd.data.dataset import HELD_OUT, Dataset, split_name
from edgekd.data.folders import IGNORED, relative
from edgekd.errors import EdgekdError
from edgekd.preprocess import EXTENSIONS, decode


@dataclass(frozen=True)
class Entry:
    """One image to look at. `label` is "" of an unlabelled one; `split` is train, val, test or ""; `group` may be unknown.

    `is_elsewhere`: it lies in a folder of its own, so that a split file of the set cannot name it.
    """

    name: str
    label: str
    split: str = ""
    group: str | None = None
    is_elsewhere: bool = False


@dataclass
class Listing:
    """The entries in a fixed order, how to open one, and what was met on the way.

    `open_image(entry)` gives an RGB image or raises CorruptImage. `locate(entry)` is its file, None where an image is
    no file of its own. `root` is the folder that names are relative to, "" for a source without files. `ignored` counts
    files that are not named like images. `takes_split`: the source reads a split file that names its images as the entries are.
    """

    root: str
    entries: list[Entry]
    open_image: Callable[[Entry], Image.Image]
    locate: Callable[[Entry], Path | None]
    troubles: list[Trouble] = field(default_factory=list)
    ignored: int = 0
    takes_split: bool = False


def of_dataset(dataset: Dataset, root: str, takes_split: bool = False) -> Listing:
    """The samples of a source; `root` is the folder that their names are relative to, "" if they are no files."""
    samples = {sample.name: sample for sample in dataset.samples}
    labels = [dataset.label_names[s.label] if s.is_labelled else "" for s in dataset.samples]
    entries = [Entry(s.name, label, s.split, s.group) for s, label in zip(dataset.samples, labels, strict=True)]

    def locate(entry: Entry) -> Path | None:
        return Path(root) / entry.name if root else None

    return Listing(root, dealt(entries), lambda e: dataset.open_image(samples[e.name]), locate, takes_split=takes_split)


def dealt(entries: list[Entry]) -> list[Entry]:
    """The entries with unlabelled ones of open split in train, as a training deals them, where the set has splits at all.

    Those of a group in val or test stay open: a training leaves them out.
    """
    if not any(e.split for e in entries if e.label):
        return entries
    held_out = {e.group for e in entries if e.label and e.split in HELD_OUT} - {None}
    return [e if e.label or e.split or e.group in held_out else replace(e, split="train") for e in entries]


def with_unlabelled(listing: Listing, folder: str) -> Listing:
    """The listing and, without labels, every image below `folder` that it does not list already.

    Raises: EdgekdError for a folder that is missing or holds no image, or a name that the listing has already.
    """
    root = unlabelled.existing(folder)
    listed = {path.resolve() for e in listing.entries if (path := listing.locate(e))}
    found = of_folder(root)
    if not found.entries and not found.troubles:
        raise EdgekdError(f"data.unlabelled {folder}", "image files", f"none ({found.ignored} other files)")
    own = {unlabelled.PREFIX + e.name: e for e in found.entries if (root / e.name).resolve() not in listed}
    unlabelled.refuse_taken(own, {e.name for e in listing.entries}, folder)
    added = [Entry(name, "", is_elsewhere=True) for name in own]
    troubles = [t.model_copy(update={"path": unlabelled.PREFIX + t.path, "label": ""}) for t in found.troubles]
    return Listing(
        listing.root,
        dealt([*listing.entries, *added]),
        lambda e: found.open_image(own[e.name]) if e.is_elsewhere else listing.open_image(e),
        lambda e: found.locate(own[e.name]) if e.is_elsewhere else listing.locate(e),
        listing.troubles + troubles,
        listing.ignored + found.ignored,
        listing.takes_split,
    )


def of_folder(path: str | Path) -> Listing:
    """Every image below a folder.

    The split is the first folder of the path that is called like a split, the label the folder after it (without a split
    the first one). Files beside class folders have none.
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
    return Entry(name, labels[0] if labels else "", split or "")


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
