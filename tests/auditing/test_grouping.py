"""Estimated groups: where chains stay short or when asked for, and otherwise none, which the reports say."""

from __future__ import annotations

import csv
import io
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from edgekd.auditing import caveats, judging, listing, matching, reading
from edgekd.auditing.grouping import group_images
from edgekd.auditing.listing import Entry
from edgekd.recipe import AuditRecipe

DIGITS, LONGEST = 300, 39  # of the first 300 digits, 39 are alike directly or through others


def matches(groups, alike, copies=(), **settings):
    """Images with these groups, and pairs of them by hand."""
    entries = tuple(Entry(f"{i}.png", "a", "", group) for i, group in enumerate(groups))
    pairs = {
        name: np.array(found, np.int64).reshape(-1, 2)
        for name, found in (("alike", [*alike, *copies]), ("copies", copies))
    }
    return SimpleNamespace(
        facts=SimpleNamespace(entries=entries),
        settings=AuditRecipe(**settings),
        alike=lambda: pairs["alike"],
        copies=lambda: pairs["copies"],
    )


@pytest.mark.parametrize(("share", "is_used"), [(0.029, False), (0.03, True)])
def test_the_longest_chain_decides_exactly(share, is_used):
    found = group_images(matches([None] * 100, [(0, 1), (1, 2), (5, 6)], longest_chain=share))
    assert (found.estimated, found.largest, found.is_used) == (97, 3, is_used)
    assert found.names == (
        ("estimated-0001",) * 3
        + tuple(f"estimated-{i:04d}" for i in (2, 3, 4, 4))
        + tuple(f"estimated-{i:04d}" for i in range(5, 98))
        if is_used
        else ("",) * 100
    )


@pytest.mark.parametrize(("asked", "is_used"), [("auto", True), ("always", True), ("never", False)])
def test_a_pair_is_no_chain_and_asking_decides(asked, is_used):
    found = group_images(matches([None] * 3, [(0, 2)], estimate_groups=asked))
    assert found.is_used == is_used
    assert found.units.tolist() == ([0, 1, 0] if is_used else [0, 1, 2])


def test_without_an_estimate_copies_and_groups_of_the_source_stay_together():
    found = group_images(
        matches(["p", None, "p", None, None], [(1, 3), (3, 4)], copies=[(2, 4)], estimate_groups="never")
    )
    assert found.units.tolist() == [0, 1, 0, 2, 0]
    assert found.names == ("p", "", "p", "", "")


def test_only_images_without_a_group_count_as_estimated():
    found = group_images(matches(["p"] * 10 + [None], [(0, 10)]))
    assert (found.estimated, found.largest, found.is_used) == (1, 1, True)
    none = group_images(matches(["p", "q"], [(0, 1)]))
    assert (none.estimated, none.largest, none.is_used) == (0, 0, False)
    assert none.units.tolist() == [0, 1]


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    """scikit-learn's digits as class folders, in training and testing."""
    folder, data = tmp_path_factory.mktemp("digits"), load_digits()
    for index, (pixels, label) in enumerate(zip(data.images[:DIGITS], data.target, strict=False)):
        path = folder / ("test" if index % 5 == 0 else "train") / str(label) / f"{index:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 255 / 16).round().astype(np.uint8)).save(path)
    found = listing.of_folder(folder)
    return found, matching.match(reading.read(found), AuditRecipe())


def judged(digits, **settings):
    found, matched = digits
    changed = matching.Matches(matched.facts, matched.exact, matched.compared, AuditRecipe(**settings))
    audit, text = judging.judge(found, changed, "digits", "split.csv", {})
    return audit, Counter(row["group"] for row in csv.DictReader(io.StringIO(text)))


def test_digits_chain_so_that_no_groups_are_written(digits):
    audit, groups = judged(digits)
    assert (audit.clean.largest_estimated_group, audit.clean.estimated_groups_used) == (LONGEST, False)
    assert set(groups) == {""}
    text = caveats.estimates(audit)
    assert f"{LONGEST} of {DIGITS} (13.0 %; at most 2 %, audit.longest_chain)" in text
    assert text.startswith("No groups are estimated")
    assert "--estimate-groups" in text


@pytest.mark.parametrize("settings", [{"estimate_groups": "always"}, {"longest_chain": LONGEST / DIGITS}])
def test_digits_get_estimated_groups_when_asked_for(digits, settings):
    audit, groups = judged(digits, **settings)
    assert audit.clean.estimated_groups_used
    assert len(groups) == audit.clean.estimated_groups
    assert all(name.startswith("estimated-") for name in groups)
    assert "An estimated group is no patient" in caveats.estimates(audit)


def test_digits_without_the_chain_lose_no_image_to_another_split(digits):
    """The chain drags its training images to the test split or the other way round; copies alone move hardly any."""
    without, _ = judged(digits)
    chained, _ = judged(digits, estimate_groups="always")
    assert len(without.clean.moved) < len(chained.clean.moved)
