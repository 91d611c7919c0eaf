"""The store of teacher outputs: lines are found by image, and the teacher is asked for what is missing alone."""

import numpy as np
import pytest
import torch

from edgekd.distillation import store
from edgekd.distillation.batch import Batch
from edgekd.distillation.loss import Loss, LossOptions
from edgekd.distillation.store import TeacherStore, store_key
from edgekd.distillation.teacher_outputs import TeacherOutputs

IDS = np.array([50, 2**63 + 5, 7, 50, 9], np.uint64)  # the first picture has a copy


class Teacher(torch.nn.Module):
    """Says of a view [3, S, S] its mean and 1 minus its mean, and counts the views."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def forward(self, pixels):
        self.asked += len(pixels)
        mean = pixels.mean((1, 2, 3))
        return torch.stack([mean, 1 - mean], 1)


def views(values):
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1).expand(-1, 3, 2, 2)


def batch(epoch, rows, pixels):
    return Batch(epoch, np.array(rows), pixels, torch.zeros(len(rows), 2))


def test_the_same_images_in_another_order_are_the_same_lines(tmp_path):
    first = TeacherStore(tmp_path, IDS)
    rows = np.array([2, 0, 4])
    assert first.read("logits", 3, rows) is None
    first.write("logits", 3, rows, np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    order = np.array([4, 1, 3, 2, 0])
    other = TeacherStore(tmp_path, IDS[order])
    found = other.read("logits", 3, np.arange(5))
    assert np.array_equal(found[[0, 2, 3, 4]], [[5, 6], [3, 4], [1, 2], [3, 4]])  # the copy too
    assert np.isnan(found[1]).all()
    assert other.read("logits", 4, np.arange(5)) is None
    assert other.read("relevance", 3, np.arange(5)) is None


def test_quantities_lie_side_by_side_logits_in_full(tmp_path):
    store, rows, value = TeacherStore(tmp_path, IDS), np.array([1, 2]), 1 + 2.0**-15
    store.write("logits", 0, rows, np.full((2, 2), value, np.float32))
    store.write("relevance", 0, rows, np.full((2, 3, 3), value, np.float32))
    assert store.read("logits", 0, rows).tolist() == [[value] * 2] * 2
    assert np.array_equal(store.read("relevance", 0, rows), np.ones((2, 3, 3)))  # rounded to float16


def test_the_teacher_is_asked_for_what_is_missing_alone(tmp_path):
    teacher = Teacher()
    outputs = TeacherOutputs(lambda: teacher, TeacherStore(tmp_path, IDS), None)
    assert outputs.logits(batch(0, [0, 2], views([0.5, 0.25]))).tolist() == [[0.5, 0.5], [0.25, 0.75]]
    found = outputs.logits(batch(0, [1, 0, 4, 2], views([0.125, 9, 1, 9])))
    assert found.tolist() == [[0.125, 0.875], [0.5, 0.5], [1, 0], [0.25, 0.75]]
    assert (outputs.calls, teacher.asked) == (2, 4)
    assert outputs.logits(batch(0, [4, 3, 1], views([9, 9, 9]))).tolist() == [[1, 0], [0.5, 0.5], [0.125, 0.875]]
    assert (outputs.calls, teacher.asked) == (2, 4)


class Reading(Loss):
    """Takes of the teacher twice its logits, or the position of the class that it is asked about."""

    def of_teacher(self, outputs, targets):
        return {"twice": 2 * outputs.logits + targets.argmax(1, keepdim=True)}


class Kept(Reading):
    kept = "twice"


@pytest.mark.parametrize(("kind", "again"), [(Reading, 1), (Kept, 0)])
def test_what_a_loss_keeps_is_not_asked_for_again(kind, again, tmp_path):
    loss = kind(LossOptions(), {}, {})

    def ask(outputs, rows, values):
        logits, taken = outputs.of(batch(0, rows, views(values)), {"reading": loss})
        assert taken["reading"]["twice"].tolist() == [[2 * a + (b > a), 2 * b + (b > a)] for a, b in logits.tolist()]
        return logits.tolist()

    first = TeacherOutputs(Teacher, TeacherStore(tmp_path, IDS), None)
    assert ask(first, [0, 2], [0.5, 0.25]) == [[0.5, 0.5], [0.25, 0.75]]
    assert ask(first, [1, 0], [0.125, 0.5]) == [[0.125, 0.875], [0.5, 0.5]]
    second = TeacherOutputs(Teacher, TeacherStore(tmp_path, IDS), None)
    ask(second, [2, 0, 1], [0.25, 0.5, 0.125])
    assert (first.calls, second.calls) == (2, again)


@pytest.mark.parametrize("value", [1, "1", None, {"a": 1}])
def test_every_fact_and_the_version_are_in_the_name(value, monkeypatch):
    names = {store_key(fact=value), store_key(fact=2), store_key(other=value)}
    monkeypatch.setattr(store, "VERSION", store.VERSION + 1)
    assert len(names | {store_key(fact=value)}) == 4
