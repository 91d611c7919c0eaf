"""Leaks between splits, two labels, groups in two splits, the pairs nearest to the line."""

import pytest
from PIL import ImageOps

from edgekd.auditing import listing
from edgekd.data import sources
from edgekd.recipe import DataRecipe


def test_leaks_are_counted_by_side_and_by_view(save, slices, examine):
    s = slices
    folder = save(
        {
            **{f"train/a/{i}.png": s[i] for i in range(0, 20, 2)},
            **{f"test/a/{i}.png": s[i] for i in range(30, 38, 2)},
            "val/a/same.png": s[0],
            "test/a/same.png": s[0],
            "test/a/mirrored.png": ImageOps.mirror(s[2]),
            "test/a/twice.png": ImageOps.mirror(s[2]),
            "test/a/turned.png": s[4].rotate(180),
        }
    )
    audit, _ = examine(folder)
    found = {(leak.split, leak.other): (leak.leaked, leak.images, leak.by_kind) for leak in audit.leaks}
    assert found == {
        ("val", "train"): (1, 1, {"exact": 1}),
        ("test", "train"): (4, 8, {"exact": 1, "mirrored": 2, "rotated_180": 1}),
        ("test", "val"): (1, 8, {"exact": 1}),
    }
    assert {(leak.split, leak.other): leak.mirrored for leak in audit.leaks}["test", "train"] == 3
    assert audit.leaks_at_all


def test_copies_on_one_side_are_no_leak(save, slices, examine):
    folder = save({"train/a/1.png": slices[0], "train/a/2.png": ImageOps.flip(slices[0]), "test/a/1.png": slices[4]})
    audit, _ = examine(folder)
    assert [pair.kind for pair in audit.pairs] == ["upside_down"]
    assert not audit.leaks_at_all


def test_one_picture_under_two_labels(save, slices, examine):
    audit, split = examine(save({"a/1.png": slices[0], "b/1.png": ImageOps.mirror(slices[0]), "b/2.png": slices[8]}))
    assert audit.counts.two_labels == 1
    assert [(pair.two_labels, pair.kind) for pair in audit.pairs] == [(True, "mirrored")]
    assert {(r.path, r.kept) for r in audit.clean.removed} == {("a/1.png", ""), ("b/1.png", "")}
    assert "1.png" not in split
    assert any("nothing is left of the set: a" in note for note in audit.clean.notes)


def test_a_group_in_two_splits(save, slices, examine):
    folder = save({f"{i}.png": slices[8 * i] for i in range(4)})
    rows = ["0.png,a,p1,train", "1.png,a,p1,train", "2.png,a,p1,test", "3.png,a,p2,test"]
    (folder / "list.csv").write_text("\n".join(["path,label,patient,split", *rows]))
    dataset = sources.read(DataRecipe(source="csv", path=str(folder / "list.csv")))
    audit, split = examine(listing.of_dataset(dataset, str(folder)))
    assert [(s.group, s.splits) for s in audit.straddling] == [("p1", {"train": 2, "test": 1})]
    assert not audit.leaks
    assert audit.leaks_at_all
    assert [(m.path, m.before, m.after) for m in audit.clean.moved] == [("2.png", "test", "train")]
    assert "2.png,a,p1,train" in split


@pytest.mark.parametrize("line", [0.9, 0.99])
def test_the_line_is_a_setting_and_the_pairs_nearest_to_it_are_shown(save, slices, examine, planting, line):
    import numpy as np

    rng = np.random.default_rng(0)
    images = {f"a/{i}.png": slices[i] for i in range(20)}
    images |= {f"a/copy{i}.png": planting.reencoded(slices[i], rng) for i in range(0, 20, 2)}
    audit, _ = examine(save(images), duplicate=line)
    similarity = [pair.similarity for pair in audit.line]
    assert similarity == sorted(similarity, reverse=True)
    assert similarity[0] >= line > similarity[-1]
    assert all(pair.similarity >= line for pair in audit.pairs)
    assert [pair.kind == "similar" for pair in audit.line] == [value < line for value in similarity]


def test_a_plain_mirror_image_is_named_without_an_edit(save, slices, examine):
    images = {f"a/{i}.png": image for i, image in enumerate(slices[:24])}
    images |= {f"b/{i}.png": ImageOps.mirror(image) for i, image in enumerate(slices[:24])}
    audit, _ = examine(save(images))
    assert {(pair.kind, pair.edits) for pair in audit.pairs} == {("mirrored", ())}
    assert len(audit.pairs) == 24


def test_edits_are_named(save, slices, examine):
    from PIL import Image

    bright = slices[0].point(lambda v: min(255, int(v * 1.3) + 10))
    audit, _ = examine(save({"a/1.png": slices[0], "a/2.png": bright.resize((200, 200), Image.Resampling.BICUBIC)}))
    assert audit.pairs[0].kind == "near"
    assert set(audit.pairs[0].edits) == {"resized", "brightness or contrast"}
