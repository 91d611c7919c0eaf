"""A student that a teacher teaches on images which nobody has labelled."""

from __future__ import annotations

import csv
import io
import math

import numpy as np
import pytest
import torch
from PIL import Image
from rich.console import Console
from torch.nn import functional

from edgekd import recipe
from edgekd.bundle import Bundle
from edgekd.data import phantom
from edgekd.data.augment import Augmenter
from edgekd.data.chosen import choose, split_of
from edgekd.data.dataset import NO_LABEL, listing_hash
from edgekd.distillation import losses
from edgekd.distillation.batch import Batch
from edgekd.errors import EdgekdError
from edgekd.quantization import representative
from edgekd.recipe import DistillationRecipe, StageRecipe
from edgekd.training import check, distributed, identity, qat, run, stages, teachers
from edgekd.training.means import Means
from edgekd.training.objective import DistillationObjective, LabelObjective, class_weights

LABELLED, HELD_OUT, ROWS, FILES = 8, 8, 24, 48  # labelled in train, in each of val and test; unlabelled rows, and files


@pytest.fixture
def images(tmp_path):
    """A CSV of phantoms with some labels, a folder of further ones; 72 of the 80 training images have no label."""
    lines, splits = ["path,label,split"], ["train"] * LABELLED + ["val"] * HELD_OUT + ["test"] * HELD_OUT
    for index in range(len(splits) + ROWS + FILES):
        is_row = index < len(splits) + ROWS
        path = tmp_path / ("set" if is_row else "more/deep") / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom.phantom(0, index, 48).image).save(path)
        if is_row:
            label, split = (phantom.LABEL_NAMES[index % 4], splits[index]) if index < len(splits) else ("", "")
            lines.append(f"{path.name},{label},{split}")
    (tmp_path / "set/list.csv").write_text("\n".join(lines))
    return tmp_path


@pytest.fixture
def data(images):
    return f"data={{source='csv', path='{images}/set/list.csv', unlabelled='{images}/more'}}"


@pytest.fixture
def seen(monkeypatch):
    """The rows of all views that are made, in sets by the epoch."""
    found: dict[int, set[int]] = {}
    views = Augmenter.views

    def watched(self, epoch, rows, device):
        found.setdefault(epoch, set()).update(rows.tolist())
        return views(self, epoch, rows, device)

    monkeypatch.setattr(Augmenter, "views", watched)
    return found


class Says:
    """A teacher that says `logits(rows)`."""

    def __init__(self, logits):
        self.logits = logits

    def of(self, batch, losses):
        return self.logits(batch.rows), {}


def log(bundle):
    rows = csv.DictReader(io.StringIO((bundle.folder / "log.csv").read_text()))
    return [{k: float(v) for k, v in row.items()} for row in rows]


def test_a_student_learns_from_what_the_teacher_says_of_them(prepare, data, teacher, tmp_path, seen, monkeypatch):
    plain = "augment={rotation_deg=0, shift=0, zoom=0, shear=0, brightness=0}"
    training = "training={epochs=8, batch_size=8, learning_rate=1e-3}"
    prepared = prepare(data, "student={network='resnet10t'}", plain, training)  # one that learns in seconds
    names = [int(s.name.rpartition("/")[2].removesuffix(".png")) for s in prepared.pixels.dataset.samples]
    knows = Says(lambda rows: 6 * functional.one_hot(torch.tensor(names)[rows] % 4, 4).float())
    monkeypatch.setattr(stages, "teacher_outputs", lambda *_: knows)
    train = prepared.rows("train")
    assert (len(train), len(prepared.labelled_rows)) == (LABELLED + ROWS + FILES, LABELLED)
    student = stages.student(prepared, teacher, tmp_path / "student")
    assert seen[0] == set(train.tolist())  # all, and of no other split
    history = log(student)
    assert history[-1]["loss_kd"] < 0.7 * history[0]["loss_kd"]
    assert all(math.isfinite(v) for row in history for v in row.values())
    hashes = student.manifest.split_hashes
    assert set(hashes) == {"train", "val", "test", "unlabelled"}
    # What needs labels is what it would be without the others: evaluation, export and the representative set find it.
    for split, count in (("train", LABELLED), ("val", HELD_OUT), ("test", HELD_OUT)):
        samples = split_of(student, prepared.recipe, split).samples
        assert (len(samples), listing_hash(samples)) == (count, hashes[split])
    assert len(choose(prepared.recipe, student, "all", own_data=True).samples) == LABELLED + 2 * HELD_OUT


