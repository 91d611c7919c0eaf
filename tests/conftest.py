"""Fixtures that several tests share."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

# Runs a real command with one function replaced by one that kills the process at its nth call.
KILLER = """
import importlib, os, pkgutil, signal, sys
command, place, calls = sys.argv[1], sys.argv[2], int(sys.argv[3])
if place != "never":
    owner, _, name = place.rpartition(".")
    owner = pkgutil.resolve_name(owner)
    original = getattr(owner, name)
    def counted(*args, **kwargs):
        global calls
        calls -= 1
        if calls == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(owner, name, counted)
importlib.import_module(f"edgekd.{command}").main(sys.argv[4:])
"""


# Files with few tests that take long: begun last, one of them would be waited for alone.
LONG = (
    "test_java.py",
    "test_distributed.py",
    "test_resume.py",
    "test_running.py",
    "test_apk.py",
    "test_committee_recipes.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, each by its name; the others stay in their order."""
    items.sort(key=lambda item: LONG.index(item.path.name) if item.path.name in LONG else len(LONG))


@pytest.fixture(scope="session")
def killed_at():
    """A function that runs a command in a process which SIGKILL ends at the nth call of a function, if ever.

    `before` is Python that the process runs first.
    """

    def run(
        command: str, place: str, calls: int, arguments: Sequence[str], threads: int = 1, before: str = ""
    ) -> subprocess.CompletedProcess[str]:
        line = [sys.executable, "-c", before + KILLER, command, place, str(calls), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "EDGEKD_DEBUG": "1"}
        return subprocess.run(line, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights, named by EDGEKD_SHARED or beside the project."""
    folder = Path(os.environ.get("EDGEKD_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set EDGEKD_SHARED)")
    return folder


@pytest.fixture(scope="session")
def hand_made() -> SimpleNamespace:
    """Functions that make benchmark reports by hand: tests/benchmarking/hand_made.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("benchmarking") / "hand_made.py")))
