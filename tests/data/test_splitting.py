"""Dealing samples to splits: fractions, groups, and no say for the order of files."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgekd import recipe
from edgekd.data import sources
from edgekd.data.dataset import NO_LABEL, Dataset, Sample, groups_of
from edgekd.data.splitting import complete, folded, folds_of, leaking_groups, of
from edgekd.errors import EdgekdError
from edgekd.recipe import DataRecipe


def dataset(samples) -> Dataset:
    names = tuple("abcdefgh"[: max(2, 1 + max((s.label for s in samples), default=0))])
    return Dataset(names, tuple(samples), lambda s: pytest.fail("no image is needed"))


def test_groups_are_those_of_all_samples_or_none():
    named = [Sample("a", 0, group="p1"), Sample("b", 1, group="p1"), Sample("c", 0, group="p2")]
    assert groups_of(named) == ("p1", "p1", "p2")
    assert groups_of(iter([*named, Sample("d", 0)])) is None
    assert groups_of([*named, Sample("d", 0, group="")]) is None


def splits(data: Dataset) -> dict[str, str]:
    return {s.name: s.split for s in data.samples}


@st.composite
def grouped(draw) -> list[Sample]:
    """Groups of one to six samples, of one label or mixed, with at least six groups per label."""
    labels, mixed, samples = draw(st.integers(2, 4)), draw(st.booleans()), []
    count = draw(st.integers(6 * labels, 60))
    for g in range(count):
        own = g % labels
        for i in range(draw(st.integers(1, 6))):
            label = draw(st.sampled_from([own, own, own, own, (own + 1) % labels])) if i and mixed else own
            samples.append(Sample(f"{g}-{i}", label, group=f"g{g}"))
    return samples


@given(grouped(), st.integers(0, 2**31 - 1), st.floats(0.1, 0.3), st.floats(0.1, 0.3))
@settings(max_examples=25, deadline=None)
def test_no_group_straddles_and_every_class_is_everywhere(samples, seed, validation, test):
    found = complete(dataset(samples), validation, test, seed)
    assert not leaking_groups(found)
    assert [replace(s, split="") for s in found.samples] == samples  # nothing lost, nothing else changed
    counts = Counter((s.split, s.label) for s in found.samples)
    for split in ("train", "val", "test"):
        assert all(
            counts[split, label] for label in range(len(found.label_names)) if any(s.label == label for s in samples)
        )
    if len({(s.group, s.label) for s in samples}) == len({s.group for s in samples}):
        # Not further from the share than the largest group can make it. (A mixed group may wait for one class and
        # so keep another from its share; nothing is promised then.)
        for label, total in Counter(s.label for s in samples).items():
            assert abs(counts["test", label] - test * total) <= 6, (label, counts)


@given(st.integers(0, 1000), st.integers(10, 80), st.integers(10, 80), st.floats(0.1, 0.4))
@settings(max_examples=25, deadline=None)
def test_without_groups_each_class_gets_its_share_to_the_sample(seed, first, second, fraction):
    samples = [Sample(f"{label}/{i}", label) for label, n in ((0, first), (1, second)) for i in range(n)]
    found = complete(dataset(samples), fraction, fraction, seed)
    for label, total in ((0, first), (1, second)):
        counts = Counter(s.split for s in found.samples if s.label == label)
        assert abs(counts["test"] - fraction * total) <= 0.5 + 1e-9
        assert abs(counts["val"] - fraction * (total - counts["test"])) <= 0.5 + 1e-9


@given(grouped(), st.randoms(use_true_random=False), st.integers(0, 99))
@settings(max_examples=12, deadline=None)
def test_the_order_of_files_has_no_say(samples, random, seed):
    shuffled = list(samples)
    random.shuffle(shuffled)
    assert splits(complete(dataset(samples), 0.2, 0.2, seed)) == splits(complete(dataset(shuffled), 0.2, 0.2, seed))


def many(label_counts=(40, 40), split="") -> list[Sample]:
    return [Sample(f"{split}{label}/{i:03d}", label, split) for label, n in enumerate(label_counts) for i in range(n)]


def test_the_seed_decides_and_nothing_else():
    first, again, other = (splits(complete(dataset(many()), 0.2, 0.2, seed)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_the_split_of_a_seed_is_pinned():
    """A change of the algorithm would deal published runs anew; it must be meant."""
    found = complete(dataset(many((8, 8))), 0.25, 0.25, 0)
    assert sorted(s.name for s in found.split("test")) == ["0/000", "0/006", "1/002", "1/007"]
    assert sorted(s.name for s in found.split("val")) == ["0/003", "0/004", "1/003", "1/004"]


def test_sides_that_the_source_gives_are_not_touched():
    given_sides = many((30, 30), "train") + many((9, 9), "val") + many((5, 5), "test")
    assert complete(dataset(given_sides), 0.2, 0.2, 0).samples == tuple(given_sides)
    without_val = many((30, 30), "train") + many((5, 5), "test")
    found = complete(dataset(without_val), 0.2, 0.4, 0)
    assert [s for s in found.samples if s.split == "test"] == many((5, 5), "test")
    assert Counter(s.split for s in found.samples) == {"train": 48, "val": 12, "test": 10}
    without_test = many((30, 30), "train") + many((9, 9), "val")
    found = complete(dataset(without_test), 0.2, 0.2, 0)
    assert Counter(s.split for s in found.samples) == {"train": 48, "val": 18, "test": 12}
    only_test = many((5, 5), "test")
    assert complete(dataset(only_test), 0.2, 0.2, 0).samples == tuple(only_test)


def test_large_groups_are_dealt_as_well_as_can_be():
    """Four patients of ten slices per class: a fifth is eight, so one patient each."""
    samples = [
        Sample(f"{label}/{p}/{i}", label, group=f"{label} {p}") for label in (0, 1) for p in range(4) for i in range(10)
    ]
    found = complete(dataset(samples), 0.2, 0.2, 3)
    assert Counter((s.split, s.label) for s in found.samples) == {
        (split, label): n for split, n in (("train", 20), ("val", 10), ("test", 10)) for label in (0, 1)
    }


def test_a_group_may_be_called_like_a_sample():
    samples = [
        Sample(f"{label}/{i}", label, group=f"{label}/{i + 1}" if i % 2 else None)
        for label in (0, 1)
        for i in range(20)
    ]
    assert not leaking_groups(complete(dataset(samples), 0.2, 0.2, 0))


def test_leaking_groups_are_found_and_left():
    samples = [*many((9, 9)), Sample("x", 0, "train", "p1"), Sample("y", 0, "test", "p1"), Sample("z", 0, "test", "p2")]
    assert leaking_groups(dataset(samples)) == {"p1": {"train", "test"}}
    found = complete(dataset(samples), 0.2, 0.2, 0)
    assert {s.name: s.split for s in found.samples if s.name in "xyz"}["y"] == "test"


@pytest.mark.parametrize("counts", [(40, 1), (40, 2)])
def test_a_class_with_too_few_samples_is_named(counts):
    with pytest.raises(EdgekdError, match=rf"class 'b': {counts[1]} sample|class 'b': 1 sample"):
        complete(dataset(many(counts)), 0.2, 0.2, 0)


def test_three_samples_are_enough():
    found = complete(dataset(many((40, 3))), 0.1, 0.1, 0)
    assert Counter(s.split for s in found.samples if s.label == 1) == {"train": 1, "val": 1, "test": 1}


def test_a_class_in_one_group_cannot_be_split():
    samples = many((40,)) + [Sample(f"1/{i}", 1, group="p") for i in range(30)]
    with pytest.raises(EdgekdError, match="class 'b'"):
        complete(dataset(samples), 0.2, 0.2, 0)


def test_one_class_is_none():
    one = Dataset(("a",), tuple(many((40,))), lambda s: None)
    with pytest.raises(EdgekdError, match="two classes"):
        complete(one, 0.2, 0.2, 0)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_real_slices_are_cut_by_group_within_three_points(shared, seed):
    data = sources.read(DataRecipe(source="csv", path=str(shared / "data/mri4p/manifest.csv")))
    found = complete(data, 0.15, 0.15, seed)
    assert not leaking_groups(found)
    assert found.split("test") == data.split("test")
    train, val = (Counter(s.label for s in found.split(split)) for split in ("train", "val"))
    for label in range(4):
        assert val[label] / (val[label] + train[label]) == pytest.approx(0.15, abs=0.03)


@given(grouped(), st.integers(0, 2**31 - 1), st.integers(2, 5))
@settings(max_examples=25, deadline=None)
def test_every_sample_is_tested_in_one_fold_and_no_group_straddles(samples, seed, folds):
    given_splits = [replace(s, split=("train", "val", "test")[i % 3]) for i, s in enumerate(samples)]
    tested = Counter()
    for fold in range(folds):
        found = folded(dataset(given_splits), folds, fold, 0.2, seed)
        assert not leaking_groups(found)  # although the source's own splits leak
        assert [s.name for s in found.samples] == [s.name for s in samples]
        assert {s.split for s in found.samples} == {"train", "val", "test"}
        tested.update(s.name for s in found.split("test"))
    assert tested == Counter(s.name for s in samples)
    dealt = folds_of(dataset(samples), folds, seed)
    turned = folds_of(dataset(samples[::-1]), folds, seed)[::-1]
    assert dealt == turned  # names, labels, groups and seed decide; not the order of files, nor the source's splits
    assert dealt == folds_of(dataset(given_splits), folds, seed)


def test_folds_are_stratified_as_closely_as_whole_groups_allow():
    sizes = [30, 12, 9, 7, 5, 5, 4, 3, 2, 2, 1, 1] * 2
    samples = [Sample(f"{g}-{i}", g % 2, group=f"g{g}") for g, size in enumerate(sizes) for i in range(size)]
    counts = Counter(zip(folds_of(dataset(samples), 4, 1), (s.label for s in samples), strict=True))
    totals = Counter(s.label for s in samples)
    largest = Counter()
    for s in samples:
        largest[s.label] = max(largest[s.label], sum(t.group == s.group for t in samples))
    for (_, label), n in counts.items():
        assert abs(n - totals[label] / 4) <= largest[label]


def test_another_seed_deals_otherwise_and_too_few_patients_are_an_error():
    samples = [Sample(f"{g}-{i}", g % 2, group=f"g{g}") for g in range(24) for i in range(3)]
    assert folds_of(dataset(samples), 3, 0) != folds_of(dataset(samples), 3, 1)
    with pytest.raises(EdgekdError, match="class 'b': 2") as caught:
        folds_of(dataset([s for s in samples if s.label == 0 or s.group in ("g1", "g3")]), 3, 0)
    assert "'a'" not in str(caught.value)


def test_a_recipe_asks_for_folds_and_for_a_seed_of_its_own_for_dealing():
    data = dataset([Sample(f"{g}-{i}", g % 2, group=f"g{g}") for g in range(30) for i in range(2)])

    def dealt(*overrides):
        return splits(of(data, recipe.load(None, overrides)))

    assert dealt() != dealt("seed=1")
    assert dealt("seed=1") == dealt("seed=5", "split_seed=1")
    assert dealt("data.folds=3", "data.fold=2") == splits(folded(data, 3, 2, 0.15, 0))
    assert dealt("data.folds=3", "data.fold=2", "seed=7", "split_seed=0") == splits(folded(data, 3, 2, 0.15, 0))
    for wrong in ("data.folds=1", "data.fold=1", "data={folds=3, fold=3}"):
        with pytest.raises(EdgekdError, match="data"):
            recipe.load(None, [wrong])


def test_unlabelled_samples_are_in_train_in_every_fold_and_have_no_say():
    labelled = [Sample(f"{g}-{i}", g % 2, group=f"g{g}") for g in range(24) for i in range(2)]
    others = [Sample(f"u{i}", NO_LABEL) for i in range(5)]
    mixed = [sample for pair in zip(others, labelled, strict=False) for sample in pair] + labelled[5:]
    for fold in range(3):
        found = folded(dataset(mixed), 3, fold, 0.2, 1)
        assert [s for s in found.samples if not s.is_labelled] == [replace(s, split="train") for s in others]
        assert found.labelled().samples == folded(dataset(labelled), 3, fold, 0.2, 1).samples


@given(grouped(), st.integers(0, 99), st.floats(0.4, 0.8))
@settings(max_examples=25, deadline=None)
def test_few_labels_are_those_of_whole_groups_and_test_is_as_it_was(samples, seed, fraction):
    assume(_enough(samples, fraction))
    found = folded(dataset(samples), 3, 1, 0.2, seed, fraction)
    whole = folded(dataset(samples), 3, 1, 0.2, seed)
    assert found.split("test") == whole.split("test")
    assert not leaking_groups(found)
    assert sorted(s.name for s in found.samples) == sorted(s.name for s in samples)  # nothing lost
    true = {s.name: s.label for s in samples}
    assert all(s.label == true[s.name] for s in found.samples if s.is_labelled)
    hidden, labelled = ({s.group for s in found.samples if s.is_labelled is kind} for kind in (False, True))
    assert not hidden & labelled
    assert {s.split for s in found.samples if not s.is_labelled} <= {"train"}


def _enough(samples, fraction) -> bool:
    """Whether val can be cut from what keeps its labels: a class needs groups for that."""
    by_class = Counter(s.label for s in samples if s.name.endswith("-0"))
    return all(fraction * n * 2 / 3 > 4 for n in by_class.values()) and len(
        {(s.group, s.label) for s in samples}
    ) == len({s.group for s in samples})


def test_a_quarter_of_the_labels_is_that_of_each_class_and_the_recipe_asks_for_it():
    samples = [Sample(f"{g}-{i}", g % 2, group=f"g{g}") for g in range(80) for i in range(1 + g % 5)]
    d = complete(dataset(samples), 0.2, 0.2, 0)
    few = complete(dataset(samples), 0.2, 0.2, 0, 0.25)
    assert few.split("test") == d.split("test")
    left = {s.group for s in samples} - {s.group for s in d.split("test")}
    for label in (0, 1):
        groups = {g for g in left if int(g[1:]) % 2 == label}
        kept = {s.group for s in few.labelled().samples if s.label == label and s.split != "test"}
        assert len(kept) == round(0.25 * len(groups))
    asked = of(
        dataset(samples),
        recipe.load(None, ["data={validation_fraction=0.2, test_fraction=0.2, labelled_fraction=0.25}"]),
    )
    assert asked.samples == few.samples
    other = complete(dataset(samples), 0.2, 0.2, 1, 0.25)
    assert {s.name for s in other.samples if not s.is_labelled} != {s.name for s in few.samples if not s.is_labelled}


def test_of_a_source_with_a_val_split_that_split_keeps_its_labels():
    given_sides = many((30, 30), "train") + many((9, 9), "val") + many((5, 5), "test")
    found = complete(dataset(given_sides), 0.2, 0.2, 0, 0.1)
    counts = Counter((s.split, s.is_labelled) for s in found.samples)
    assert counts == {("train", True): 6, ("train", False): 54, ("val", True): 18, ("test", True): 10}
