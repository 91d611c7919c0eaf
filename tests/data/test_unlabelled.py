"""Unlabelled images: which join a set, where they are dealt, which must not teach, and what views they give."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from edgekd.data import sources, splitting, unlabelled
from edgekd.data.augment import Augmenter
from edgekd.data.dataset import NO_LABEL, SPLITS, Dataset, Sample, listing_hash
from edgekd.data.pixels import Pixels
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.recipe import AugmentRecipe, DataRecipe, InputRecipe

CPU = torch.device("cpu")


def image(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), value).save(path)
    return path


def table(path: Path, *rows: str) -> Dataset:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["path,label,group,split", *rows]), encoding="utf-8")
    return sources.read(DataRecipe(source="csv", path=str(path)))


SET = Dataset(("a", "b"), (Sample("1.png", 0), Sample("2.png", 1)), lambda s: Image.new("RGB", (1, 1)))


def test_every_image_below_a_folder_joins_without_a_label(tmp_path):
    for name in ("z.png", "deep/er/a.JPG", "notes.txt", ".hidden.png"):
        image(tmp_path / name, 7) if name != "notes.txt" else (tmp_path / name).write_text("x")
    (tmp_path / "broken.png").write_bytes(b"nothing")
    found = unlabelled.joined(SET, str(tmp_path))
    assert [s.name for s in found.samples[2:]] == [f"unlabelled/{n}" for n in ("broken.png", "deep/er/a.JPG", "z.png")]
    assert {s.label for s in found.samples[2:]} == {NO_LABEL}
    assert not any(s.is_labelled or s.split or s.group for s in found.samples[2:])
    assert found.open_image(found.samples[0]).size == (1, 1)
    assert found.open_image(found.samples[4]).getpixel((0, 0)) == (7, 7, 7)
    with pytest.raises(CorruptImage, match=r"unlabelled/broken\.png"):
        found.open_image(found.samples[2])
    assert found.labelled().samples == SET.samples
    assert unlabelled.joined(SET, "") is SET


def test_a_folder_that_is_missing_or_without_images_is_one_error(tmp_path):
    with pytest.raises(EdgekdError, match=r"data\.unlabelled .*none"):
        unlabelled.joined(SET, str(tmp_path / "none"))
    (tmp_path / "x.txt").write_text("x")
    with pytest.raises(EdgekdError, match=r"data\.unlabelled .*\n.*no image file"):
        unlabelled.joined(SET, str(tmp_path))
    with pytest.raises(EdgekdError, match=r"data\.unlabelled"):
        unlabelled.joined(SET, str(tmp_path / "x.txt"))


def test_hostile_folders_are_refused_as_labelled_ones_are(tmp_path):
    secret = image(tmp_path / "secret/x.png")
    image(tmp_path / "set/a\nb.png")
    image(tmp_path / "set/fine.png")
    (tmp_path / "set/link.png").symlink_to(secret)
    (tmp_path / "set/folder").symlink_to(secret.parent)
    (tmp_path / "set/loop").symlink_to(tmp_path / "set")
    with pytest.raises(EdgekdError, match="3 problems") as caught:
        unlabelled.joined(SET, str(tmp_path / "set"))
    assert str(caught.value).count("a link that leads out of the folder") == 2
    assert "not plain text" in str(caught.value)


def test_a_link_that_turns_outward_later_is_a_corrupt_image_or_an_error(tmp_path):
    secret = image(tmp_path / "secret.png")
    found = unlabelled.joined(SET, str(image(tmp_path / "set/a.png").parent))
    (tmp_path / "set/a.png").unlink()
    (tmp_path / "set/a.png").symlink_to(secret)
    with pytest.raises(EdgekdError):
        found.open_image(found.samples[-1])


def test_a_name_that_the_set_has_is_an_error(tmp_path):
    image(tmp_path / "a.png")
    taken = replace(SET, samples=(*SET.samples, Sample("unlabelled/a.png", 0)))
    with pytest.raises(EdgekdError, match=r"'unlabelled/a\.png' is the name of an image of the set"):
        unlabelled.joined(taken, str(tmp_path))


def test_a_row_without_a_label_is_a_training_image(tmp_path):
    data = table(tmp_path / "x.csv", "1.png,b,,train", "2.png,,p,train", "3.png, ,,", "4.png,a,,test")
    assert data.label_names == ("a", "b")
    assert [(s.label, s.split) for s in data.samples] == [
        (1, "train"),
        (NO_LABEL, "train"),
        (NO_LABEL, ""),
        (0, "test"),
    ]


@pytest.mark.parametrize("split", ["val", "TEST", "Validation"])
def test_a_row_without_a_label_in_val_or_test_is_an_error(tmp_path, split):
    with pytest.raises(EdgekdError, match=f"line 3: no label in {split}"):
        table(tmp_path / "x.csv", "1.png,a,,train", f"2.png,,,{split}")


def test_a_set_without_any_label_has_too_few_classes(tmp_path):
    data = table(tmp_path / "x.csv", "1.png,,,", "2.png,,,train")
    with pytest.raises(EdgekdError, match="at least two classes"):
        splitting.complete(data, 0.2, 0.2, 0)


def test_unlabelled_images_are_dealt_to_train_and_leave_the_rest_as_it_was():
    labelled = [Sample(f"{i}", i % 2, group=f"p{i // 3}") for i in range(120)]
    others = [Sample(f"u{i}", NO_LABEL, group=f"p{i % 50}") for i in range(300)]
    mixed = [s for pair in zip(labelled, others, strict=False) for s in pair] + others[120:]
    alone = splitting.complete(Dataset(("a", "b"), tuple(labelled), SET.open_image), 0.2, 0.2, 3)
    found = splitting.complete(Dataset(("a", "b"), tuple(mixed), SET.open_image), 0.2, 0.2, 3)
    assert found.labelled().samples == alone.samples
    assert {s.split for s in found.samples if not s.is_labelled} == {"train"}
    assert len(found.samples) == 420
    assert listing_hash(found.split("train")) != listing_hash(alone.split("train"))


def test_what_is_of_val_or_test_and_copies_go_to_no_split(tmp_path):
    values = {"train": 10, "val": 20, "test": 30, "copy of test": 30, "copy of train": 10, "copy of val": 20, "new": 40}
    values |= {"of a test patient": 50, "of a train patient": 60}
    groups = {"train": "p", "test": "q", "of a test patient": "q", "of a train patient": "p"}
    samples = [
        Sample(
            name,
            NO_LABEL if " " in name or name == "new" else 0,
            name if name in SPLITS else "train",
            groups.get(name),
        )
        for name in values
    ]
    data = Dataset(("a", "b"), tuple(samples), lambda s: Image.new("RGB", (8, 8), (values[s.name],) * 3))
    pixels = Pixels.of(data, InputRecipe(size=16), tmp_path, 0.0)
    found, left = unlabelled.usable(pixels)
    assert left == {unlabelled.OF_HELD_OUT: 3, unlabelled.COPIES: 1}
    assert {s.name for s in found.dataset.split("train")} == {"train", "new", "of a train patient"}
    assert [s.name for s in found.dataset.samples] == list(values)
    assert found.array is pixels.array
    again, none = unlabelled.usable(replace(pixels, dataset=data.with_samples(samples[:3]), ids=pixels.ids[:3]))
    assert (again.dataset.samples, none) == (tuple(samples[:3]), {})


ARRAY = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
LABELS = np.array([0, NO_LABEL, 1, 2, NO_LABEL, 1, 0, 2])
IDS = np.arange(8, dtype=np.uint64)


def augmenter(mixup: float, labels=LABELS) -> Augmenter:
    return Augmenter(ARRAY, IDS, labels, 3, AugmentRecipe(), 1, np.flatnonzero(LABELS >= 0), mixup)


def test_the_target_of_an_unlabelled_view_is_zeros_and_it_is_never_mixed():
    rows = np.arange(8)
    plain, mixed = augmenter(0.0).views(2, rows, CPU), augmenter(0.4).views(2, rows, CPU)
    without, having = LABELS == NO_LABEL, LABELS != NO_LABEL
    assert not mixed.targets[without].any()
    assert torch.equal(mixed.pixels[without], plain.pixels[without])
    assert torch.allclose(mixed.targets[having].sum(1), torch.ones(6))  # no partner without a label takes a share
    assert (mixed.targets[having] < 1).all(1).any()
    assert not torch.equal(mixed.pixels[having], plain.pixels[having])


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_views_stay_a_function_of_seed_epoch_and_image(mixup):
    together = augmenter(mixup).views(3, np.arange(8), CPU)
    for row in range(8):
        alone = augmenter(mixup).views(3, np.array([row]), CPU)
        assert torch.equal(alone.pixels[0], together.pixels[row])
        assert torch.equal(alone.targets[0], together.targets[row])


def test_without_mixup_a_label_does_not_change_the_view():
    labelled = augmenter(0.0, np.zeros(8, int)).views(1, np.arange(8), CPU)
    assert torch.equal(labelled.pixels, augmenter(0.0).views(1, np.arange(8), CPU).pixels)
