"""Unlabelled images in an audit: their copies of held-out images are leaks, and no contradiction of any label."""

from __future__ import annotations

import csv
import io

import pytest
from PIL import ImageOps

from edgekd import audit, recipe
from edgekd.auditing import listing
from edgekd.auditing.report import Audit
from edgekd.data import sources
from edgekd.errors import EdgekdError
from edgekd.recipe import DataRecipe


def listed(folder, rows):
    (folder / "list.csv").write_text("\n".join(["path,label,group,split", *rows]))
    dataset = sources.read(DataRecipe(source="csv", path=str(folder / "list.csv")))
    return listing.of_dataset(dataset, str(folder))


def table(text):
    return {row["path"]: (row["label"], row["split"]) for row in csv.DictReader(io.StringIO(text))}


def test_an_unlabelled_copy_of_a_test_slice_is_a_leak_and_the_labelled_one_stays(save, slices, examine):
    images = {"0.png": slices[0], "1.png": slices[20], "2.png": slices[40], "u.png": ImageOps.mirror(slices[40])}
    folder = save(images | {"v.png": slices[60]})
    rows = ["0.png,a,p,train", "1.png,b,q,train", "2.png,a,r,test", "u.png,,,train", "v.png,,,"]
    found, text = examine(listed(folder, rows))
    (leak,) = found.leaks
    assert (leak.split, leak.other, leak.leaked, leak.mirrored) == ("test", "train", 1, 1)
    assert found.counts.two_labels == 0
    assert found.counts.unlabelled == 2
    assert [(c.split, c.label, c.images) for c in found.classes if not c.label] == [("train", "", 2)]
    assert [(r.path, r.reason, r.kept) for r in found.clean.removed] == [("u.png", "a copy", "2.png")]
    assert table(text)["v.png"] == ("", "train")
    (folder / "split.csv").write_text(text)
    again = sources.read(DataRecipe(source="csv", path=str(folder / "split.csv")))
    assert [s.name for s in again.samples if not s.is_labelled] == ["v.png"]


def test_unlabelled_images_of_a_test_patient_stay_open_or_straddle(save, slices, examine):
    names = ["0.png", "1.png", "u.png", "v.png"]
    folder = save({name: slices[8 * i] for i, name in enumerate(names)})
    rows = ["0.png,a,p,train", "1.png,b,q,test", "u.png,,q,", "v.png,,q,train"]
    found, text = examine(listed(folder, rows))
    assert [(s.group, s.splits) for s in found.straddling] == [("q", {"train": 1, "test": 1})]
    assert {r.path: r.reason for r in found.clean.removed} == dict.fromkeys(("u.png", "v.png"), "no label, and of test")
    assert list(table(text)) == ["0.png", "1.png"]


def test_many_unlabelled_images_of_a_group_do_not_draw_it_to_train(save, slices, examine):
    folder = save({f"{i}.png": slices[4 * i] for i in range(8)})
    rows = ["0.png,a,p,train", "1.png,b,q,test", *(f"{i}.png,,q,train" for i in range(2, 8))]
    found, text = examine(listed(folder, rows))
    assert table(text) == {"0.png": ("a", "train"), "1.png": ("b", "test")}
    assert not found.clean.moved


def test_files_beside_class_folders_have_no_label(save, slices, examine):
    images = {"train/a/0.png": slices[0], "test/a/1.png": slices[20], "train/loose.png": slices[40]}
    found, text = examine(save(images | {"test/loose.png": slices[60]}))
    assert table(text) == {
        "train/a/0.png": ("a", "train"),
        "test/a/1.png": ("a", "test"),
        "train/loose.png": ("", "train"),
    }
    assert [(r.path, r.reason) for r in found.clean.removed] == [("test/loose.png", "no label, and of test")]


@pytest.fixture
def folder(save, slices, tmp_path):
    """A labelled set, and beside it unlabelled images: a copy of a test slice, a file that the set has, and a new one."""
    save({"set/train/a/0.png": slices[0], "set/train/b/1.png": slices[20], "set/test/a/2.png": slices[40]})
    save(
        {"set/test/b/3.png": slices[50], "more/copy.png": ImageOps.mirror(slices[40]), "more/deep/new.png": slices[60]}
    )
    (tmp_path / "more/same.png").symlink_to(tmp_path / "more/copy.png")
    return tmp_path


def test_the_command_takes_the_folder_of_the_recipe(folder, capsys, monkeypatch):
    monkeypatch.chdir(folder)
    code = audit.main(["set", "--out", "out", "--strict", "--set", "data.unlabelled=more"])
    assert code == audit.LEAKS
    found = Audit.load("out/audit.json")
    assert found.counts.unlabelled == 3
    assert found.leaks[0].other == "train"
    assert {p.path for p in (found.pairs[-1].a, found.pairs[-1].b)} >= {"test/a/2.png"}
    removed = {r.path for r in found.clean.removed}
    assert removed == {"unlabelled/copy.png", "unlabelled/same.png"}
    assert "2 of them are listed as left out" in " ".join(found.clean.notes)
    assert list(table((folder / "out/split.csv").read_text())) == [
        f"{name}.png" for name in ("test/a/2", "test/b/3", "train/a/0", "train/b/1")
    ]
    shown = capsys.readouterr().out
    assert "3 images without a label" in shown
    assert "(no label)" in shown
    assert "--set data.unlabelled=more" in shown  # the next command
    page = (folder / "out/audit.html").read_text()
    assert "unlabelled/copy.png" in page
    assert "(no label)" in page


def test_a_file_that_the_set_lists_already_is_not_listed_twice(folder):
    found = audit.list_images(str(folder / "set"), recipe.load(None, [f"data.unlabelled={folder}"]), [])
    names = [e.name for e in found.entries]
    assert len(names) == 4 + 3
    assert not any(name.startswith("unlabelled/set") for name in names)


def test_a_folder_that_is_missing_or_empty_is_one_error(folder):
    (folder / "empty").mkdir()
    for name in ("none", "empty"):
        with pytest.raises(EdgekdError, match=r"data\.unlabelled"):
            audit.list_images(str(folder / "set"), recipe.load(None, [f"data.unlabelled={folder / name}"]), [])
