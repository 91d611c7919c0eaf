"""Killed with SIGKILL at awkward moments and resumed, a run ends with the very bits of one that was left alone."""

import subprocess
import sys

import pytest
from safetensors.numpy import load_file

from edgekd.files import sha256_file

MOMENTS = [
    ("edgekd.data.pixels.to_pixels", 40),  # while images are decoded
    ("edgekd.reports.progress.Screen.step", 4),  # in the teacher's second epoch
    ("edgekd.bundle.write", 1),  # all files of the teacher's bundle are written but its manifest
    ("edgekd.reports.progress.Screen.step", 5),  # in the student's second epoch
    ("edgekd.training.checkpoint.save", 1),  # at its end, when the best weights are written and the state is not
]


@pytest.fixture
def run(distill_killed_at):
    """A function that trains, up to a moment or to the end."""

    def start(folder, settings, place="never", calls=0):
        arguments = ["--out", str(folder), "--resume"]
        for setting in (*settings, f"cache={folder / 'cache'}"):
            arguments += ["--set", setting]
        return distill_killed_at(place, calls, arguments, threads=1)

    return start


def test_killed_runs_end_with_the_same_bits(run, tmp_path, tiny_settings):
    settings = tiny_settings[:-1]
    whole = run(tmp_path / "whole", settings)
    assert whole.returncode == 0, whole.stderr
    for place, calls in MOMENTS:
        killed = run(tmp_path / "killed", settings, place, calls)
        assert killed.returncode == -9, f"{place}: not reached\n{killed.stderr}"
    finished = run(tmp_path / "killed", settings)
    assert finished.returncode == 0, finished.stderr
    for name in (
        "weights.safetensors",
        "teacher/weights.safetensors",
        "evaluation/test.json",
        "golden/vectors.safetensors",
    ):
        assert sha256_file(tmp_path / "whole" / name) == sha256_file(tmp_path / "killed" / name), name
    assert not list((tmp_path / "killed").rglob("*.tmp"))


FEATURES = [
    "distillation.losses={kd=1.0, cosine_feature={weight=1.0}, rkd=0.01}",
    "qat={taught_by='teacher', training={epochs=1}, frozen_epochs=0, observed_batches=2}",
]


def test_a_run_with_projectors_is_resumed_to_the_same_bits_and_ships_none(run, tmp_path, tiny_settings):
    settings = [*tiny_settings[:-1], *FEATURES]
    whole = run(tmp_path / "whole", settings)
    assert whole.returncode == 0, whole.stderr
    killed = run(
        tmp_path / "killed", settings, "edgekd.reports.progress.Screen.step", 11
    )  # in the student's second epoch
    assert killed.returncode == -9, killed.stderr
    state = load_file(tmp_path / "killed/training/last.safetensors")
    assert "losses/cosine_feature.project.weight" in state
    finished = run(tmp_path / "killed", settings)
    assert finished.returncode == 0, finished.stderr
    for name in ("weights.safetensors", "evaluation/test.json", "int8/qat.safetensors"):
        assert sha256_file(tmp_path / "whole" / name) == sha256_file(tmp_path / "killed" / name), name
    network = {name.removeprefix("network/") for name in state if name.startswith("network/")}
    assert {f"body.{name}" for name in load_file(tmp_path / "whole/weights.safetensors")} == network
    first = (tmp_path / "whole/training/qat/log.csv").read_text().splitlines()[0]
    assert {"loss_task", "loss_kd", "loss_cosine_feature", "loss_rkd"} <= set(first.split(","))


STAGED = [
    "training.stages=[{epochs=2, learning_rate=1e-2, train='head'}, {epochs=2, learning_rate=1e-3, train='all'}]",
    "training.batch_size=16",
    "teacher.training={epochs=1, batch_size=16}",
    "qat.enabled=false",
]
BORDERS = [
    (
        "edgekd.training.loop.Trainer._enter_next_stage",
        1,
    ),  # the first stage's last epoch is written, the second not begun
    (
        "edgekd.training.loop.write_atomic",
        2,
    ),  # the second stage's best weights are written, those of all stages are not
    ("edgekd.training.checkpoint.save", 1),  # both are, and the state is not
    ("edgekd.reports.progress.Screen.step", 4),  # in the second stage's second epoch
]


def test_runs_killed_where_two_stages_meet_end_with_the_same_bits(run, tmp_path, tiny_settings):
    settings = [*tiny_settings[:-2], *STAGED]  # without the tiny recipe's epochs
    whole = run(tmp_path / "whole", settings)
    assert whole.returncode == 0, whole.stderr
    for place, calls in BORDERS:
        killed = run(tmp_path / "killed", settings, place, calls)
        assert killed.returncode == -9, f"{place}: not reached\n{killed.stderr}"
    finished = run(tmp_path / "killed", settings)
    assert finished.returncode == 0, finished.stderr
    for name in ("stage1_best", "stage2_best", "best"):
        path = f"training/{name}.safetensors"
        assert sha256_file(tmp_path / "whole" / path) == sha256_file(tmp_path / "killed" / path), name
    assert sha256_file(tmp_path / "whole/weights.safetensors") == sha256_file(tmp_path / "killed/weights.safetensors")


@pytest.mark.parametrize("arguments", [[], ["--resume", "--overwrite"]])
def test_a_used_folder_is_not_mixed_up(tmp_path, arguments):
    (tmp_path / "file").write_text("mine")
    command = [sys.executable, "-m", "edgekd.distill", "--out", str(tmp_path), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "--resume" in found.stderr
    assert (tmp_path / "file").read_text() == "mine"
