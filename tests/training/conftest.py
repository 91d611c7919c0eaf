"""A recipe so small that a whole run takes seconds."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from edgekd import recipe
from edgekd.training import distributed, run

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
def tiny_settings(tmp_path: Path) -> list[str]:
    """The `--set` values of the tiny recipe."""
    return [*TINY, f"cache={tmp_path / 'cache'}"]


@pytest.fixture
def prepare(tmp_path: Path, tiny_settings: list[str]):
    """A function that prepares the tiny run with further settings."""

    def make(*settings: str) -> run.Run:
        wanted = recipe.load(None, [*tiny_settings, *settings])
        return run.prepare(wanted, tmp_path / "run", distributed.start(), Console(quiet=True))

    return make
