"""Dealing samples to train, val and test: stratified by label, whole groups only, the same for the same seed.

A split that the source gives is never changed; only what is missing is cut: test first, then val, both from train.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace

import numpy as np

from edgekd.data.dataset import Dataset, Sample
from edgekd.errors import EdgekdError


def complete(dataset: Dataset, validation_fraction: float, test_fraction: float, seed: int) -> Dataset:
    """The set with every sample in train, val or test.

    Samples without a split go to train first. Fractions are of the samples of train at that moment and are met per class
    as closely as whole groups allow. The result depends on names, labels, groups and seed, not on the order of files.
    Raises: EdgekdError if a class has too few samples or groups to be on every side.
    """
    samples = [s if s.split else replace(s, split="train") for s in dataset.samples]
    for side, fraction in (("test", test_fraction), ("val", validation_fraction)):
        if not any(s.split == side for s in samples):
            samples = _cut(samples, side, fraction, seed, dataset.label_names)
    return dataset.with_samples(samples)


def leaking_groups(dataset: Dataset) -> dict[str, set[str]]:
    """Groups that lie on more than one side, with those sides."""
    sides: dict[str, set[str]] = defaultdict(set)
    for s in dataset.samples:
        if s.group is not None and s.split:
            sides[s.group].add(s.split)
    return {group: found for group, found in sides.items() if len(found) > 1}


def _cut(samples: list[Sample], side: str, fraction: float, seed: int, label_names: tuple[str, ...]) -> list[Sample]:
    """Move whole groups from train to `side`, in random order, as long as no class gets more than its share."""
    groups: dict[str, list[Sample]] = defaultdict(list)
    for s in samples:
        if s.split == "train":
            groups[_unit(s)].append(s)
    totals = Counter(s.label for g in groups.values() for s in g)
    share = {label: fraction * count for label, count in totals.items()}
    order = np.random.default_rng([seed, len(side)]).permutation(np.array(sorted(groups), dtype=object))
    taken: Counter[int] = Counter()
    moved: set[str] = set()
    for unit in order:
        counts = Counter(s.label for s in groups[unit])
        if all(taken[label] + n <= max(1.0, share[label] + 0.5) for label, n in counts.items()):
            moved.add(unit)
            taken.update(counts)
    for label, count in totals.items():
        if not 0 < taken[label] < count:
            found = f"{count} samples, of which whole groups give {taken[label]} to {side}"
            todo = "add images of this class, give a split, or change the fraction"
            raise EdgekdError(f"class {label_names[label]!r}", f"samples for train and for {side}", found, todo)
    return [replace(s, split=side) if s.split == "train" and _unit(s) in moved else s for s in samples]


def _unit(sample: Sample) -> str:
    """What is dealt as a whole: the group, or the sample itself (NUL keeps the two kinds of name apart)."""
    return f"group\0{sample.group}" if sample.group is not None else f"name\0{sample.name}"
