"""Several sets as one, with one map of labels: public folders that call the same class `no_tumor`, `notumor` or `No Tumor`.

Labels that differ only in case, spaces, signs or the spelling of tumour are one class; what else is to be one is said by
`labels` of a part. A part keeps its own splits; images of a part without splits are train where another part has splits. Names
and groups begin with the part's name: a patient of two parts counts as two, unless they have `shared_groups`. Copies only an
audit can tell; the `split.csv` that it writes is taken up by `split`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import Field, model_validator

from edgekd.data import sources
from edgekd.data.dataset import NO_LABEL, Dataset, Sample, split_name
from edgekd.errors import CorruptImage, EdgekdError, nearest, several
from edgekd.recipe import DataRecipe
from edgekd.section import Section

SEPARATOR = "/"


class Part(Section):
    """One set of a union."""

    name: str = Field(pattern=r"^[\w.-]+$")
    source: str = ""  # as data.source; "": what reads `path`
    path: str = ""
    options: dict[str, Any] = {}
    labels: dict[str, str] = {}  # a label of this set -> the union's; "" leaves its images out
    split: Literal["", "train", "val", "test"] = ""  # of all its images; "": as the set says


class Options(Section):
    """The parts in order, and the names of the classes; without these they are as the parts spell them first."""

    parts: tuple[Part, ...] = Field(min_length=1, strict=False)
    label_names: tuple[str, ...] = Field((), strict=False)
    split: str = (
        ""  # a CSV of path, group and split: the images that stay, their groups and splits; what an audit writes
    )
    shared_groups: bool = False  # the parts number patients alike, so that one group in two parts is one

    @model_validator(mode="after")
    def _names(self) -> Options:
        for what, names in (("parts", [part.name for part in self.parts]), ("label_names", list(self.label_names))):
            if len(set(names)) < len(names):
                raise ValueError(f"two of {what} have one name")
        return self


def reads(path: Path) -> bool:
    """Never: a union is what a recipe says it is."""
    del path
    return False


def read(path: str, options: Options) -> Dataset:
    """All parts as one set.

    Raises: EdgekdError for a part that cannot be read, labels to be renamed that it does not have, or that the union lacks.
    """
    del path
    parts = {part.name: _read(part) for part in options.parts}
    renamed = {part.name: _renamed(part, parts[part.name]) for part in options.parts}
    label_names = options.label_names or _spelt_first(parts, renamed)
    index = {canonical(name): k for k, name in enumerate(label_names)}
    problems = [
        f"part {name}: {label!r}"
        for name, labels in renamed.items()
        for label in sorted(set(labels.values()) - {""})
        if canonical(label) not in index
    ]
    if problems:
        todo = "name them in data.options.label_names, or rename or leave them out by `labels` of the part"
        raise several("labels that the union does not have", problems, todo)
    samples = [s for part in options.parts for s in _samples(part, parts[part.name], renamed[part.name], index)]
    if not options.shared_groups:
        samples = [s if s.group is None else replace(s, group=_of_part(s)) for s in samples]
    if options.split:
        samples = _split(samples, Path(options.split))
    if not samples:
        raise EdgekdError("data.options.parts", "images", "none")

    def of_part(sample: Sample) -> tuple[Dataset, Sample]:
        name, _, own = sample.name.partition(SEPARATOR)
        return parts[name], replace(sample, name=own)

    def open_image(sample: Sample) -> Image.Image:
        dataset, own = of_part(sample)
        try:
            return dataset.open_image(own)
        except CorruptImage as e:
            raise CorruptImage(sample.name, e.expected, e.found, e.todo) from None

    def open_mask(sample: Sample) -> Image.Image | None:
        dataset, own = of_part(sample)
        return dataset.open_mask(own) if dataset.open_mask else None

    return Dataset(label_names, tuple(samples), open_image, open_mask)


def canonical(label: str) -> str:
    """What is left of a label without case, spaces and signs, tumour spelt tumor: `No Tumour` -> `notumor`."""
    return re.sub(r"[\W_]+", "", label.casefold()).replace("tumour", "tumor")


def _read(part: Part) -> Dataset:
    where = f"part {part.name!r} of data.options.parts"
    try:
        source = part.source or sources.detect(part.path)
        return sources.read(DataRecipe(source=source, path=part.path, options=part.options))
    except EdgekdError as e:
        raise EdgekdError(f"{where}: {e.where}", e.expected, e.found, e.todo) from None


def _renamed(part: Part, dataset: Dataset) -> dict[int, str]:
    """What the union calls each label of a part that has images; "" for one that is left out."""
    for label in part.labels:
        if label not in dataset.label_names:
            todo = nearest(label, dataset.label_names)
            raise EdgekdError(f"part {part.name!r}: labels.{label}", "a label of this set", todo=todo)
    used = {s.label for s in dataset.samples if s.is_labelled}
    return {k: part.labels.get(dataset.label_names[k], dataset.label_names[k]) for k in sorted(used)}


def _spelt_first(parts: Mapping[str, Dataset], renamed: Mapping[str, Mapping[int, str]]) -> tuple[str, ...]:
    """The names of all labels, sorted, each as the first part that has it spells it."""
    found: dict[str, str] = {}
    for name in parts:
        for label in renamed[name].values():
            if label:
                found.setdefault(canonical(label), label)
    return tuple(sorted(found.values()))


def _split(samples: list[Sample], path: Path) -> list[Sample]:
    """The samples that a split file names, in the groups and splits that it says.

    Raises: EdgekdError for a file that cannot be read, or names images that are not there.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = {row["path"]: (row["group"] or None, row["split"]) for row in csv.DictReader(file, strict=True)}
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as e:
        found = f"no column {e}" if isinstance(e, KeyError) else str(e)
        raise EdgekdError(f"data.options.split {path}", "a CSV with path, group and split", found) from None
    problems = [f"{name!r}: no image of that name" for name in rows.keys() - {s.name for s in samples}]
    problems += [f"{name!r}: split {split!r}" for name, (_, split) in rows.items() if split and not split_name(split)]
    if problems:
        raise several(f"data.options.split {path}", sorted(problems), "audit the same parts again")
    kept = [(s, *rows[s.name]) for s in samples if s.name in rows]
    return [replace(s, group=group, split=split_name(split) or "") for s, group, split in kept]


def _of_part(sample: Sample) -> str:
    """A group's name among those of all parts."""
    return f"{sample.name.partition(SEPARATOR)[0]}{SEPARATOR}{sample.group}"


def _samples(part: Part, dataset: Dataset, renamed: Mapping[int, str], index: Mapping[str, int]) -> list[Sample]:
    found = []
    for s in dataset.samples:
        label = renamed[s.label] if s.is_labelled else None
        if label == "":
            continue
        found.append(
            replace(
                s,
                name=f"{part.name}{SEPARATOR}{s.name}",
                label=NO_LABEL if label is None else index[canonical(label)],
                split=part.split or s.split,
            )
        )
    return found
