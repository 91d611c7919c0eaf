"""A run: a recipe on its images, decoded and dealt to train, val and test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape

from edgekd.data import sources, splitting, unlabelled
from edgekd.data.augment import Augmenter
from edgekd.data.dataset import NO_LABEL, SPLITS, Dataset, listing_hash
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError, nearest
from edgekd.recipe import InputRecipe, Recipe
from edgekd.reports import left_out, screen
from edgekd.reports.progress import Screen
from edgekd.training.distributed import Processes
from edgekd.training.loop import Task


@dataclass(frozen=True)
class Run:
    """A recipe with its images; what every stage starts from."""

    recipe: Recipe
    folder: Path
    processes: Processes
    console: Console
    pixels: Pixels
    shown: Callable[[Console, str, int], Screen] = Screen  # what shows a training of a title and so many epochs

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the logits."""
        return self.pixels.dataset.label_names

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels [N] of all images, `NO_LABEL` of those that have none."""
        return np.array([s.label for s in self.pixels.dataset.samples])

    @cached_property
    def labels_sha256(self) -> str:
        """sha256 of which image has which label, in any order."""
        pairs = sorted(zip(self.pixels.ids.tolist(), self.labels.tolist(), strict=True))
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()

    def rows(self, split: str) -> np.ndarray:
        """The rows of one split."""
        return np.array([i for i, s in enumerate(self.pixels.dataset.samples) if s.split == split], dtype=np.int64)

    @cached_property
    def labelled_rows(self) -> np.ndarray:
        """The rows of train that have a label: all that a training with labels alone can learn from."""
        rows = self.rows("train")
        return rows[self.labels[rows] != NO_LABEL]

    def split_hashes(self) -> dict[str, str]:
        """sha256 of the listing of each split's labelled images, and of the unlabelled ones in train if there are any."""
        dataset = self.pixels.dataset
        others = [s for s in dataset.split("train") if not s.is_labelled]
        hashes = {split: listing_hash(dataset.labelled().split(split)) for split in SPLITS}
        return hashes | ({"unlabelled": listing_hash(others)} if others else {})

    def seen_as(self, wanted: InputRecipe, seed: int = 0) -> Run:
        """The same pictures, split and views with another input, or trained with another seed than the recipe's."""
        recipe = seen_as(self.recipe, wanted, seed)
        if recipe == self.recipe:
            return self
        console = self.console if self.processes.is_first else None
        return replace(self, recipe=recipe, pixels=_decode(recipe, self.pixels.dataset, console))

    def task(self, mixup: float, with_unlabelled: bool = True) -> Task:
        """The training task; views depend on the recipe alone, so every stage sees the same ones."""
        r, array, classes = self.recipe, self.pixels.array, len(self.label_names)
        partners, rows = self.labelled_rows, self.rows("train") if with_unlabelled else self.labelled_rows
        augmenter = Augmenter(array, self.pixels.ids, self.labels, classes, r.augment, r.viewing_seed, partners, mixup)
        return Task(array, self.labels, rows, self.rows("val"), augmenter, r.seed)


def seen_as(recipe: Recipe, wanted: InputRecipe, seed: int = 0) -> Recipe:
    """The recipe with another input, whose views show the same: what is in px grows with the size."""
    ratio, a = wanted.size / recipe.input.size, recipe.augment
    if ratio != 1 and a.elastic_alpha:
        a = a.model_copy(update={"elastic_alpha": a.elastic_alpha * ratio, "elastic_sigma": a.elastic_sigma * ratio})
    changed: dict[str, Any] = {"input": wanted, "augment": a}
    if seed:  # of the training alone: the split stays
        changed |= {"seed": seed, "split_seed": recipe.dealing_seed}
    return recipe.model_copy(update=changed)


