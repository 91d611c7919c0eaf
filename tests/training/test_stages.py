"""A whole tiny run: bundles that open, a store that changes nothing but the time, a control from the same start."""

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.networks import from_bundle, precision
from edgekd.networks.prediction import predict
from edgekd.preprocess import decode, to_pixels
from edgekd.training import check, finish, stages, teachers

CPU = torch.device("cpu")


def weights(bundle):
    return sha256_file(bundle.file("weights.safetensors"))


def test_the_store_gives_the_same_bits_and_spares_the_teacher(prepare, teacher, tmp_path, monkeypatch):
    plain = stages.student(prepare("distillation.store=false"), teacher, tmp_path / "plain")
    filling = stages.student(prepare(), teacher, tmp_path / "filling")

    def forbidden(bundle):
        raise AssertionError("the teacher was built although its outputs are stored")

    monkeypatch.setattr(stages, "from_bundle", forbidden)
    reading = stages.student(prepare(), teacher, tmp_path / "reading")
    assert weights(plain) == weights(filling) == weights(reading)
    other = prepare("student.options={drop_rate=0.0}", "distillation.kd_temperature=2.0")
    assert weights(stages.student(other, teacher, tmp_path / "other")) != weights(plain)


def test_another_seed_or_augmentation_has_another_store(prepare, teacher):
    others = ((), ("seed=1",), ("augment.zoom=0.2",), ("training.mixup_alpha=0.2",))
    outputs = [stages.teacher_outputs(prepare(*s), teacher) for s in others]
    assert len({o.store.folder for o in outputs}) == 4


def test_with_a_seed_for_views_all_seeds_share_a_store_and_students_still_differ(prepare, teacher, tmp_path):
    runs = [
        prepare(*settings, "split_seed=0") for settings in ((), ("view_seed=0", "seed=1"), ("view_seed=5", "seed=1"))
    ]
    first, same, other = (stages.teacher_outputs(run, teacher).store.folder for run in runs)
    assert first == same != other
    made = [stages.student(run, teacher, tmp_path / str(n)) for n, run in enumerate(runs)]
    assert len(set(map(weights, made))) == 3
    # The views alone differ between the last two.
    views = [run.task(0.0).augmenter.views(0, np.arange(4), CPU).pixels for run in runs]
    assert torch.equal(views[0], views[1])
    assert not torch.equal(views[1], views[2])


def test_the_bundle_holds_what_it_promises(prepare, teacher, tmp_path):
    student = stages.student(prepare(), teacher, tmp_path / "student")
    m = Bundle.open(student.folder).manifest
    assert m.role == "student"
    assert m.teacher.weights_sha256 == weights(teacher)
    assert (m.kd_temperature, m.network.parameters) == (4.0, sum(p.numel() for p in from_bundle(student).parameters()))
    assert set(m.split_hashes) == {"train", "val", "test"}
    assert m.recipe["student"]["width"] == 0.35
    assert {"README.md", "log.csv", "curves.png", "evaluation/test.json"} <= set(m.files)


def test_golden_vectors_replay_from_the_picture_to_the_logits(prepare, teacher):
    golden = load_file(teacher.file("golden/vectors.safetensors"))
    for index, expected in enumerate(golden["pixels"]):
        assert np.array_equal(to_pixels(decode(teacher.file(f"golden/{index}.png")), teacher.manifest.input), expected)
    logits = predict(from_bundle(teacher), golden["pixels"], np.arange(len(golden["pixels"])), CPU)
    assert logits == pytest.approx(golden["logits"], abs=1e-5)


def test_control_and_student_start_alike_and_the_teaching_makes_the_difference(prepare, teacher, tmp_path):
    nothing_taught = prepare("distillation.task_loss_weight=1.0", "distillation.distill_loss_weight=0.0")
    control = stages.student(nothing_taught, None, tmp_path / "control")
    untaught = stages.student(nothing_taught, teacher, tmp_path / "untaught")
    taught = stages.student(prepare(), teacher, tmp_path / "taught")
    assert weights(control) == weights(untaught)
    assert weights(control) != weights(taught)


