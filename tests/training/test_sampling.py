"""Balanced epochs: as many of each class, every image as often as any other of its class, and another view each time."""

from collections import Counter

import numpy as np
import pytest
import torch

from edgekd.data.augment import Augmenter
from edgekd.data.dataset import NO_LABEL
from edgekd.distillation.batch import Batch
from edgekd.distillation.store import TeacherStore
from edgekd.distillation.teacher_outputs import TeacherOutputs
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.networks import build
from edgekd.recipe import AugmentRecipe, StageRecipe, TrainingRecipe
from edgekd.training import check, distributed, stages
from edgekd.training.objective import DistillationObjective, LabelObjective
from edgekd.training.sampling import AGAIN, Sampler, epoch_order

LABELS = np.array([0] * 3 + [1] * 10 + [2] * 25 + [NO_LABEL] * 4)
ROWS = np.arange(len(LABELS))
CPU = torch.device("cpu")


def test_each_class_is_shown_equally_often_and_so_is_each_image_of_it():
    sampler = Sampler(ROWS, LABELS, 10, 0)
    assert sampler.count == 3 * 10 + 4
    drawn = sampler.draws(5)
    assert Counter(LABELS[drawn.rows].tolist()) == {0: 10, 1: 10, 2: 10, NO_LABEL: 4}
    times = Counter(drawn.rows.tolist())
    assert sorted(times[row] for row in range(3)) == [3, 3, 4]
    assert [times[row] for row in range(3, 13)] == [1] * 10
    assert max(times[row] for row in range(13, 38)) == 1  # none twice where there are enough
    # The nth time an image is shown is that of an epoch which is nobody else's.
    pairs = list(zip(drawn.rows.tolist(), drawn.epochs.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert {epoch for _, epoch in pairs} == {5 + AGAIN * n for n in range(4)}


def test_an_epoch_is_a_function_of_seed_and_number_and_all_images_get_their_turn():
    first, again = (Sampler(ROWS, LABELS, 10, 0).draws(3) for _ in range(2))
    assert np.array_equal(first.rows, again.rows)
    assert np.array_equal(first.epochs, again.epochs)
    assert not np.array_equal(Sampler(ROWS, LABELS, 10, 1).draws(3).rows, first.rows)
    shown = set().union(*(Sampler(ROWS, LABELS, 10, 0).draws(epoch).rows.tolist() for epoch in range(12)))
    assert shown == set(ROWS.tolist())


def test_without_it_an_epoch_is_as_it_was():
    sampler = Sampler(ROWS, LABELS, None, 7)
    drawn = sampler.draws(2)
    assert sampler.count == len(ROWS)
    assert np.array_equal(drawn.rows, epoch_order(ROWS, 7, 2))
    assert drawn.part(4, 8, slice(0, 2)).epochs == drawn.epochs == 2


@pytest.mark.parametrize("images_per_class", [None, 10])
def test_views_that_come_again_are_the_same_in_another_order(images_per_class):
    def pairs(drawn):
        return list(zip(drawn.rows.tolist(), np.broadcast_to(drawn.epochs, drawn.rows.shape).tolist(), strict=True))

    plain = Sampler(ROWS, LABELS, images_per_class, 7)
    sampler = Sampler(ROWS, LABELS, images_per_class, 7, view_epochs=3)
    shown = [pairs(sampler.draws(epoch)) for epoch in range(9)]
    assert shown[:3] == [pairs(plain.draws(epoch)) for epoch in range(3)]
    for epoch, found in enumerate(shown):
        assert sorted(found) == sorted(shown[epoch % 3])
        assert found not in shown[:epoch]
    assert shown == [pairs(Sampler(ROWS, LABELS, images_per_class, 7, view_epochs=3).draws(e)) for e in range(9)]


def test_a_study_takes_back_what_its_recipe_says():
    assert TrainingRecipe(view_epochs=0) == TrainingRecipe()


def test_a_teacher_answers_no_view_twice(prepare, tmp_path):
    run = prepare("training={epochs=4, batch_size=16, images_per_class=16, view_epochs=2}", f"cache='{tmp_path}'")
    torch.manual_seed(0)
    network, teacher = build(run.recipe.student, 4, 32), build(run.recipe.student, 4, 32)
    outputs = stages.outputs_of(run, lambda: teacher, "a teacher", run.recipe.input)
    labels = LabelObjective(run.recipe.training, run.labels[run.labelled_rows], 4, run.processes)
    losses = stages.build_losses(run.recipe.distillation, network, lambda: teacher)
    objective = DistillationObjective(labels, run.recipe.distillation, outputs, losses)
    stages.train_float(run, "student", network, objective, run.recipe.training, tmp_path / "student", "identity")
    assert outputs.calls == 2 * 64 // 16


def test_processes_share_a_batch():
    drawn = Sampler(ROWS, LABELS, 10, 0).draws(0)
    halves = [drawn.part(8, 16, share) for share in (slice(0, 4), slice(4, 8))]
    assert np.array_equal(np.concatenate([h.rows for h in halves]), drawn.rows[8:16])
    assert np.array_equal(np.concatenate([h.epochs for h in halves]), drawn.epochs[8:16])


@pytest.fixture
def augmenter():
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (6, 16, 16, 3), np.uint8)
    recipe = AugmentRecipe(elastic_alpha=8.0, noise=0.02)
    return Augmenter(array, np.arange(6, dtype=np.uint64), np.arange(6) % 2, 2, recipe, 3, np.arange(6), 0.4)


def test_views_of_several_epochs_are_those_of_each(augmenter):
    rows, epochs = np.array([4, 1, 4, 0]), np.array([2, 2, 2 + AGAIN, 9])
    found = augmenter.views(epochs, rows, CPU)
    for place, (row, epoch) in enumerate(zip(rows, epochs, strict=True)):
        alone = augmenter.views(int(epoch), np.array([row]), CPU)
        assert torch.equal(found.pixels[place], alone.pixels[0])
        assert torch.equal(found.targets[place], alone.targets[0])
    assert not torch.equal(found.pixels[0], found.pixels[2])


def test_the_store_knows_views_of_several_epochs(augmenter, tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 2))
    ids = np.arange(6, dtype=np.uint64)

    def outputs():
        return TeacherOutputs(lambda: network, TeacherStore(tmp_path / "store", ids), None)

    def batch(rows, epochs):
        views = augmenter.views(epochs, rows, CPU)
        return Batch(epochs, rows, views.pixels, views.targets)

    rows, epochs = np.array([4, 1, 4, 0]), np.array([2, 2, 2 + AGAIN, 2])
    first = outputs()
    said = first.logits(batch(rows, epochs))
    assert torch.allclose(said, network(batch(rows, epochs).pixels), atol=1e-4)
    again = outputs()
    assert torch.equal(again.logits(batch(rows[::-1].copy(), epochs[::-1].copy())), said.flip(0))
    assert again.calls == 0
    more = batch(np.array([4, 5]), np.array([2 + AGAIN, 2 + 2 * AGAIN]))  # one of them is new
    assert torch.equal(again.logits(more)[0], said[2])
    assert again.calls == 1
    assert torch.equal(again.logits(batch(np.array([1, 0]), 2)), said[[1, 3]])  # an epoch that is a number is the same