def prepare(recipe: Recipe, folder: Path, processes: Processes, console: Console) -> Run:
    """Read, split and decode the recipe's images; the first process decodes, the others read what it wrote.

    Raises: EdgekdError for a set that cannot be read, too many corrupt images, no labelled image in train, or, in a strict
    recipe, what should not be in train: leaking groups, and unlabelled images of val or test.
    """
    dataset = _read(recipe, console if processes.is_first else None)
    if processes.is_first:
        _warn_of_leaks(dataset.labelled(), recipe.data.strict, console)
        pixels, left = unlabelled.usable(_decode(recipe, dataset, console))
        left_out.show(pixels.corrupt, console)
        _report_unlabelled(left, recipe.data.strict, console)
        _report(pixels, console)
    processes.barrier()
    return Run(recipe, folder, processes, console, unlabelled.usable(_decode(recipe, dataset, None))[0])


def _read(recipe: Recipe, console: Console | None) -> Dataset:
    """The images, all in train, val or test; without the unlabelled ones where nothing would teach them."""
    d = recipe.data
    found = unlabelled.joined(sources.read(d), d.unlabelled)
    if console:
        _warn_of_names(d.display_names, found.label_names, console)
    dataset = splitting.of(found, recipe)
    if not any(s.is_labelled for s in dataset.split("train")):
        raise EdgekdError("data", "labelled images in train", "none")
    labelled = dataset.labelled()
    if recipe.distillation.distill_loss_weight:
        return dataset
    if console and (count := len(dataset.samples) - len(labelled.samples)):
        why = "nothing teaches them (distillation.distill_loss_weight = 0)"
        console.print(f"[yellow]left out:[/] {count} unlabelled images: {why}", highlight=False)
    return labelled


def _warn_of_names(display_names: Mapping[str, str], label_names: tuple[str, ...], console: Console) -> None:
    """Tell of display names without a label: misspelt, or of the images that the recipe was written for."""
    for name in sorted(display_names.keys() - set(label_names)):
        why = escape(f"data.display_names.{name}: the data has no such label; {nearest(name, label_names)}")
        console.print(f"[yellow]warning:[/] {why}", highlight=False)


def _report_unlabelled(left: Mapping[str, int], strict: bool, console: Console) -> None:
    if strict and (count := left.get(unlabelled.OF_HELD_OUT)):
        found = f"{count} {unlabelled.OF_HELD_OUT}"
        raise EdgekdError("unlabelled images", "none of val or test", found, "take them out, or strict = false")
    for why, count in left.items():
        console.print(f"[yellow]left out:[/] {count} unlabelled images: {why}", highlight=False)


def _warn_of_leaks(dataset: Dataset, strict: bool, console: Console) -> None:
    leaks = splitting.leaking_groups(dataset)
    if not leaks:
        return
    found = f"{len(leaks)} groups lie in two splits, for example {min(leaks)!r}"
    if strict:
        raise EdgekdError("data", "every group in one split", found, "correct the split, or strict = false")
    console.print(f"[yellow]warning:[/] {found}; accuracies will look better than they are", highlight=False)


def _decode(recipe: Recipe, dataset: Dataset, console: Console | None) -> Pixels:
    limit, cache = recipe.data.corrupt_limit, Path(recipe.cache)
    if console is None:
        return Pixels.of(dataset, recipe.input, cache, limit)
    with screen.progress(console) as bar:
        shown = bar.add_task("decoding images", total=len(dataset.samples))
        return Pixels.of(dataset, recipe.input, cache, limit, lambda done, _: bar.update(shown, completed=done))


def _report(pixels: Pixels, console: Console) -> None:
    found = {split: pixels.dataset.split(split) for split in SPLITS}
    counts = {split: f"{len(samples)} {split}" for split, samples in found.items()}
    if count := sum(not s.is_labelled for s in found["train"]):
        counts["train"] += f" ({count} unlabelled)"
    total, classes = sum(map(len, found.values())), len(pixels.dataset.label_names)
    console.print(f"{total} images ({', '.join(counts.values())}), {classes} classes", highlight=False)
