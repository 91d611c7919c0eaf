"""Planted copies of every kind among phantoms: what is found, under which view, and what is left alone."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from edgekd.auditing import listing, matching, reading
from edgekd.recipe import AuditRecipe

KINDS = (
    *("exact", "mirrored", "upside-down", "rotated by 180°", "contrast", "brightness", "re-encoded", "resized", "squeezed"),
    *("cropped to the head", "mirrored, brightness, re-encoded", "rotated by 180°, squeezed"),
)  # fmt: skip
VIEW = {"mirrored": "mirrored", "upside-down": "upside_down", "rotated by 180°": "rotated_180", "exact": "exact"}
COPIES = 24  # of every kind
EDITED_TWICE = (
    "mirrored, brightness, re-encoded"  # beyond what is promised, and small slices lose much to a strong JPEG
)


@pytest.fixture(scope="module")
def found(planting, slices, tmp_path_factory):
    """Origin of every image, and the pairs that the audit calls copies: {(a, b): kind}."""
    folder = tmp_path_factory.mktemp("planted")
    origin = {}
    for index, image in enumerate(slices):
        origin[f"clean-{index}.png"] = index
        image.save(folder / f"clean-{index}.png")
    for number, (kind, change) in enumerate(planting.KINDS.items()):
        rng = np.random.default_rng(number)
        for index in rng.choice(len(slices), COPIES, replace=False).tolist():
            name = f"{kind}-{index}.png"
            change(slices[index], rng).save(folder / name)
            origin[name] = index
    matches = matching.match(reading.read(listing.of_folder(folder)), AuditRecipe())
    pairs = [matches.exact_pair(a, b) for a, b in matches.exact]
    pairs += [pair for row in range(len(matches.compared)) if (pair := matches.pair(row)).kind != "similar"]
    return origin, {(p.a.path, p.b.path): p.kind for p in pairs}


def test_the_kinds_are_those_of_the_benchmark(planting):
    assert set(planting.KINDS) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_copy_is_found_and_nothing_else(found, kind):
    origin, pairs = found
    joined = defaultdict(set)
    for a, b in pairs:
        joined[a].add(b)
        joined[b].add(a)
    planted = [name for name in origin if name.rpartition("-")[0] == kind]
    assert len(planted) == COPIES
    hit = sum(any(origin[other] == origin[name] for other in joined[name]) for name in planted)
    right = sum(origin[other] == origin[name] for name in planted for other in joined[name])
    assert hit / COPIES >= (0.9 if kind == EDITED_TWICE else 0.98)
    assert right / sum(len(joined[name]) for name in planted) >= 0.98


def test_slices_of_one_patient_and_other_patients_in_the_same_pose_are_no_copies(found):
    origin, pairs = found
    assert not [pair for pair in pairs if origin[pair[0]] != origin[pair[1]]]


@pytest.mark.parametrize("kind", VIEW)
def test_a_pair_says_under_which_view_it_agrees(found, kind):
    _, pairs = found
    views = {
        view
        for (a, b), view in pairs.items()
        for clean, copy in ((a, b), (b, a))
        if clean.startswith("clean") and copy.rpartition("-")[0] == kind
    }
    assert views == {VIEW[kind]}
