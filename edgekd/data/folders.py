"""Walking a data folder that others made: class folders, splits, and paths that never leave it.

Rules, for every source that reads folders. Names that begin with a dot and `__MACOSX` are ignored, as are files that the
source does not read. Links that stay inside the folder are followed, each folder once; a link that leads outside is an
error, for the files behind it would be missing wherever the folder is copied.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.data.dataset import Sample, file_fingerprint, split_name
from edgekd.errors import EdgekdError, several

Accepts = Callable[[Path], bool]
IGNORED = ("__MACOSX",)
DETECT_DEPTH = 3  # folders below the given one in which a source looks for its files: split / class / patient


@dataclass
class Walk:
    """Files below `root` that a source accepts, and the problems met on the way."""

    root: Path
    accepts: Accepts
    problems: list[str] = field(default_factory=list)

    def folders(self, folder: Path) -> list[Path]:
        """Folders right inside `folder`, sorted by name; links count where they stay inside the root."""
        return [entry for entry in self._entries(folder) if entry.is_dir() and self._stays_inside(entry)]

    def files(self, folder: Path, depth: int | None = None) -> Iterator[Path]:
        """Accepted files in `folder` and below, sorted within each folder; below at most `depth` levels if given."""
        yield from self._files(folder, {folder.resolve()}, depth)

    def _files(self, folder: Path, visited: set[Path], depth: int | None) -> Iterator[Path]:
        for entry in self._entries(folder):
            if entry.is_dir():
                real = entry.resolve()
                if depth != 0 and self._stays_inside(entry) and real not in visited:
                    visited.add(real)
                    yield from self._files(entry, visited, None if depth is None else depth - 1)
            # A broken link is not a file but would be one: it is kept, and opening it reports it.
            elif (entry.is_file() or entry.is_symlink()) and self.accepts(entry) and self._stays_inside(entry):
                yield entry

    def _entries(self, folder: Path) -> list[Path]:
        try:
            names = sorted(os.listdir(folder))  # noqa: PTH208 (names alone, so that they sort as text everywhere)
        except OSError as e:
            raise EdgekdError(str(folder), "a folder that can be read", str(e)) from None
        return [folder / n for n in names if not n.startswith(".") and n not in IGNORED and self._is_usable(folder, n)]

    def _is_usable(self, folder: Path, name: str) -> bool:
        # Lone surrogates stand for bytes that are not UTF-8; control characters would garble listings and terminals.
        if "\\" in name or any(unicodedata.category(c) in ("Cs", "Cc") for c in name):
            self.problems.append(f"{relative(self.root, folder / name)!r}: a name that is not plain text in UTF-8")
            return False
        return True

    def _stays_inside(self, entry: Path) -> bool:
        if not entry.is_symlink() or entry.resolve().is_relative_to(self.root.resolve()):
            return True
        self.problems.append(f"{relative(self.root, entry)!r}: a link that leads out of the folder")
        return False


def relative(root: Path, path: Path) -> str:
    """The name of a sample: its path below `root`, with `/`."""
    return path.relative_to(root).as_posix()


def any_file(path: Path, accepts: Accepts) -> bool:
    """Whether a folder holds at least one file that `accepts`, at most DETECT_DEPTH folders down."""
    return path.is_dir() and next(Walk(path, accepts).files(path, DETECT_DEPTH), None) is not None


def class_folders(path: str, accepts: Accepts, kind: str) -> tuple[Path, tuple[str, ...], list[Sample]]:
    """The folder, its label names (sorted) and one sample per accepted file, for class folders with or without splits.

    Splits are folders named train, val, test or the like (`dataset.SPLIT_NAMES`, any case) that hold the class folders.
    Files may lie deeper inside their class folder; files beside class folders are ignored. `kind` says what is looked for.
    Raises: EdgekdError that lists what is wrong: no class folders, splits with different classes, a class without files.
    """
    root = Path(path)
    if not path or not root.is_dir():
        todo = "" if root.exists() else "check data.path, or give --data"
        raise EdgekdError(f"data folder {path!r}", f"a folder with one folder of {kind} per class", "no folder", todo)
    walk = Walk(root, accepts)
    classes = {split: walk.folders(folder) for split, folder in _splits(walk, kind).items()}
    label_names = tuple(sorted({folder.name for folders in classes.values() for folder in folders}))
    walk.problems += _class_problems(walk, classes, label_names, kind)
    samples = []
    for split, folders in classes.items():
        for folder in folders:
            files = list(walk.files(folder))
            if not files:
                walk.problems.append(f"{relative(root, folder)!r}: a class without {kind}")
            label = label_names.index(folder.name)
            samples += [Sample(relative(root, f), label, split, fingerprint=file_fingerprint(f)) for f in files]
    if walk.problems:
        raise several(f"data folder {path}", list(dict.fromkeys(walk.problems)))
    return root, label_names, samples


def _splits(walk: Walk, kind: str) -> dict[str, Path]:
    """Split -> its folder; {"": root} where the root holds the class folders itself."""
    splits: dict[str, Path] = {}
    others = []
    for folder in walk.folders(walk.root):
        split = split_name(folder.name)
        if split is None:
            others.append(folder)
        elif split in splits:
            found = f"{splits[split].name!r} and {folder.name!r} would both be {split}"
            raise EdgekdError(f"data folder {walk.root}", "one folder per split", found, "rename or join them")
        else:
            splits[split] = folder
    if not splits:
        return {"": walk.root}
    holding = [folder.name for folder in others if any_file(folder, walk.accepts)]
    if holding:
        found = f"splits {sorted(f.name for f in splits.values())} beside {holding}, which hold {kind} too"
        todo = "move the others away, or rename a class that is called like a split"
        raise EdgekdError(f"data folder {walk.root}", "either split folders or class folders", found, todo)
    return splits


def _class_problems(walk: Walk, classes: dict[str, list[Path]], label_names: tuple[str, ...], kind: str) -> list[str]:
    problems = []
    for split, folders in classes.items():
        missing = [name for name in label_names if name not in {f.name for f in folders}]
        if missing:
            problems.append(f"{split}: no class folder {', '.join(map(repr, missing))}, which another split has")
    if len(label_names) == 1 and "" in classes and next(walk.files(classes[""][0], 0), None) is None:
        wrapper = walk.root / label_names[0]
        problems.append(
            f"one class folder {label_names[0]!r}, with {kind} only in folders of its own: is {wrapper} meant?"
        )
    if not label_names:
        problems.append(f"no class folders with {kind}")
    return problems
