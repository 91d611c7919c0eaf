"""Dealing samples to train, val and test: stratified by label, whole groups only, the same for the same seed.

A split that the source gives is never changed; only what is missing is cut: test first, then val, both from train. Unlabelled
samples are in train and have no say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from edgekd.data.dataset import Dataset, Sample
from edgekd.errors import EdgekdError, several


def complete(dataset: Dataset, validation_fraction: float, test_fraction: float, seed: int) -> Dataset:
    """The set with every sample in train, val or test; the unlabelled ones, all in train, come last.

    Samples without a split go to train first. Fractions are of the samples of train at that moment and are met per class
    as closely as whole groups allow. The result depends on names, labels, groups and seed, not on the order of files.
    Raises: EdgekdError if there are fewer than two classes, or one has too few samples or groups to be in every split.
    """
    if len(dataset.label_names) < 2:
        raise EdgekdError("data", "at least two classes", f"only {', '.join(dataset.label_names) or 'none'}")
    samples = [s if s.split else replace(s, split="train") for s in dataset.samples if s.is_labelled]
    for split, fraction in (("test", test_fraction), ("val", validation_fraction)):
        if not any(s.split == split for s in samples):
            samples = _cut(samples, split, fraction, seed, dataset.label_names)
    return dataset.with_samples([*samples, *(replace(s, split="train") for s in dataset.samples if not s.is_labelled)])


def leaking_groups(dataset: Dataset) -> dict[str, set[str]]:
    """Groups that lie in more than one split, with those splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for s in dataset.samples:
        if s.group is not None and s.split:
            splits[s.group].add(s.split)
    return {group: found for group, found in splits.items() if len(found) > 1}


def _cut(samples: list[Sample], split: str, fraction: float, seed: int, label_names: tuple[str, ...]) -> list[Sample]:
    """Move whole groups from train to `split`, in random order, as long as no class gets more than its share."""
    groups: dict[str, Counter[int]] = defaultdict(Counter)
    for s in samples:
        if s.split == "train":
            groups[_unit(s)][s.label] += 1
    totals = sum(groups.values(), Counter())
    share = {label: fraction * count for label, count in totals.items()}
    order = np.random.default_rng([seed, len(split)]).permutation(np.array(sorted(groups), dtype=object))
    moved = {}
    taken: Counter[int] = Counter()
    for unit in order:
        if all(taken[label] + n <= max(1.0, share[label] + 0.5) for label, n in groups[unit].items()):
            moved[unit] = groups[unit]
            taken.update(groups[unit])
    for label in sorted(totals):  # a class of which every group is larger than the share: the best there is
        rest = [u for u in order if u not in moved and 0 < groups[u][label] < totals[label]]
        if not taken[label] and rest:
            best = max(rest, key=lambda unit: _gain(groups[unit], taken, share))
            moved[best] = groups[best]
            taken.update(groups[best])
    problems = [
        f"class {label_names[label]!r}: {totals[label]} samples, of which whole groups leave "
        f"{totals[label] - taken[label]} in train and {taken[label]} in {split}"
        for label in sorted(totals)
        if not 0 < taken[label] < totals[label]
    ]
    if problems:
        todo = f"add images of these classes, or bring a split of your own with a {split} split"
        raise several(f"no {split} split can be cut from train", problems, todo)
    return [replace(s, split=split) if s.split == "train" and _unit(s) in moved else s for s in samples]


def _gain(group: Mapping[int, int], taken: Mapping[int, int], share: Mapping[int, float]) -> float:
    """By how much a group brings the taken counts closer to the shares: the fall of the sum of squared distances."""
    return sum(n * (2 * (share[label] - taken[label]) - n) for label, n in group.items())


def _unit(sample: Sample) -> str:
    """What is dealt as a whole: the group, or the sample itself (NUL keeps the two kinds of name apart)."""
    return f"group\0{sample.group}" if sample.group is not None else f"name\0{sample.name}"