def test_a_finished_stage_is_read_and_a_changed_recipe_is_refused(prepare, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(stages.Trainer, "fit", lambda *_: pytest.fail("trained again"))
    assert weights(teachers.teacher(prepare(), tmp_path / "teacher")) == weights(teacher)
    monkeypatch.undo()
    with pytest.raises(EdgekdError, match="another one's"):
        teachers.teacher(prepare("teacher.training.learning_rate=1e-4"), tmp_path / "teacher")


def test_a_teacher_bundle_with_other_labels_is_refused(prepare, teacher):
    changed = teacher.enriched(label_names=("a", "b", "c", "d"))
    with pytest.raises(EdgekdError, match="labels"):
        teachers.teacher(prepare(f"teacher.bundle={changed.folder}"), changed.folder)


def test_a_checkpoint_becomes_a_teacher_without_training(prepare, teacher, tmp_path, monkeypatch):
    monkeypatch.setattr(stages.Trainer, "fit", lambda *_: pytest.fail("trained"))
    given = prepare(f"teacher.checkpoint={teacher.file('weights.safetensors')}")
    made = teachers.teacher(given, tmp_path / "from_checkpoint")
    assert weights(made) == weights(teacher)


VALIDATION = {"val_nll": (0.9, 0.5, 0.7, 0.8, 0.4, 0.3), "val_accuracy": (0.1, 0.2, 0.9, 0.3, 0.4, 1.0)}


@pytest.mark.parametrize(
    ("best_by", "patience", "best", "epochs"), [("nll", 2, 2, 4), ("accuracy", 2, 3, 5), ("last", 0, 6, 6)]
)
def test_early_stopping_stops_and_the_best_epoch_is_kept(
    prepare, tmp_path, monkeypatch, best_by, patience, best, epochs
):
    after = []

    def scripted(trainer):
        weights = finish.halved(trainer.shipped.body.state_dict())
        after.append({name: t.numpy().copy() for name, t in weights.items()})
        return {name: values[len(after) - 1] for name, values in VALIDATION.items()}

    monkeypatch.setattr(stages.Trainer, "_validate", scripted)
    values = {"epochs": 6, "batch_size": 16, "best_by": f"'{best_by}'", "early_stopping_patience": patience}
    settings = ", ".join(f"{name}={value}" for name, value in values.items())
    control = stages.student(prepare(f"training={{{settings}}}"), None, tmp_path / "control")
    assert len(after) == len(control.file("log.csv").read_text().splitlines()) - 1 == epochs
    kept = load_file(control.file("weights.safetensors"))
    same = [all(np.array_equal(kept[name], t) for name, t in weights.items()) for weights in after]
    assert [epoch for epoch, is_same in enumerate(same, 1) if is_same] == [best]


def test_an_exploding_loss_is_one_error(prepare, tmp_path):
    wild = prepare("training={epochs=3, batch_size=16, learning_rate=1e30, warmup_epochs=0, gradient_clip=0}")
    with pytest.raises(EdgekdError, match="finite loss"):
        stages.student(wild, None, tmp_path / "control")


def test_too_few_images_for_a_batch_is_one_error(prepare, tmp_path):
    with pytest.raises(EdgekdError, match=r"training\.batch_size"):
        stages.student(prepare("training={epochs=1, batch_size=512}"), None, tmp_path / "control")


@pytest.mark.parametrize("section", ["training", "teacher.training", "qat.training"])
def test_batches_larger_than_the_training_set_are_refused_before_any_training(prepare, section):
    with pytest.raises(EdgekdError, match=rf"(?s){section}.batch_size.*100 for 48 training images"):
        check.batches(prepare(f"{section}.batch_size=100"))


@pytest.mark.parametrize(
    ("wanted", "bf16", "said"), [("bf16", False, True), ("bf16", True, False), ("auto", False, False)]
)
def test_what_the_device_lacks_is_said_before_training(prepare, monkeypatch, tmp_path, wanted, bf16, said):
    monkeypatch.setattr(precision, "has_bf16", lambda device: bf16)
    run = prepare()
    with run.console.capture() as screen:
        run.console.quiet = False
        stages.announce_network(run, "student", stages.build(run.recipe.student, 4, 32), wanted)
    assert ("in float32 (nothing here computes bfloat16)" in " ".join(screen.get().split())) == said
    assert "parameters" in screen.get()
