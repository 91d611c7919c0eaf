"""What is resumed or stored is named by content: other bytes under an old path are other bytes."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import safetensors.torch
import torch
from PIL import Image

from edgekd import networks
from edgekd.data import augment, phantom
from edgekd.distillation.batch import Batch
from edgekd.distillation.losses import gradcam_semantic
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.training import identity, loop, stages, teachers


def change(path):
    """Other numbers under the same names and shapes."""
    tensors = safetensors.torch.load_file(path)
    safetensors.torch.save_file({name: tensor + 1 for name, tensor in tensors.items()}, path)


def student_of(prepare, tmp_path, weights):
    settings = f"student.weights={weights}", "training={epochs=1, batch_size=16}"
    return stages.student(prepare(*settings), None, tmp_path / "control")


def test_another_checkpoint_under_the_same_path_is_another_teacher(prepare, teacher, tmp_path):
    file = shutil.copy(teacher.file("weights.safetensors"), tmp_path / "given.safetensors")
    run = prepare(f"teacher.checkpoint={file}")
    first = sha256_file(teachers.teacher(run, tmp_path / "made").file("weights.safetensors"))
    assert first == sha256_file(file)
    change(file)
    second = sha256_file(teachers.teacher(run, tmp_path / "made").file("weights.safetensors"))
    assert second not in (first, sha256_file(teacher.file("weights.safetensors")))


def test_other_first_weights_under_the_same_path_are_never_answered_with_the_old_network(prepare, tmp_path):
    made = student_of(prepare, tmp_path, "")
    file = shutil.copy(made.file("weights.safetensors"), tmp_path / "given.safetensors")
    shutil.rmtree(made.folder)
    first = student_of(prepare, tmp_path, file).manifest
    moved = shutil.move(file, tmp_path / "moved.safetensors")
    assert student_of(prepare, tmp_path, moved).manifest == first  # read: another path, the same content
    change(moved)
    with pytest.raises(EdgekdError, match="another one's"):
        student_of(prepare, tmp_path, moved)


CHANGES = {
    "heads": lambda m: {"network": m.network.model_copy(update={"options": m.network.options | {"heads": 4}})},
    "mean": lambda m: {"input": m.input.model_copy(update={"mean": (0.5, 0.5, 0.5)})},
    "size": lambda m: {"input": m.input.model_copy(update={"size": 64})},
    "kernel": lambda m: {"input": m.input.model_copy(update={"kernel": "bicubic"})},
}


@pytest.mark.parametrize("what", CHANGES)
def test_the_same_weights_in_another_teacher_have_another_store_and_another_student(prepare, teacher, what):
    run = prepare()
    other = teacher.enriched(**CHANGES[what](teacher.manifest))
    assert other.manifest.files["weights.safetensors"] == teacher.manifest.files["weights.safetensors"]
    stores = [stages.teacher_outputs(run, bundle).store.folder for bundle in (teacher, other)]
    assert stores[0] != stores[1]
    assert identity.of_stage(run, {}, teacher) != identity.of_stage(run, {}, other)


@pytest.mark.parametrize("module", [augment, networks])
def test_another_version_of_what_makes_the_outputs_has_another_store(prepare, teacher, module, monkeypatch):
    run = prepare()
    before = stages.teacher_outputs(run, teacher).store.folder
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert stages.teacher_outputs(run, teacher).store.folder != before


@pytest.mark.parametrize("module", [augment, networks, loop])
def test_another_version_of_what_trains_is_another_stage(prepare, module, monkeypatch):
    run = prepare()
    before = identity.of_stage(run, {}, None)
    assert identity.of_stage(run, {}, None) == before
    monkeypatch.setattr(module, "VERSION", module.VERSION + 1)
    assert identity.of_stage(run, {}, None) != before


def test_another_version_of_a_loss_is_another_student_of_this_loss_alone(prepare, teacher, monkeypatch):
    runs = [prepare(f"distillation.losses={{kd=1.0{other}}}") for other in ("", ", gradcam_semantic=1.0")]
    before = [stages.student_named(run, teacher) for run in runs]
    stored = stages.teacher_outputs(runs[1], teacher).store.folder
    monkeypatch.setattr(gradcam_semantic.GradcamSemantic, "TAUGHT_VERSION", 2)
    assert stages.student_named(runs[0], teacher) == before[0]
    assert stages.student_named(runs[1], teacher) != before[1]
    assert stages.teacher_outputs(runs[1], teacher).store.folder == stored


FOLDS, PART, TEST = 3, 8, 4  # images


@pytest.fixture
def fold(prepare, tmp_path):
    """A function that prepares one of three folds: a list of its own, in an order of its own, of the same files."""
    count = FOLDS * PART + TEST
    for index in range(count):
        Image.fromarray(phantom.phantom(0, index, 48).image).save(tmp_path / f"{index}.png")

    def make(number, *settings):
        order = np.random.default_rng(number).permutation(count)
        lines = ["path,label,split"]
        for index in order:
            part = index // PART
            split = "test" if part == FOLDS else "val" if part == number else "train"
            lines.append(f"{index}.png,{phantom.LABEL_NAMES[index % 4]},{split}")
        (tmp_path / f"fold{number}.csv").write_text("\n".join(lines))
        data = f"data={{source='csv', path='{tmp_path / f'fold{number}.csv'}'}}"
        return prepare(data, "augment.noise=0.05", *settings)

    return make


class Teacher(torch.nn.Module):
    """Logits that any change of a view changes."""

    def forward(self, pixels):
        return torch.stack([pixels[:, :, ::k, :: k + 1].mean((1, 2, 3)) for k in range(1, 5)], 1)


def told(run, store):
    """What a teacher says of a fold's training views, by the image's name, and how often it was called."""
    settings = run.recipe.distillation.model_copy(update={"store": store})
    run = replace(run, recipe=run.recipe.model_copy(update={"distillation": settings}))
    outputs = stages.outputs_of(run, Teacher, "teacher", run.recipe.input)
    task, found = run.task(run.recipe.training.mixup_alpha), {}
    for begin in range(0, len(task.train_rows), 4):
        rows = task.train_rows[begin : begin + 4]
        views = task.augmenter.views(0, rows, torch.device("cpu"))
        logits = outputs.logits(Batch(0, rows, views.pixels, views.targets))
        found |= {
            run.pixels.dataset.samples[row].name: tuple(line) for row, line in zip(rows, logits.tolist(), strict=True)
        }
    return found, outputs.calls


def test_folds_share_a_store_and_read_what_the_teacher_would_say(fold):
    runs = [fold(number) for number in range(FOLDS)]
    assert len({run.pixels.sha256 for run in runs}) == FOLDS  # the lists do differ
    stored = [told(run, store=True) for run in runs]
    plain = [told(run, store=False) for run in runs]
    for (found, _), (expected, _) in zip(stored, plain, strict=True):
        assert len(found) == (FOLDS - 1) * PART
        assert found == {name: pytest.approx(logits, abs=1e-4) for name, logits in expected.items()}
    assert len(set(plain[0][0].values())) == (FOLDS - 1) * PART  # no two views sound alike
    # Two folds have asked for every image between them: the third never runs the teacher, nor does a second run.
    assert stored[0][1] == (FOLDS - 1) * PART / 4
    assert stored[2][1] == 0
    assert told(runs[0], store=True) == (stored[0][0], 0)


def test_with_mixup_a_fold_has_a_store_of_its_own_as_its_partners_are(fold):
    folders = {
        stages.outputs_of(run, Teacher, "teacher", run.recipe.input).store.folder
        for run in (fold(number, "training.mixup_alpha=0.4") for number in range(FOLDS))
    }
    assert len(folders) == FOLDS
