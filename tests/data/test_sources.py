"""Class folders and phantoms, whole and hostile; which source reads what; the real sets."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.data import sources
from edgekd.data.dataset import Dataset
from edgekd.data.splitting import complete, leaking_groups
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.recipe import DataRecipe


def image(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), value).save(path)
    return path


def read(source: str, path: Path | str, /, **options) -> Dataset:
    return sources.read(DataRecipe(source=source, path=str(path), options=options))


def listing(data: Dataset) -> list[tuple[str, str, str]]:
    return [(s.name, data.label_names[s.label], s.split) for s in data.samples]


# Folders


def test_class_folders_alone(tmp_path):
    for name in ("b/2.png", "b/1.PNG", "a/deep/er/x.jpeg", "a/y.bmp"):
        image(tmp_path / name)
    data = read("folder", tmp_path)
    assert listing(data) == [
        ("a/deep/er/x.jpeg", "a", ""),
        ("a/y.bmp", "a", ""),
        ("b/1.PNG", "b", ""),
        ("b/2.png", "b", ""),
    ]
    assert data.open_image(data.samples[3]).getpixel((0, 0)) == (100, 100, 100)
    assert all(s.group is None for s in data.samples)


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["Training", "Testing"], ["train", "test"]),
        (["train", "val", "test"], ["train", "val", "test"]),
        (["TRAIN", "Validation", "TEST"], ["train", "val", "test"]),
        (["train", "valid"], ["train", "val"]),
    ],
)
def test_names_of_splits(tmp_path, names, splits):
    for name in names:
        for label in ("x", "y"):
            image(tmp_path / name / label / "1.png")
    found = {s.name.split("/")[0]: s.split for s in read("folder", tmp_path).samples}
    assert found == dict(zip(names, splits, strict=True))


def test_what_is_no_image_is_ignored(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    image(tmp_path / "beside.png")
    image(tmp_path / "a/.hidden.png")
    image(tmp_path / ".cache/1.png")
    image(tmp_path / "__MACOSX/a/1.png")
    for name in ("a/Thumbs.db", "a/notes.txt", "a/._1.png", "README.md"):
        (tmp_path / name).write_text("no image")
    assert [s.name for s in read("folder", tmp_path).samples] == ["a/1.png", "b/1.png"]


def test_names_in_any_script(tmp_path):
    for name in ("опухоль/снимок 1.png", "脑/图像.png", "ورم/صورة.png", "क्ष‍/अ.png"):
        image(tmp_path / name)
    data = read("folder", tmp_path)
    assert sorted(data.label_names) == list(data.label_names)
    assert len(data.label_names) == 4
    assert {data.open_image(s).size for s in data.samples} == {(4, 3)}


def test_splits_must_have_the_same_classes(tmp_path):
    for name in ("Training/a", "Training/b", "Training/c", "Testing/a", "Testing/d"):
        image(tmp_path / name / "1.png")
    with pytest.raises(EdgekdError) as raised:
        read("folder", tmp_path)
    assert "train: no class folder 'd'" in str(raised.value)
    assert "test: no class folder 'b', 'c'" in str(raised.value)


def test_empty_classes_are_all_named(tmp_path):
    image(tmp_path / "a/1.png")
    for name in ("b", "c"):
        (tmp_path / name).mkdir()
    with pytest.raises(EdgekdError, match=r"2 problems\n  - 'b': a class without images\n  - 'c'"):
        read("folder", tmp_path)


def test_folders_that_are_no_set(tmp_path):
    with pytest.raises(EdgekdError, match="no class folders"):
        read("folder", tmp_path)
    with pytest.raises(EdgekdError, match="no folder"):
        read("folder", tmp_path / "missing")
    with pytest.raises(EdgekdError, match="no folder"):
        read("folder", "")
    with pytest.raises(EdgekdError, match="no folder"):
        read("folder", image(tmp_path / "x.png"))


def test_a_wrapping_folder_is_named_and_not_entered(tmp_path):
    for name in ("set/a/1.png", "set/b/1.png"):
        image(tmp_path / name)
    with pytest.raises(EdgekdError, match=r"is .*/set meant\?"):
        read("folder", tmp_path)


def test_two_folders_for_one_split_and_strangers_beside_splits(tmp_path):
    for name in ("train/a", "train/b", "Training/a", "Training/b"):
        image(tmp_path / "one" / name / "1.png")
    with pytest.raises(EdgekdError, match="would both be train"):
        read("folder", tmp_path / "one")
    for name in ("train/a", "train/b", "more/a"):
        image(tmp_path / "two" / name / "1.png")
    with pytest.raises(EdgekdError, match=r"beside \['more'\]"):
        read("folder", tmp_path / "two")
    for name in ("train/a", "train/b"):
        image(tmp_path / "three" / name / "1.png")
    (tmp_path / "three/docs").mkdir()  # holds no images: no ambiguity
    assert len(read("folder", tmp_path / "three").samples) == 2


def test_links_inside_are_followed_once_and_loops_end(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    (tmp_path / "a/loop").symlink_to(tmp_path / "a")
    (tmp_path / "a/up").symlink_to("..")
    (tmp_path / "a/2.png").symlink_to("1.png")
    names = [s.name for s in read("folder", tmp_path).samples]
    assert names[:2] == ["a/1.png", "a/2.png"]
    assert len(names) == len(set(names)) <= 6  # the loop through the root shows each folder once more at most


def test_links_to_the_outside_are_refused(tmp_path):
    secret = image(tmp_path / "outside/secret.png")
    for name in ("a/1.png", "b/1.png"):
        image(tmp_path / "set" / name)
    (tmp_path / "set/a/link.png").symlink_to(secret)
    (tmp_path / "set/b/folder").symlink_to(secret.parent)
    (tmp_path / "set/c").symlink_to(secret.parent)
    with pytest.raises(EdgekdError, match="3 problems") as raised:
        read("folder", tmp_path / "set")
    for name in ("'a/link.png'", "'b/folder'", "'c'"):
        assert f"{name}: a link that leads out" in str(raised.value)


def test_a_link_that_appears_after_reading_is_refused_too(tmp_path):
    secret = image(tmp_path / "secret.png")
    for name in ("a/1.png", "b/1.png"):
        image(tmp_path / "set" / name)
    data = read("folder", tmp_path / "set")
    (tmp_path / "set/a/1.png").unlink()
    (tmp_path / "set/a/1.png").symlink_to(secret)
    with pytest.raises(EdgekdError, match="leaves it"):
        data.open_image(data.samples[0])


def test_a_broken_link_is_a_corrupt_image(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    (tmp_path / "b/2.png").symlink_to("gone.png")
    data = read("folder", tmp_path)
    assert data.samples[2].name == "b/2.png"
    with pytest.raises(CorruptImage, match="no such file"):
        data.open_image(data.samples[2])


@pytest.mark.parametrize("name", [b"\xff\xfe.png", b"back\\slash.png", b"line\nbreak.png", b"bell\x07.png"])
def test_names_that_are_no_plain_text_are_refused(tmp_path, name):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path / "b") + b"/" + name)).write_bytes((tmp_path / "b/1.png").read_bytes())
    except OSError as e:
        pytest.skip(f"this file system refuses the name: {e}")
    with pytest.raises(EdgekdError, match="not plain text") as raised:
        read("folder", tmp_path)
    str(raised.value).encode()  # can be printed


def test_a_pipe_is_no_image(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    os.mkfifo(tmp_path / "b/2.png")
    assert len(read("folder", tmp_path).samples) == 2


def test_corrupt_files_are_left_to_open_image(tmp_path):
    image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png").write_bytes(b"")
    data = read("folder", tmp_path)
    with pytest.raises(CorruptImage) as raised:
        data.open_image(data.samples[1])
    assert raised.value.where == "b/1.png"


def test_fingerprints_follow_the_content(tmp_path):
    first = image(tmp_path / "a/1.png")
    image(tmp_path / "b/1.png")
    before = read("folder", tmp_path).samples
    assert before == read("folder", tmp_path).samples
    os.utime(first, ns=(1, 1))
    after = read("folder", tmp_path).samples
    assert after[0] != before[0]
    assert after[1] == before[1]


# Phantoms


def test_phantoms_have_a_validation_split_of_their_own_unless_it_is_0():
    data = read("phantom", "", train=50, val=12, test=20, size=32)
    assert Counter(s.split for s in data.samples) == {"train": 50, "val": 12, "test": 20}
    assert len({s.name for s in data.samples}) == 82
    assert not leaking_groups(data)


def test_phantoms_are_grouped_by_patient_and_balanced():
    data = read("phantom", "", train=50, val=0, test=20, size=32)
    counts = Counter((s.split, s.label) for s in data.samples)
    assert {n for (split, _), n in counts.items() if split == "test"} == {5}
    assert len({s.name for s in data.samples}) == 70
    found = complete(data, 0.2, 0.2, 0)
    assert not leaking_groups(found)
    assert {s.split for s in found.samples} == {"train", "val", "test"}
    picture = data.open_image(data.samples[7])
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    np.testing.assert_array_equal(np.asarray(picture), np.asarray(data.open_image(data.samples[7])))


# Choosing a source


def test_every_source_has_what_it_needs():
    assert sources.names() == ["csv", "dicom", "figshare", "folder", "nifti", "phantom", "union"]


def test_detection(tmp_path):
    image(tmp_path / "set/a/1.png")
    (tmp_path / "x.csv").write_text("path,label\n")
    assert sources.detect(str(tmp_path / "set")) == "folder"
    assert sources.detect(str(tmp_path / "x.csv")) == "csv"
    assert sources.detect("") == sources.detect("phantom") == "phantom"
    with pytest.raises(EdgekdError, match="nothing there"):
        sources.detect(str(tmp_path / "missing"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(EdgekdError, match="none of them"):
        sources.detect(str(tmp_path / "empty"))
    with pytest.raises(EdgekdError, match="did you mean 'folder'"):
        read("folders", tmp_path)


# Real data


def test_real_folder_and_manifest_agree(shared):
    folder = read("folder", shared / "data/mri4-mini")
    manifest = read("csv", shared / "data/mri4-mini/manifest.csv")
    assert folder.label_names == manifest.label_names == ("glioma", "meningioma", "notumor", "pituitary")
    assert sorted(listing(folder)) == sorted(listing(manifest))
    assert Counter(s.split for s in folder.samples) == {"train": 160, "test": 80}
    assert all(s.group for s in manifest.samples)


@pytest.mark.parametrize(
    ("name", "label_names", "images", "groups"),
    [
        (
            "mri4p",
            ("glioma", "meningioma", "notumor", "pituitary"),
            {"train": 3201, "test": 689},
            {"train": 373, "test": 121},
        ),
        ("figshare3", ("glioma", "meningioma", "pituitary"), {"train": 1792, "test": 620}, {"train": 131, "test": 39}),
    ],
)
def test_real_manifests_are_split_by_patient(shared, name, label_names, images, groups):
    data = read("csv", shared / "data" / name / "manifest.csv")
    assert data.label_names == label_names
    assert Counter(s.split for s in data.samples) == images
    assert Counter(split for split, _ in {(s.split, s.group) for s in data.samples}) == groups
    assert not leaking_groups(data)


def test_a_patient_is_in_the_same_split_of_both_real_sets(shared):
    four, three = (read("csv", shared / "data" / name / "manifest.csv") for name in ("mri4p", "figshare3"))
    of = [{s.group: s.split for s in data.samples} for data in (four, three)]
    assert of[1].items() <= of[0].items()


def test_real_folders_of_two_classes(shared):
    assert sources.detect(str(shared / "data/mri4-mini")) == "folder"
    two = read("folder", shared / "data/binary")
    assert two.label_names == ("no", "yes")
    assert len(two.samples) == 174
