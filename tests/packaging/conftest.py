"""The wheel, and fresh environments with one extra each, outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HIDDEN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "EDGEKD_", "PIP_CONSTRAINT")  # settings of whoever runs the tests


class Environment:
    """A virtual environment."""

    def __init__(self, folder: Path) -> None:
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        self.folder = folder

    def run(self, program: str, *arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
        """One of its programs, with none of the settings of the tests' own environment."""
        environment = {k: v for k, v in os.environ.items() if not k.startswith(HIDDEN)}
        command = [str(self.folder / "bin" / program), *map(str, arguments)]
        return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)

    def install(self, *what: str | Path) -> subprocess.CompletedProcess[str]:
        """What pip makes of it, from wheels, in the versions that were tested together; compiled is what is imported."""
        options = ("--quiet", "--no-compile", "--only-binary", ":all:", "--constraint", ROOT / "constraints.txt")
        return self.run("python", "-m", "pip", "install", *options, *what, cwd=self.folder)


@pytest.fixture(scope="session")
def builder(tmp_path_factory) -> Environment:
    """An environment with the project's build backend."""
    found = Environment(tmp_path_factory.mktemp("builder") / "venv")
    if (done := found.install("hatchling", "editables")).returncode:
        pytest.skip(f"the package registry cannot be reached: {done.stderr.strip().splitlines()[-1]}")
    return found


@pytest.fixture(scope="session")
def sdist(builder, tmp_path_factory) -> Path:
    """The source distribution of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    done = builder.run("python", "-m", "hatchling", "build", "-t", "sdist", "-d", folder, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.tar.gz")
    return path


@pytest.fixture(scope="session")
def wheel(builder, sdist, tmp_path_factory) -> Path:
    """The wheel that is built from the source distribution."""
    folder = tmp_path_factory.mktemp("wheel")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--wheel-dir", folder)
    done = builder.run("python", "-m", "pip", "wheel", *options, sdist, cwd=folder)
    assert done.returncode == 0, done.stderr
    [path] = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def environment(wheel, tmp_path_factory):
    """A function that gives the environment with the wheel and some extras, "" for none; made once."""
    made: dict[str, Environment] = {}

    def of(extras: str) -> Environment:
        if extras not in made:
            made[extras] = Environment(tmp_path_factory.mktemp("environment") / "venv")
            done = made[extras].install(f"{wheel}[{extras}]" if extras else wheel)
            assert done.returncode == 0, done.stderr
        return made[extras]

    yield of
    for found in made.values():
        shutil.rmtree(found.folder)
