"""What the reports say of patients: unknown without ids, checked with them."""

from __future__ import annotations

import numpy as np
import pytest

from edgekd.auditing import caveats, listing
from edgekd.data import sources
from edgekd.recipe import DataRecipe

SPLITS = ("train", "train", "val", "test", "test", "test")


@pytest.fixture
def listed(save, slices, examine):
    """Audit six unlike images with these groups and splits."""

    def run(groups, splits=SPLITS):
        folder = save({f"{i}.png": slices[8 * i] for i in range(6)})
        rows = (f"{i}.png,a,{group},{split}" for i, (group, split) in enumerate(zip(groups, splits, strict=True)))
        (folder / "list.csv").write_text("\n".join(["path,label,group,split", *rows]))
        dataset = sources.read(DataRecipe(source="csv", path=str(folder / "list.csv")))
        return examine(listing.of_dataset(dataset, str(folder)))[0]

    return run


def test_without_groups_it_is_plain_that_patients_are_unknown(listed):
    audit = listed([""] * 6)
    text = caveats.patients(audit)
    assert text.startswith("The set names no groups, so whether a patient lies in two splits is unknown")
    assert "copies can be found in the pixels, patients cannot" in text
    assert (audit.counts.groups, audit.counts.without_group) == (0, 6)
    assert caveats.shared_groups(audit) == []


def test_without_splits_the_question_is_another_one(listed):
    assert "which images are of one patient is unknown" in caveats.patients(listed([""] * 6, [""] * 6))
    assert "4 in all, there are no splits yet" in caveats.patients(listed(list("ppqrss"), [""] * 6))


def test_groups_that_are_kept_apart_are_said_to_be_checked(listed):
    audit = listed(list("ppqrss"))
    assert "every image names one, 4 in all, none of them in two splits" in caveats.patients(audit)
    assert caveats.estimates(audit) == ""
    assert not audit.leaks_at_all


def test_images_of_known_patients_are_counted_by_split(listed):
    """p lies in all three, q in val and test, r in test alone; the other training image is of nobody else."""
    audit = listed(["p", "s", "q", "p", "q", "r"])
    assert caveats.shared_groups(audit) == [
        "2 of 4 groups lie in more than one split",
        "2 of 3 test images are of groups that train or val holds too",
    ]
    assert "2 of them in two splits" in caveats.patients(audit)
    assert audit.leaks_at_all


def test_val_images_of_known_patients_are_counted_too(listed):
    assert caveats.shared_groups(listed(["p", "p", "p", "r", "r", "r"])) == [
        "1 of 2 groups lie in more than one split",
        "1 of 1 val images are of groups that train holds too",
    ]


def test_images_that_are_alike_across_splits_are_a_hint(save, slices, examine, planting):
    """Alike but, under so high a line, no copies."""
    alike = [planting.reencoded(slices[0], np.random.default_rng(i)) for i in range(2)]
    images = {
        "train/a/1.png": slices[0],
        "test/a/1.png": alike[0],
        "test/a/2.png": alike[1],
        "test/a/3.png": slices[20],
    }
    audit, _ = examine(save(images), duplicate=0.9999)
    hint = "2 test images are alike to images of other splits, no copies: a hint at shared patients."
    assert hint in caveats.patients(audit)


def test_some_groups_are_checked_and_the_rest_is_unknown(listed):
    text = caveats.patients(listed(["p", "p", "p", "", "", ""]))
    assert text.startswith("Groups checked: 1, 1 of them in two splits. 3 of 6 images name no group; of those whether")