def test_teacher_and_control_learn_from_labels_alone(prepare, data, tmp_path, seen):
    prepared = prepare(data, "training={epochs=1, batch_size=4}", "teacher.training={epochs=1, batch_size=4}")
    teachers.teacher(prepared, tmp_path / "teacher")
    assert seen[0] == set(prepared.labelled_rows.tolist())
    seen.clear()
    stages.student(prepared, None, tmp_path / "control")
    assert seen[0] == set(prepared.labelled_rows.tolist())


def test_the_quantization_aware_stage_sees_all_and_sets_ranges_by_labelled_ones(prepare, data):
    prepared = prepare(data, "qat.training.batch_size=16")
    assert sum(len(views) for views in qat.observed(prepared)) == LABELLED + ROWS + FILES
    rows = representative.choose(prepared.labels, prepared.rows("train"), 256, 0)
    assert sorted(rows) == sorted(prepared.labelled_rows)


def test_two_runs_end_with_the_same_bits_and_a_finished_one_is_read(prepare, data, teacher, tmp_path):
    made = [stages.student(prepare(data, "training.mixup_alpha=0.3"), teacher, tmp_path / name) for name in ("a", "b")]
    a, b = (bundle.manifest.files["weights.safetensors"] for bundle in made)
    assert a.sha256 == b.sha256
    before = (tmp_path / "a/manifest.json").stat().st_mtime_ns
    stages.student(prepare(data, "training.mixup_alpha=0.3"), teacher, tmp_path / "a")
    assert (tmp_path / "a/manifest.json").stat().st_mtime_ns == before


def test_more_unlabelled_images_are_another_run_with_other_hashes(prepare, data, images):
    first = prepare(data)
    with_rows = prepare(f"data={{source='csv', path='{images}/set/list.csv'}}")
    (images / "more/deep").joinpath(f"{LABELLED + 2 * HELD_OUT + ROWS}.png").unlink()
    fewer = prepare(data)
    runs = [first, with_rows, fewer]
    assert len({r.split_hashes()["unlabelled"] for r in runs}) == 3
    assert len({r.split_hashes()["train"] for r in runs}) == 1
    assert len({identity.of_stage(r, {}, None) for r in runs}) == 3
    assert len({r.pixels.sha256 for r in runs}) == 3


def test_a_run_without_them_is_what_it_was(prepare):
    prepared = prepare()
    assert set(prepared.split_hashes()) == {"train", "val", "test"}
    assert np.array_equal(prepared.labelled_rows, prepared.rows("train"))


def shown(settings, tmp_path):
    console = Console(file=io.StringIO(), width=200)
    run.prepare(recipe.load(None, [*settings, f"cache={tmp_path / 'cache'}"]), tmp_path, distributed.start(), console)
    return console.file.getvalue()


def test_the_screen_says_how_many_and_which_are_left_out(images, data, tmp_path):
    assert "96 images (80 train (72 unlabelled), 8 val, 8 test), 4 classes" in shown([data], tmp_path)
    for index, name in ((0, "of train"), (LABELLED, "of val")):
        (images / f"more/{name}.png").write_bytes((images / f"set/{index}.png").read_bytes())
    text = shown([data], tmp_path)
    assert "left out: 1 unlabelled images: of val or test, by group or picture" in text
    assert "left out: 1 unlabelled images: copies of labelled images" in text
    assert "96 images (80 train (72 unlabelled)" in text
    with pytest.raises(EdgekdError, match=r"unlabelled images\n.*none of val or test\n.*1 of val or test"):
        shown([data, "data.strict=true"], tmp_path)


def test_where_nothing_teaches_them_they_are_left_out(images, tmp_path):
    settings = [f"data={{source='csv', path='{images}/set/list.csv'}}", "distillation.distill_loss_weight=0.0"]
    text = shown(settings, tmp_path)
    assert f"left out: {ROWS} unlabelled images: nothing teaches them" in text
    assert "24 images (8 train, 8 val, 8 test)" in text


def test_unreadable_ones_are_named_and_counted(images, data, tmp_path):
    (images / "more/bad.png").write_bytes(b"x")
    assert "unlabelled/bad.png" in shown([data, "data.max_corrupt=0.1"], tmp_path)
    with pytest.raises(EdgekdError, match=r"unlabelled/bad\.png"):
        shown([data, "data.max_corrupt=0.0"], tmp_path)


def test_a_training_set_without_labels_is_refused(images, tmp_path):
    path = images / "set/list.csv"
    path.write_text("".join(line for line in path.read_text().splitlines(keepends=True) if "train" not in line))
    with pytest.raises(EdgekdError, match="labelled images in train"):
        shown([f"data={{source='csv', path='{path}'}}"], tmp_path)


