"""Two studies side by side: what changed for the variants that both have, on the images that both answer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgekd.errors import EdgekdError, several
from edgekd.studies.result import Gain, Result
from edgekd.studies.table import NONE, Answers, adjusted, answers, gain


@dataclass(frozen=True)
class Change:
    """A variant in two studies: accuracy in both on the images and seeds of both, and the change from the first."""

    variant: str
    before: float
    after: float
    gain: Gain


@dataclass(frozen=True)
class Comparison:
    """What two studies share. `groups` is None where not both know them."""

    changes: tuple[Change, ...]
    images: int
    groups: int | None
    seeds: tuple[int, ...]
    only_before: tuple[str, ...]  # variants
    only_after: tuple[str, ...]


def compare(before: Result, after: Result) -> Comparison:
    """Pair two studies by variant, seed and image.

    Raises: EdgekdError if they share no variant, seed or image, or an image has another label.
    """
    rows = _shared_images(before, after)
    seeds = tuple(seed for seed in before.study.seeds if seed in after.study.seeds)
    names = [name for name in before.study.variants if name in after.study.variants]
    for what, shared in (("seeds", seeds), ("variants", names)):
        if not shared:
            raise EdgekdError(f"{before.study.name} and {after.study.name}", f"{what} in common", "none")
    known = before.groups is not None and after.groups is not None
    groups = np.array([after.images[j].group for _, j in rows]) if known else None
    pairs = {
        name: (
            answers(before, name).of(seeds, [i for i, _ in rows]),
            answers(after, name).of(seeds, [j for _, j in rows]),
        )
        for name in names
    }
    gains = adjusted({name: gain(a, b, groups) for name, (a, b) in pairs.items()})
    if not gains:
        raise EdgekdError(f"{before.study.name} and {after.study.name}", "runs of one variant in both", "none")
    return Comparison(
        tuple(Change(name, *_accuracies(*pairs[name]), found) for name, found in gains.items()),
        len(rows),
        len(np.unique(groups)) if groups is not None else None,
        seeds,
        tuple(name for name in before.study.variants if name not in gains),
        tuple(name for name in after.study.variants if name not in gains),
    )


def _accuracies(before: Answers, after: Answers) -> tuple[float, float]:
    both = (before.right != NONE) & (after.right != NONE)
    return float(before.right[both].mean()), float(after.right[both].mean())


def _shared_images(before: Result, after: Result) -> list[tuple[int, int]]:
    """Where an image stands in both, by name."""
    if before.label_names != after.label_names:
        found = ", ".join(after.label_names)
        raise EdgekdError(after.study.name, f"the classes {', '.join(before.label_names)}", found)
    place = {image.name: j for j, image in enumerate(after.images)}
    rows = [(i, place[image.name]) for i, image in enumerate(before.images) if image.name in place]
    if not rows:
        raise EdgekdError(f"{before.study.name} and {after.study.name}", "images in common", "none")
    other = [before.images[i].name for i, j in rows if before.images[i].label != after.images[j].label]
    if other:
        raise several("images with another label in the other study", other, "compare studies of the same data")
    return rows
