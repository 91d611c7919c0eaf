"""Killed with SIGKILL at awkward moments and resumed, a run ends with the very bits of one that was left alone."""

import os
import subprocess
import sys

import pytest

from edgekd.files import sha256_file

# Runs the real command with one function replaced by one that kills the process at its nth call.
KILLER = """
import os, signal, sys
import edgekd.reports.progress, edgekd.training.checkpoint, edgekd.bundle, edgekd.data.pixels, edgekd.training.loop
place, calls = sys.argv[1], int(sys.argv[2])
if place != "never":
    module, _, name = place.rpartition(".")
    owner = eval(module)
    original = getattr(owner, name)
    def counted(*args, **kwargs):
        global calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(owner, name, counted)
from edgekd import distill
distill.main(sys.argv[3:])
"""
MOMENTS = [
    ("edgekd.data.pixels.to_pixels", 40),  # while images are decoded
    ("edgekd.reports.progress.Screen.step", 4),  # in the teacher's second epoch
    ("edgekd.bundle.write", 1),  # all files of the teacher's bundle are written but its manifest
    ("edgekd.reports.progress.Screen.step", 5),  # in the student's second epoch
    ("edgekd.training.checkpoint.save", 1),  # at its end, when the best weights are written and the state is not
]


def run(folder, settings, place="never", calls=0):
    arguments = [sys.executable, "-c", KILLER, place, str(calls), "--out", str(folder), "--resume"]
    for setting in (*settings, f"cache={folder / 'cache'}"):
        arguments += ["--set", setting]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "EDGEKD_DEBUG": "1"}
    return subprocess.run(arguments, env=environment, capture_output=True, text=True, check=False)


def test_killed_runs_end_with_the_same_bits(tmp_path, tiny_settings):
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


@pytest.mark.parametrize("arguments", [[], ["--resume", "--overwrite"]])
def test_a_used_folder_is_not_mixed_up(tmp_path, arguments):
    (tmp_path / "file").write_text("mine")
    command = [sys.executable, "-m", "edgekd.distill", "--out", str(tmp_path), *arguments]
    found = subprocess.run(command, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert "--resume" in found.stderr
    assert (tmp_path / "file").read_text() == "mine"