def test_batches_of_trainings_with_labels_alone_are_filled_by_labelled_images(prepare, data, tmp_path):
    prepared = prepare(data, f"teacher.bundle={tmp_path}", "qat.enabled=false")
    check.batches(prepared)  # 16 of 80
    with pytest.raises(EdgekdError, match=r"training\.batch_size\n.*\n.*16 for 8 labelled training images"):
        check.batches(prepared, control=True)
    with pytest.raises(EdgekdError, match=r"teacher\.training\.batch_size"):
        check.batches(prepare(data))


def test_the_task_loss_is_that_of_the_labelled_rows_and_the_teachers_that_of_all():
    labels, processes = np.array([0, 2, 1, 2, NO_LABEL, NO_LABEL]), distributed.start()
    logits, teacher = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64)
    targets = torch.zeros(6, 3, dtype=torch.float64)
    targets[range(4), labels[:4]] = 1.0
    task = LabelObjective(StageRecipe(label_smoothing=0.0, class_weights=True), labels[labels >= 0], 3, processes)
    settings = DistillationRecipe(kd_temperature=2.0)
    modules = losses.build(losses.resolve(settings.losses), {}, {})
    objective = DistillationObjective(task, settings, Says(lambda rows: teacher[rows]), modules)
    assert (task.needs_labels, objective.needs_labels) == (True, False)
    _, terms = objective(
        lambda views, targets: (logits, {"kd": {}}), Batch(0, np.arange(6), torch.zeros(6, 3, 1, 1), targets)
    )
    values = {term.name: float(term.value) for term in terms}
    # w = N / (K n) = 4/3, 4/3, 2/3 over the four labels; the mean of -w log p over the four rows
    log_p = logits - logits.exp().sum(1, keepdim=True).log()
    weights = [4 / 3, 2 / 3, 4 / 3, 2 / 3]
    expected = (
        -sum(w * float(log_p[row, label]) for row, (w, label) in enumerate(zip(weights, labels, strict=False))) / 4
    )
    assert values["task"] == pytest.approx(expected, rel=1e-5)
    p, q = (functional.softmax(z / 2.0, dim=1) for z in (teacher, logits))
    assert values["kd"] == pytest.approx(float(4.0 * (p * (p / q).log()).sum(1).mean()), rel=1e-5)
    assert class_weights(labels[labels >= 0], 3).tolist() == pytest.approx([4 / 3, 4 / 3, 2 / 3])


def test_a_batch_without_a_label_has_no_task_loss_and_no_accuracy():
    task = LabelObjective(StageRecipe(), np.array([0, 1]), 2, distributed.start())
    logits = torch.randn(3, 2, requires_grad=True)
    term = task.term(logits, Batch(0, np.arange(3), torch.zeros(3, 3, 1, 1), torch.zeros(3, 2)))
    term.value.backward()
    assert float(term.value.detach()) == 0.0
    assert not logits.grad.any()
    means = Means()
    for accuracy in (0.5, math.nan, 1.0):
        means.add({"train_accuracy": accuracy, "train_loss": 3.0 * accuracy if accuracy == 0.5 else 0.0})
    assert means.row == {"train_accuracy": 0.75, "train_loss": 0.5}


def test_the_bundle_opens_where_the_unlabelled_folder_is_gone(prepare, data, teacher, tmp_path, images):
    student = stages.student(prepare(data, "training.epochs=1"), teacher, tmp_path / "student")
    for file in (images / "more/deep").iterdir():
        file.unlink()
    found = recipe.recorded(Bundle.open(student.folder).manifest.recipe, "x")
    assert len(choose(found, student, None, own_data=True).samples) == HELD_OUT


def test_few_labels_of_a_labelled_set(prepare, teacher, tmp_path):
    """The other groups of train become unlabelled ones; what is evaluated knows of it."""
    whole = prepare()
    few = prepare("data.labelled_fraction=0.5")
    assert few.split_hashes()["test"] == whole.split_hashes()["test"]
    assert len(few.rows("train")) > len(few.labelled_rows)
    assert len(few.labelled_rows) < 0.6 * len(whole.labelled_rows)
    student = stages.student(few, teacher, tmp_path / "student")
    for split in ("train", "val", "test"):
        samples = split_of(student, few.recipe, split).samples
        assert listing_hash(samples) == student.manifest.split_hashes[split]
        assert choose(few.recipe, student, split, own_data=True).samples == samples
    assert len(choose(few.recipe, student, "val", own_data=False).samples) > len(
        split_of(student, few.recipe, "val").samples
    )
