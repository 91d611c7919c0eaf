"""Dealing samples to train, val and test: stratified by label, whole groups only, the same for the same seed.

A split that the source gives is never changed; only what is missing is cut: test first, then val, both from train. Where a
recipe asks for folds, all samples are dealt anew. Unlabelled samples are in train and have no say. Where a recipe asks what few
labels are worth, most groups of train lose theirs once test is cut, before val is.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from edgekd.data.dataset import NO_LABEL, Dataset, Sample
from edgekd.errors import EdgekdError, several
from edgekd.recipe import Recipe

LABELS = 7  # beside a seed: which groups keep their labels is drawn apart from what is dealt


def of(dataset: Dataset, recipe: Recipe) -> Dataset:
    """The set with every sample in train, val or test, as the recipe says.

    Raises: EdgekdError as `complete` and `folded` do.
    """
    d, seed = recipe.data, recipe.dealing_seed
    if d.folds:
        return folded(dataset, d.folds, d.fold, d.validation_fraction, seed, d.labelled_fraction)
    return complete(dataset, d.validation_fraction, d.test_fraction, seed, d.labelled_fraction)


def complete(
    dataset: Dataset, validation_fraction: float, test_fraction: float, seed: int, labelled_fraction: float = 1.0
) -> Dataset:
    """The set with every sample in train, val or test; the unlabelled ones, all in train, come last.

    Samples without a split go to train first. Fractions are of the samples of train at that moment and are met per class
    as closely as whole groups allow. The result depends on names, labels, groups and seed, not on the order of files.
    `labelled_fraction` of train's groups of each class keep their labels, at least one; val is cut from those.
    Raises: EdgekdError if there are fewer than two classes, or one has too few samples or groups to be in every split.
    """
    if len(dataset.label_names) < 2:
        raise EdgekdError("data", "at least two classes", f"only {', '.join(dataset.label_names) or 'none'}")
    samples = [s if s.split else replace(s, split="train") for s in dataset.samples if s.is_labelled]
    if not any(s.split == "test" for s in samples):
        samples = _cut(samples, "test", test_fraction, seed, dataset.label_names)
    samples, others = _labelled(samples, labelled_fraction, seed)
    if not any(s.split == "val" for s in samples):
        samples = _cut(samples, "val", validation_fraction, seed, dataset.label_names)
    others += [s for s in dataset.samples if not s.is_labelled]
    return dataset.with_samples([*samples, *(replace(s, split="train") for s in others)])


def folded(
    dataset: Dataset, folds: int, fold: int, validation_fraction: float, seed: int, labelled_fraction: float = 1.0
) -> Dataset:
    """The set with fold number `fold` as test, val cut from the other folds, and the rest as train.

    The source's splits are set aside: every labelled sample is in the test split of exactly one fold, its group's. Which one
    depends on names, labels, groups and seed alone.
    Raises: EdgekdError if a class has fewer groups than there are folds, or `complete` would raise.
    """
    labelled = dataset.labelled()
    fold_of = folds_of(labelled, folds, seed)
    dealt = [replace(s, split="test" if f == fold else "train") for s, f in zip(labelled.samples, fold_of, strict=True)]
    others = [s for s in dataset.samples if not s.is_labelled]
    return complete(dataset.with_samples([*dealt, *others]), validation_fraction, 0.0, seed, labelled_fraction)


def folds_of(dataset: Dataset, folds: int, seed: int) -> list[int]:
    """The fold of each sample, from 0; all have labels.

    Groups come in random order, larger ones first; each goes to the fold that it leaves most even: with the smallest sum
    over folds and classes of (share of the class in the fold)².
    Raises: EdgekdError if a class has fewer groups than there are folds.
    """
    groups = _counts(dataset.samples)
    totals = sum(groups.values(), Counter())
    _check_folds(groups, totals, folds, dataset.label_names)
    order = np.random.default_rng([seed, folds]).permutation(np.array(sorted(groups), dtype=object))
    dealt = [Counter[int]() for _ in range(folds)]
    fold_of: dict[str, int] = {}
    for unit in sorted(order, key=lambda unit: -groups[unit].total()):
        growth = [
            sum(n * (2 * held[label] + n) / totals[label] ** 2 for label, n in groups[unit].items()) for held in dealt
        ]
        fold_of[unit] = min(range(folds), key=lambda f: (round(growth[f], 12), dealt[f].total(), f))
        dealt[fold_of[unit]].update(groups[unit])
    return [fold_of[_unit(s)] for s in dataset.samples]


def _counts(samples: Iterable[Sample]) -> dict[str, Counter[int]]:
    """How many samples of each label every unit has."""
    groups: dict[str, Counter[int]] = defaultdict(Counter)
    for s in samples:
        groups[_unit(s)][s.label] += 1
    return groups


def _check_folds(
    groups: Mapping[str, Counter[int]], totals: Mapping[int, int], folds: int, label_names: tuple[str, ...]
) -> None:
    having = Counter(label for counts in groups.values() for label in counts)
    problems = [f"class {label_names[label]!r}: {having[label]}" for label in sorted(totals) if having[label] < folds]
    if problems:
        todo = "lower data.folds, or add patients"
        raise several(f"data.folds = {folds}: fewer groups of a class than folds", problems, todo)


def leaking_groups(dataset: Dataset) -> dict[str, set[str]]:
    """Groups that lie in more than one split, with those splits."""
    splits: dict[str, set[str]] = defaultdict(set)
    for s in dataset.samples:
        if s.group is not None and s.split:
            splits[s.group].add(s.split)
    return {group: found for group, found in splits.items() if len(found) > 1}


def _cut(samples: list[Sample], split: str, fraction: float, seed: int, label_names: tuple[str, ...]) -> list[Sample]:
    """Move whole groups from train to `split`, in random order, as long as no class gets more than its share."""
    groups = _counts(s for s in samples if s.split == "train")
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


def _labelled(samples: list[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """The samples that keep their labels, and those of train that lose theirs: whole groups, in random order within a class.

    A group counts for the label that most of its samples have.
    """
    if fraction == 1.0:
        return samples, []
    of_class = defaultdict[int, list[str]](list)
    for unit, counts in sorted(_counts(s for s in samples if s.split == "train").items()):
        of_class[min(counts, key=lambda label: (-counts[label], label))].append(unit)
    kept: set[str] = set()
    for label, units in sorted(of_class.items()):
        order = np.random.default_rng([seed, label, LABELS]).permutation(np.array(units, dtype=object))
        kept.update(order[: max(1, round(fraction * len(units)))])
    loses = [s.split == "train" and _unit(s) not in kept for s in samples]
    others = [replace(s, label=NO_LABEL) for s, lost in zip(samples, loses, strict=True) if lost]
    return [s for s, lost in zip(samples, loses, strict=True) if not lost], others


def _gain(group: Mapping[int, int], taken: Mapping[int, int], share: Mapping[int, float]) -> float:
    """By how much a group brings the taken counts closer to the shares: the fall of the sum of squared distances."""
    return sum(n * (2 * (share[label] - taken[label]) - n) for label, n in group.items())


def _unit(sample: Sample) -> str:
    """What is dealt as a whole: the group, or the sample itself (NUL keeps the two kinds of name apart)."""
    return f"group\0{sample.group}" if sample.group is not None else f"name\0{sample.name}"
