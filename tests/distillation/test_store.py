"""The store of teacher outputs: lines are found by image, and the teacher is asked for what is missing alone."""

import numpy as np
import pytest
import torch

from edgekd.distillation import store
from edgekd.distillation.store import TeacherOutputs, TeacherStore, store_key

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


def test_the_same_images_in_another_order_are_the_same_lines(tmp_path):
    first = TeacherStore(tmp_path, IDS, 2)
    rows = np.array([2, 0, 4])
    first.write(3, rows, np.array([[1, 2], [3, 4], [5, 6]], np.float32))
    order = np.array([4, 1, 3, 2, 0])
    other = TeacherStore(tmp_path, IDS[order], 2)
    found = other.read(3, np.arange(5))
    assert np.array_equal(found[[0, 2, 3, 4]], [[5, 6], [3, 4], [1, 2], [3, 4]])  # the copy too
    assert np.isnan(found[1]).all()
    assert np.isnan(other.read(4, np.arange(5))).all()


def test_the_teacher_is_asked_for_what_is_missing_alone(tmp_path):
    teacher = Teacher()
    outputs = TeacherOutputs(lambda: teacher, TeacherStore(tmp_path, IDS, 2), None)
    assert outputs.logits(0, np.array([0, 2]), views([0.5, 0.25])).tolist() == [[0.5, 0.5], [0.25, 0.75]]
    found = outputs.logits(0, np.array([1, 0, 4, 2]), views([0.125, 9, 1, 9]))
    assert found.tolist() == [[0.125, 0.875], [0.5, 0.5], [1, 0], [0.25, 0.75]]
    assert (outputs.calls, teacher.asked) == (2, 4)
    assert outputs.logits(0, np.array([4, 3, 1]), views([9, 9, 9])).tolist() == [[1, 0], [0.5, 0.5], [0.125, 0.875]]
    assert (outputs.calls, teacher.asked) == (2, 4)


@pytest.mark.parametrize("value", [1, "1", None, {"a": 1}])
def test_every_fact_and_the_version_are_in_the_name(value, monkeypatch):
    names = {store_key(fact=value), store_key(fact=2), store_key(other=value)}
    monkeypatch.setattr(store, "VERSION", store.VERSION + 1)
    assert len(names | {store_key(fact=value)}) == 4
