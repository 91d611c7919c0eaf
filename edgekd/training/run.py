"""A run: a recipe on its images, decoded and dealt to train, val and test."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from edgekd.data import sources, splitting
from edgekd.data.augment import Augmenter
from edgekd.data.dataset import SPLITS, Dataset, listing_hash
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError
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
        """Labels [N] of all images."""
        return np.array([s.label for s in self.pixels.dataset.samples])

    @cached_property
    def labels_sha256(self) -> str:
        """sha256 of which image has which label, in any order."""
        pairs = sorted(zip(self.pixels.ids.tolist(), self.labels.tolist(), strict=True))
        return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()

    def rows(self, split: str) -> np.ndarray:
        """The rows of one split."""
        return np.array([i for i, s in enumerate(self.pixels.dataset.samples) if s.split == split], dtype=np.int64)

    def split_hashes(self) -> dict[str, str]:
        """sha256 of the listing of each split."""
        return {split: listing_hash(self.pixels.dataset.split(split)) for split in SPLITS}

    def seen_as(self, wanted: InputRecipe, seed: int = 0) -> Run:
        """The same pictures, split and views with another input, or trained with another seed than the recipe's."""
        recipe = seen_as(self.recipe, wanted, seed)
        if recipe == self.recipe:
            return self
        console = self.console if self.processes.is_first else None
        return replace(self, recipe=recipe, pixels=_decode(recipe, self.pixels.dataset, console))

    def task(self, mixup: float) -> Task:
        """The training task; views are those of the recipe's seed, so every stage sees the same ones."""
        r, array, classes = self.recipe, self.pixels.array, len(self.label_names)
        partners = self.rows("train")
        augmenter = Augmenter(array, self.pixels.ids, self.labels, classes, r.augment, r.seed, partners, mixup)
        return Task(array, self.labels, self.rows("train"), self.rows("val"), augmenter, r.seed)


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

    Raises: EdgekdError for a set that cannot be read, too many corrupt images, or leaking groups in a strict recipe.
    """
    dataset = splitting.of(sources.read(recipe.data), recipe)
    if processes.is_first:
        _warn_of_leaks(dataset, recipe.data.strict, console)
        _report(_decode(recipe, dataset, console), console)
    processes.barrier()
    return Run(recipe, folder, processes, console, _decode(recipe, dataset, None))


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
    left_out.show(pixels.corrupt, console)
    splits = ", ".join(f"{len(pixels.dataset.split(split))} {split}" for split in SPLITS)
    classes = len(pixels.dataset.label_names)
    console.print(f"{len(pixels.dataset.samples)} images ({splits}), {classes} classes", highlight=False)
