"""A recipe so small that a whole run takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from edgekd import recipe
from edgekd.bundle import Bundle
from edgekd.training import distributed, run, teachers

TINY = (
    "data.options={train=64, val=0, test=32, size=48}",
    "data.validation_fraction=0.25",
    "input.size=32",
    "augment.erase=0.3",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16, drop_rate=0.1}',
    "teacher.training={epochs=2, batch_size=16}",
    "student.width=0.35",
    "training={epochs=3, batch_size=16, learning_rate=2e-3}",
)
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


@pytest.fixture
def distill_killed_at():
    """A function that runs `edgekd.distill` in a process which SIGKILL ends at the nth call of a function, if ever."""

    def run(place: str, calls: int, arguments: Sequence[str], threads: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", KILLER, place, str(calls), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "EDGEKD_DEBUG": "1"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def tiny_settings(tmp_path: Path) -> list[str]:
    """The `--set` values of the tiny recipe."""
    return [*TINY, f"cache={tmp_path / 'cache'}"]


@pytest.fixture
def prepare(tmp_path: Path):
    """A function that prepares the tiny run with further settings."""

    file = tmp_path / "tiny.toml"
    file.write_text("\n".join([*TINY, f"cache='{tmp_path / 'cache'}'"]))

    def make(*settings: str) -> run.Run:
        wanted = recipe.load(file, list(settings))
        return run.prepare(wanted, tmp_path / "run", distributed.start(), Console(quiet=True))

    return make


@pytest.fixture
def teacher(prepare, tmp_path: Path) -> Bundle:
    """The tiny run's teacher, trained."""
    return teachers.teacher(prepare(), tmp_path / "teacher")
