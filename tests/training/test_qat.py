"""The quantization-aware stage on a tiny run: what it leaves, how it resumes, what it refuses."""

import json
import shutil

import numpy as np
import pytest
import torch
from rich.console import Console

from edgekd import distill, recipe
from edgekd.bundle import ArtefactRecord, Bundle, FileRecord
from edgekd.data.augment import plain_views
from edgekd.distillation.batch import Batch
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file, write_atomic
from edgekd.networks import from_bundle
from edgekd.quantization import integers
from edgekd.quantization.graph import Graph
from edgekd.training import checkpoint, distributed, qat, stages, teachers
from edgekd.training import run as runs

SETTINGS = (
    "data.options={train=32, val=0, test=16, size=48}",
    "data.validation_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=8}",
    "student.width=0.35",
    "training={epochs=1, batch_size=8}",
    "qat.training={epochs=2, batch_size=8}",
    "qat.representative_images=16",
    "qat.observed_batches=2",
)
EPOCHS, FROZEN = 2, 1
NUMBERS = ["val_accuracy", "drift_pp", "mcnemar_p", "ece_before", "ece", "nll_before", "nll", "top1_agreement"]
MOMENTS = [
    ("edgekd.reports.progress.Screen.step", 4),  # in the second epoch
    ("edgekd.bundle.Bundle.enriched", 2),  # (after the comparison's) the graphs are written, the manifest is not
]


def prepare(folder, *settings):
    wanted = recipe.load(None, [*SETTINGS, f"cache={folder / 'cache'}", *settings])
    return runs.prepare(wanted, folder / "prepared", distributed.start(), Console(quiet=True))


def arguments(folder, target):
    settings = [part for setting in (*SETTINGS, f"cache={folder / 'cache'}") for part in ("--set", setting)]
    return ["--out", str(target), "--resume", *settings]


def quantize(folder, target, *settings):
    return qat.quantize(prepare(folder, *settings), Bundle.open(target), Bundle.open(folder / "run/teacher"))


def ranges_of(network):
    return np.array([float(p.detach()) for p in network.ranges.parameters()])


