"""Programs that are run, and what to say if one is missing or fails."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekd.errors import EdgekdError


def need(program: str, what: str, todo: str) -> str:
    """Path of a program.

    Raises: EdgekdError if it is not installed.
    """
    found = shutil.which(program)
    if found is None:
        raise EdgekdError(program, what, "not installed", todo)
    return found


def run(command: Sequence[str | Path], what: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program prints.

    Raises: EdgekdError if it fails, with the end of what it said.
    """
    env = os.environ | dict(environment or {})
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, stdin=subprocess.DEVNULL, env=env)
    if done.returncode:
        lines = (done.stdout + done.stderr).strip().splitlines()
        said = "\n    ".join(lines[-30:]) or f"it ended with {done.returncode}"
        raise EdgekdError(what, f"{Path(command[0]).name} succeeds", f"\n    {said}")
    return done.stdout


def fresh(folder: Path) -> Path:
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
