"""Several sets as one, with one map of labels: public folders that call the same class `no_tumor`, `notumor` or `No Tumor`.

Labels that differ only in case, spaces, signs or the spelling of tumour are one class; what else is to be one is said by
`labels` of a part. A part keeps its own splits; images of a part without splits are train where another part has splits. Names
and groups begin with the part's name: a patient of two parts counts as two, and only an audit can tell copies.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from pydantic import Field, model_validator

from edgekd.data import sources
from edgekd.data.dataset import NO_LABEL, Dataset, Sample
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
                group=None if s.group is None else f"{part.name}{SEPARATOR}{s.group}",
            )
        )
    return found
