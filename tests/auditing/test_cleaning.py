"""The clean split: each picture once, groups in one split, estimated groups named as such, and every command accepts it."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgekd.auditing import listing
from edgekd.data import sources, splitting
from edgekd.recipe import DataRecipe


def table(text):
    return {row["path"]: row for row in csv.DictReader(io.StringIO(text))}


def test_held_out_images_win_over_their_copies_in_training(save, slices, examine):
    images = {f"train/a/{i}.png": slices[i] for i in range(0, 16, 2)}
    images |= {"test/a/x.png": ImageOps.mirror(slices[0]), "test/a/y.png": slices[40]}
    audit, text = examine(save(images))
    kept = table(text)
    assert "train/a/0.png" not in kept
    assert kept["test/a/x.png"]["split"] == "test"
    assert {(r.path, r.reason, r.kept) for r in audit.clean.removed} == {("train/a/0.png", "a copy", "test/a/x.png")}
    assert len(kept) == len(images) - 1


def test_the_largest_copy_stays_in_one_split(save, slices, examine):
    small = slices[0].resize((64, 64), Image.Resampling.BICUBIC)
    _, text = examine(save({"a/1.png": small, "a/2.png": slices[0], "a/3.png": small}))
    assert list(table(text)) == ["a/2.png"]


def test_images_that_are_alike_get_one_estimated_group(save, slices, examine, planting):
    """Alike but, under so high a line, no copies."""
    alike = planting.reencoded(slices[0], np.random.default_rng(0))
    audit, text = examine(save({"a/1.png": slices[0], "a/2.png": alike, "a/3.png": slices[20]}), duplicate=0.9999)
    groups = {path: row["group"] for path, row in table(text).items()}
    assert groups["a/1.png"] == groups["a/2.png"] != groups["a/3.png"]
    assert all(group.startswith("estimated-") for group in groups.values())
    assert (audit.clean.estimated_groups, audit.clean.largest_estimated_group) == (2, 2)
    assert audit.counts.pairs["similar"] == 1


def test_a_source_with_groups_keeps_its_own(save, slices, examine):
    folder = save({f"{i}.png": slices[i] for i in range(4)})
    rows = ["0.png,a,estimated-0001", "1.png,a,", "2.png,b,p", "3.png,b,p"]
    (folder / "list.csv").write_text("\n".join(["path,label,group", *rows]))
    dataset = sources.read(DataRecipe(source="csv", path=str(folder / "list.csv")))
    _, text = examine(listing.of_dataset(dataset, str(folder)))
    groups = [row["group"] for row in table(text).values()]
    assert groups[0] == "estimated-0001"
    assert groups[1].startswith("estimated-")
    assert groups[1] != groups[0]
    assert groups[2:] == ["p", "p"]


@pytest.mark.parametrize("with_splits", [True, False])
def test_split_csv_is_read_by_the_csv_source_and_by_the_data_of_a_training(
    save, slices, examine, tmp_path, with_splits
):
    names = [
        f"{'Training/' if with_splits and i < 40 else 'Testing/' if with_splits else ''}{'ab'[i % 2]}/ü, {i}.png"
        for i in range(56)
    ]
    folder = save(dict(zip(names, slices, strict=False)))
    audit, text = examine(folder)
    path = tmp_path / "elsewhere" / "split.csv"
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    recipe = DataRecipe(source="csv", path=str(path), options={"root": str(folder)})
    dataset = sources.read(recipe)
    assert dataset.label_names == ("a", "b")
    assert len(dataset.samples) == sum(c.images for c in audit.clean.kept)
    complete = splitting.complete(dataset, recipe.validation_fraction, recipe.test_fraction, 0)
    assert {sample.split for sample in complete.samples} == {"train", "val", "test"}
    assert not splitting.leaking_groups(complete)


def test_a_source_without_files_gets_no_split(examine):
    dataset = sources.read(DataRecipe(options={"train": 16, "val": 0, "test": 8, "size": 64}))
    audit, text = examine(listing.of_dataset(dataset, ""))
    assert text == audit.clean.file == ""
    assert "no files" in audit.clean.notes[0]