def test_images_are_weighed_or_drawn_and_not_both():
    labels, processes = np.array([0, 1, 1, 1]), distributed.start()
    weighed = LabelObjective(StageRecipe(), labels, 2, processes).weights
    assert weighed.tolist() == pytest.approx([2, 2 / 3])
    assert LabelObjective(TrainingRecipe(images_per_class=8), labels, 2, processes).weights is None


def trained(run, folder):
    """The student's first weights, trained on labels; gives the sha256 of the best ones."""
    torch.manual_seed(0)
    network = build(run.recipe.student, 4, 32)
    labels = LabelObjective(run.recipe.training, run.labels[run.labelled_rows], 4, run.processes)
    stages.train_float(run, "control", network, labels, run.recipe.training, folder, "identity")
    return sha256_file(folder / "best.safetensors")


def test_a_balanced_training_resumes_with_the_same_bits(prepare, tmp_path, monkeypatch):
    run = prepare("training={epochs=2, batch_size=16, images_per_class=16, best_by='last'}")
    check.batches(run)
    whole = trained(run, tmp_path / "whole")

    class Killed(Exception):
        pass

    def killed(self, row, seconds, watcher):
        finish_epoch(self, row, seconds, watcher)
        raise Killed

    finish_epoch = stages.Trainer._finish_epoch
    monkeypatch.setattr(stages.Trainer, "_finish_epoch", killed)
    with pytest.raises(Killed):
        trained(run, tmp_path / "killed")
    assert sha256_file(tmp_path / "killed" / "best.safetensors") != whole
    monkeypatch.undo()
    assert trained(run, tmp_path / "killed") == whole


def test_batches_are_of_what_an_epoch_shows(prepare):
    with pytest.raises(EdgekdError, match=r"(?s)training\.batch_size.*100 for 80 training images"):
        check.batches(prepare("training={batch_size=100, images_per_class=20}"))
    check.batches(prepare("training={batch_size=80, images_per_class=20}", "qat.training.batch_size=16"))
