"""Files and folders that are broken or mean harm: each is one row of the report, and the rest is audited."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest
from PIL import Image

from edgekd.auditing import listing, reading
from edgekd.auditing.listing import name_problem, printable
from edgekd.auditing.troubles import WORDS
from edgekd.errors import CorruptImage


@pytest.fixture
def clean(save, slices):
    return save({"a/one.png": slices[0], "b/two.png": slices[2]})


def rows(folder):
    """Troubles as (kind, path), and the names of what was read."""
    facts = reading.read(listing.of_folder(folder))
    assert all(trouble.kind in WORDS and trouble.reason for trouble in facts.troubles)
    return [(t.kind, t.path) for t in facts.troubles], [entry.name for entry in facts.entries]


def jpeg(path, image, keep=1.0):
    image.save(path, "JPEG")
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])


FILES = {
    "empty": lambda path, image: path.write_bytes(b""),
    "truncated": lambda path, image: jpeg(path, image, 0.5),
    "truncated header": lambda path, image: path.write_bytes(b"\xff\xd8\xff\xe0\0\x10JF"),
    "not_an_image": lambda path, image: path.write_text("<html>404 Not Found</html>"),
    "not_an_image at all": lambda path, image: path.write_bytes(random.Random(0).randbytes(400)),
    "too_large": lambda path, image: Image.new("1", (40_000, 25_000)).save(path, "PNG"),  # 1 GB once decoded
    "large": lambda path, image: Image.new("1", (10_000, 10_000)).save(path, "PNG"),
    "unreadable": lambda path, image: os.mkfifo(path),
    "converted": lambda path, image: image.convert("P").save(path, "GIF"),
}


@pytest.mark.parametrize("kind", FILES)
def test_a_hostile_file_is_one_row(clean, slices, kind):
    FILES[kind](clean / "a" / "odd.jpg", slices[4])
    troubles, read = rows(clean)
    found, usable = kind.partition(" ")[0], kind in ("large", "converted")
    expected = [("converted", "a/odd.jpg")] if kind == "large" else []  # black and white without grey
    assert sorted(troubles) == sorted([(found, "a/odd.jpg"), *expected])
    assert ("a/odd.jpg" in read) == usable
    assert {"a/one.png", "b/two.png"} <= set(read)


def test_links(clean):
    (clean / "a" / "loop.png").symlink_to("loop.png")
    (clean / "a" / "nowhere.png").symlink_to("missing.png")
    (clean / "a" / "out.png").symlink_to(__file__)
    (clean / "a" / "up").symlink_to("..")
    (clean / "b" / "again").symlink_to("../a")
    (clean / "b" / "inside.png").symlink_to("two.png")
    troubles, read = rows(clean)
    assert troubles == [
        ("link", "a/loop.png"),
        ("link", "a/nowhere.png"),
        ("link", "a/out.png"),
        ("link", "a/up"),
        ("link", "b/again"),
    ]
    assert read == ["a/one.png", "b/inside.png", "b/two.png"]


def test_folders_that_link_to_each_other_end(save, slices):
    folder = save({f"c{i}/x.png": slices[i] for i in range(8)})
    for i in range(8):
        for j in range(8):
            (folder / f"c{i}" / f"to{j}").symlink_to(f"../c{j}")
    _, read = rows(folder)
    assert sorted(os.path.realpath(folder / name) for name in read) == [str(folder / f"c{i}/x.png") for i in range(8)]


def test_a_file_and_folders_without_permission(clean, monkeypatch):
    """Root may read everything, so the refusals are played."""
    for name in ("listed", "closed"):
        (clean / name).mkdir()
    entered, opened, is_symlink = os.listdir, listing.decode, Path.is_symlink

    def listdir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return ["x.png"] if str(path).endswith("listed") else entered(path)

    def refuse_to_stat(path):
        if path.parent.name == "listed":
            raise PermissionError(13, "Permission denied", str(path))
        return is_symlink(path)

    def decode(path, name):
        if name == "a/one.png":
            raise CorruptImage(name, "an image that can be decoded", "permission denied")
        return opened(path, name)

    monkeypatch.setattr(listing.os, "listdir", listdir)
    monkeypatch.setattr(Path, "is_symlink", refuse_to_stat)
    monkeypatch.setattr(listing, "decode", decode)
    troubles, read = rows(clean)
    assert troubles == [("unreadable", "a/one.png"), ("unreadable", "closed"), ("unreadable", "listed/x.png")]
    assert read == ["b/two.png"]


@pytest.mark.parametrize(
    "name", ["脳腫瘍.png", "δείγμα.png", "ورم.png", "опухоль 1.png", "🧠.png", "a'b&c<d>.png", "-x.png"]
)
def test_names_in_any_script_are_names(save, slices, name):
    troubles, read = rows(save({f"a/{name}": slices[0]}))
    assert not troubles
    assert read == [f"a/{name}"]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("bad\udcff.png", "bad\\udcff.png"),
        ("two\nlines.png", "two\\nlines.png"),
        ("back\\slash.png", "back\\slash.png"),
    ],
)
def test_names_that_no_list_can_hold_are_rows(clean, name, shown):
    (clean / "a" / "one.png").rename(clean / "a" / name)
    troubles, read = rows(clean)
    assert troubles == [("name", f"a/{shown}")]
    assert read == ["b/two.png"]


def test_spaces_at_the_ends_would_be_lost_in_a_list():
    assert name_problem(" x.png")
    assert not name_problem("a b.png")
    assert printable("a b.png") == "a b.png"


def test_names_that_differ_only_in_case_are_one_row_and_both_are_read(save, slices):
    troubles, read = rows(save({"a/Scan.png": slices[0], "a/scan.png": slices[2]}))
    assert troubles == [("case", "a/Scan.png")]
    assert read == ["a/Scan.png", "a/scan.png"]


def test_accents_that_are_written_in_two_ways_are_one_row(save, slices):
    troubles, _ = rows(save({"a/\u00e9.png": slices[0], "a/e\u0301.png": slices[2]}))
    assert [kind for kind, _ in troubles] == ["case"]


def test_sides_and_labels_come_from_folders(save, slices):
    names = ("Training/glioma/p1/x.png", "val/glioma/x.png", "TESTING/no tumour/x.png", "loose.png")
    folder = save({name: slices[2 * i] for i, name in enumerate(names)})
    (folder / "notes.txt").write_text("ignored")
    (folder / ".hidden.png").write_bytes(b"")
    found = listing.of_folder(folder)
    assert {(e.name, e.label, e.split) for e in found.entries} == {
        ("Training/glioma/p1/x.png", "glioma", "train"),
        ("val/glioma/x.png", "glioma", "val"),
        ("TESTING/no tumour/x.png", "no tumour", "test"),
        ("loose.png", "", ""),
    }
    assert found.ignored == 1


def test_an_empty_folder_is_an_empty_report(tmp_path, examine):
    audit, split = examine(tmp_path)
    assert audit.counts.readable == 0
    assert not audit.leaks_at_all
    assert split == "path,label,group,split\n"