def exported(folder, name, source):
    """The record of a file that stands for one of an export."""
    for file in (f"artefacts/{name}.onnx", f"artefacts/{name}.json"):
        write_atomic(folder / file, name)
    measured = dict.fromkeys(NUMBERS, 0.0) | {"calibration_temperature": 1.0, "val_images": 8, "flips": 0}
    files = {f"{name}.onnx": FileRecord(sha256=sha256_file(folder / file), size_bytes=len(name))}
    return ArtefactRecord(scheme="fp32", source=source, files=files, report=file, **measured)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Its `run` holds a finished teacher and a finished float student."""
    folder = tmp_path_factory.mktemp("qat")
    run = prepare(folder)
    teacher = teachers.teacher(run, folder / "run/teacher")
    stages.student(run, teacher, folder / "run")
    return folder


@pytest.fixture(scope="module")
def whole(folder):
    """The bundle after an uninterrupted stage, and the averaged ranges, which ship, before and after each epoch."""
    target, ranges = folder / "whole", []
    shutil.copytree(folder / "run", target)
    save, train = checkpoint.save, stages.train

    def watched_train(run, role, network, *rest, **options):
        ranges.append(ranges_of(network))
        return train(run, role, network, *rest, **options)

    def watched_save(path, modules, *rest):
        ranges.append(ranges_of(modules["ema"]))
        save(path, modules, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages, "train", watched_train)
        patch.setattr(checkpoint, "save", watched_save)
        return quantize(folder, target), ranges


@pytest.fixture
def copy(folder, tmp_path):
    """A run that stands before the stage."""
    return shutil.copytree(folder / "run", tmp_path / "copy")


def test_the_bundle_gains_both_graphs_and_their_comparison(whole):
    bundle = Bundle.open(whole[0].folder)
    record = bundle.manifest.quantization
    assert (record.method, record.representative_images) == ("qat", 16)
    assert record.control in ("minmax", "percentile", "mse")
    for name in (record.graph, record.control_graph):
        graph = Graph.load(bundle.file(name))
        assert graph.is_quantized
        assert integers.logits(graph, np.zeros((1, 32, 32, 3), np.uint8)).shape == (1, 4)
    found = json.loads(bundle.file("int8/comparison.json").read_text())
    assert set(found["networks"]) == {"float", "ptq", "qat"}
    assert {n["images"] for n in found["networks"].values()} == {16}
    assert set(found["ptq_methods"]) == {"minmax", "percentile", "mse"}
    assert 0 < found["qat_against_ptq"]["mcnemar_p"] <= 1
    assert found["verdict"] == record.verdict
    assert f"p = {found['qat_against_ptq']['mcnemar_p']:.3f}" in record.verdict


def test_ranges_are_learnt_and_stand_still_at_the_end(whole):
    before, *after = whole[1]
    assert len(after) == EPOCHS
    assert not np.array_equal(before, after[0])
    for ranges in after[EPOCHS - FROZEN :]:
        assert np.array_equal(ranges, after[EPOCHS - FROZEN - 1])


def test_a_killed_stage_ends_with_the_same_bits(folder, whole, copy, distill_killed_at):
    for place, calls in MOMENTS:
        # Other numbers of threads add in another order, and other bits come out.
        killed = distill_killed_at(place, calls, arguments(folder, copy), threads=torch.get_num_threads())
        assert killed.returncode == -9, f"{place}: not reached\n{killed.stderr}"
        assert Bundle.open(copy).manifest.quantization is None
    finished = quantize(folder, copy)
    for name in ("int8/qat.safetensors", "int8/ptq.safetensors", "int8/comparison.json"):
        assert sha256_file(finished.file(name)) == sha256_file(whole[0].file(name)), name
    assert not list(copy.rglob("*.tmp"))


def test_a_finished_stage_is_read(folder, whole, monkeypatch):
    monkeypatch.setattr(stages.Trainer, "fit", lambda *_: pytest.fail("trained again"))
    again = quantize(folder, whole[0].folder)
    assert again.manifest == Bundle.open(whole[0].folder).manifest


def test_a_finished_stage_with_other_settings_is_made_anew_and_an_interrupted_one_refused(folder, whole, tmp_path):
    target = shutil.copytree(whole[0].folder, tmp_path / "changed")
    changed = "qat.training.learning_rate=1e-3"
    made = quantize(folder, target, changed).manifest
    graph = made.quantization.graph
    assert made.recipe["qat"]["training"]["learning_rate"] == 1e-3
    assert made.files[graph] != Bundle.open(whole[0].folder).manifest.files[graph]
    (target / "training/qat/identity.txt").unlink()  # as if it had been killed before its end
    with pytest.raises(EdgekdError, match="another one's"):
        quantize(folder, target, "qat.training.learning_rate=1e-4")
    assert Bundle.open(target).manifest == made


def test_a_stage_done_again_forgets_what_was_exported_from_the_earlier_graph(folder, whole, tmp_path):
    target = shutil.copytree(whole[0].folder, tmp_path / "again")
    records = {"onnx": exported(target, "onnx", "float"), "onnx-int8": exported(target, "onnx-int8", "qat")}
    names = [f"artefacts/{name}" for name in ("onnx.onnx", "onnx.json", "onnx-int8.onnx", "onnx-int8.json")]
    Bundle.open(target).enriched(names, artefacts=records)
    shutil.rmtree(target / "training/qat")
    made = quantize(folder, target, "qat.training.epochs=1", "qat.frozen_epochs=0").manifest
    assert set(made.artefacts) == {"onnx"}
    assert {name for name in made.files if name.startswith("artefacts/")} == set(names[:2])
    assert made.recipe["qat"]["training"]["epochs"] == 1
    assert made.quantization.graph in made.files
    assert "| onnx | float |" in (target / "README.md").read_text()


def test_stored_outputs_spare_the_teacher(folder, copy, monkeypatch):
    monkeypatch.setattr(stages, "from_bundle", lambda _: pytest.fail("the teacher was built"))
    on_logits = "distillation.losses={kd=1.0}"  # of a teacher whose taps are read, the shapes are asked
    made = quantize(folder, copy, "qat.taught_by=teacher", "qat.training.epochs=1", "qat.frozen_epochs=0", on_logits)
    assert made.manifest.quantization.method == "qat"


def says(logits):
    """A student that gives these logits whatever it sees."""
    return lambda pixels, targets: (logits, {"mse": {}})


def test_the_student_teaches_itself_what_it_said(folder, copy):
    run, student = prepare(folder), Bundle.open(copy)
    objective = qat.objective_of(run, None, student, Bundle.open(folder / "run/teacher"))
    rows = run.rows("train")[:8]
    pixels = plain_views(run.pixels.array, rows, run.processes.device)
    logits = from_bundle(student).eval()(pixels).detach()
    batch = Batch(7, rows, pixels, torch.eye(4)[run.labels[rows]])  # epoch 7: nothing of it is stored
    task, mse = objective(says(logits), batch)[1]
    assert (task.weight, mse.weight) == (0.0, 1.0)
    assert mse.value == pytest.approx(0.0, abs=1e-9)
    assert objective(says(logits + torch.tensor([4.0, 0, 0, 0])), batch)[1][1].value == pytest.approx(
        1.5
    )  # (9 + 3 * 1) / 4 / 2


def test_the_stage_may_mix_pictures_that_the_float_stage_does_not(folder, copy, monkeypatch):
    seen = []
    monkeypatch.setattr(qat.stages, "train", lambda run, *_, mixup, **__: seen.append(mixup))
    monkeypatch.setattr(qat, "write", lambda *_: None)
    run = prepare(folder, "qat.mixup_alpha=0.8")
    rows = run.rows("train")[:8]
    plain = run.task(run.recipe.training.mixup_alpha).augmenter.views(0, rows, run.processes.device)
    mixed = qat.with_own_views(run).task(qat.with_own_views(run).recipe.training.mixup_alpha).augmenter
    assert ((plain.targets == 0) | (plain.targets == 1)).all()
    shares = mixed.views(0, rows, run.processes.device).targets
    assert ((shares > 0.01) & (shares < 0.99)).any()
    assert qat.with_own_views(prepare(folder)).recipe == prepare(folder).recipe
    qat.quantize(run, Bundle.open(copy), Bundle.open(folder / "run/teacher"))
    qat.quantize(prepare(folder, "qat.training.epochs=1"), Bundle.open(copy), Bundle.open(folder / "run/teacher"))
    assert seen == [0.8, 0.0]


def test_a_teacher_has_not_answered_views_of_the_stages_own():
    with pytest.raises(EdgekdError, match=r"qat\.taught_by = 'student'"):
        recipe.load(None, ["qat.mixup_alpha=1.0", "qat.taught_by=teacher"])


def test_the_stage_can_be_left_out(folder, copy):
    distill.main([*arguments(folder, copy), "--no-qat"])
    assert Bundle.open(copy).manifest.quantization is None
    assert not (copy / "int8").exists()
    assert not (copy / "training/qat").exists()


def test_a_student_that_cannot_be_lowered_is_refused_before_any_training(folder, tmp_path):
    changed = ["--set", "student.network=mobilenetv3_small_100", "--set", "student.width=1.0"]
    with pytest.raises(EdgekdError, match="--no-qat") as caught:
        distill.main([*arguments(folder, tmp_path / "new"), *changed])
    assert "bn1: BatchNormAct2d (activation Hardswish)" in str(caught.value)
    assert not (tmp_path / "new").exists()
