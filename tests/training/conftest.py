"""A recipe so small that a whole run takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

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


@pytest.fixture
def distill_killed_at(killed_at):
    """A function that runs `edgekd.distill` until a call of a function kills it, if ever."""

    def run(place: str, calls: int, arguments: Sequence[str], threads: int) -> SimpleNamespace:
        return killed_at("distill", place, calls, arguments, threads)

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
