"""Fixtures that several tests share."""

from __future__ import annotations

import multiprocessing
import os
import runpy
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edgekd.reports import pictures

# The beginning of a process that is forked: its own environment, and a file for what it says.
FORKED = """
import os, torch
os.environ.update(environment, EDGEKD_DEBUG="1")
for stream in (1, 2):
    os.dup2(os.open(said, os.O_WRONLY | os.O_APPEND | os.O_CREAT), stream)
torch.set_num_threads(threads)
"""

# Runs a real command with one function replaced by one that kills the process at its nth call.
KILLER = """
import importlib, os, pkgutil, signal
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
importlib.import_module(f"edgekd.{command}").main(arguments)
"""

# Pictures are empty files: drawing them takes longer than all else of a tiny run.
WITHOUT_PICTURES = """
from pathlib import Path
from edgekd.reports import pictures
def blank(found, path, *more):
    Path(path).write_bytes(b"")
pictures.curves = pictures.confusion = pictures.reliability = pictures.comparison = blank
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


@pytest.fixture(scope="module", autouse=True)
def pictures_are_blank(request):
    """Bundles and evaluations have empty files for pictures, but in modules that look at them."""
    if request.node.get_closest_marker("pictures"):
        yield
        return
    drawn = {name: getattr(pictures, name) for name in ("curves", "confusion", "reliability", "comparison")}
    exec(WITHOUT_PICTURES, {})
    yield
    for name, function in drawn.items():
        setattr(pictures, name, function)


@pytest.fixture(scope="session")
def forked(tmp_path_factory):
    """A function that runs scripts side by side, each with variables of its own, in processes that draw no pictures.

    All are forked from one process that has read the large packages already.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["timm", "edgekd.training.stages"])
    folder = tmp_path_factory.mktemp("said")

    def run(script: str, *variables: dict[str, Any], threads: int = 1) -> list[SimpleNamespace]:
        text, started = FORKED + WITHOUT_PICTURES + script, []
        for own in variables:
            said = folder / f"{len(list(folder.iterdir()))}.txt"
            said.touch()
            names = {"environment": {}, "threads": threads, "said": str(said)} | own
            process = forks.Process(target=exec, args=(text, names))
            process.start()
            started.append((process, said))
        for process, _ in started:
            process.join()
        return [SimpleNamespace(returncode=process.exitcode, stderr=said.read_text()) for process, said in started]

    return run


@pytest.fixture(scope="session")
def killed_at(forked):
    """A function that runs a command in a process which SIGKILL ends at the nth call of a function, if ever."""

    def run(command: str, place: str, calls: int, arguments: Sequence[str], threads: int = 1) -> SimpleNamespace:
        names = {"command": command, "place": place, "calls": calls, "arguments": list(arguments)}
        [ended] = forked(KILLER, names, threads=threads)
        return ended

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
