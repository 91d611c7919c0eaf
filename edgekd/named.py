"""What is found by name wherever a command runs: the recipes and devices that travel with edgekd.

In the repository they lie in `models/recipes` and `benchmarks/devices`; the wheel carries the same files inside the package.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from edgekd.errors import EdgekdError, nearest

PACKAGE = Path(__file__).parent
IN_REPOSITORY = {"recipes": "models/recipes", "devices": "benchmarks/devices"}


def folder(kind: str, package: Path = PACKAGE) -> Path:
    """Where the files of a kind ("recipes" or "devices") lie: in the installed package, else in the checkout around it."""
    installed = package / f"named_{kind}"
    return installed if installed.is_dir() else package.parent / IN_REPOSITORY[kind]


def names(kind: str) -> list[str]:
    """The names of all files of a kind, sorted."""
    return sorted(path.stem for path in folder(kind).glob("*.toml"))


def recipe(text: str | Path) -> Path:
    """The file that `--recipe` means: a path, or the name of a recipe that travels.

    Raises: EdgekdError with the nearest name.
    """
    path = Path(text)
    if path.is_file() or path.suffix == ".toml" or len(path.parts) != 1:
        return path
    if text not in names("recipes"):
        todo = nearest(str(text), names("recipes"))
        raise EdgekdError(f"recipe {str(text)!r}", "a .toml file, or the name of a recipe", "neither", todo)
    return folder("recipes") / f"{text}.toml"


def about(kind: str) -> dict[str, str]:
    """What each file of a kind is, by name: its `description`, else the first line of its comment."""
    return {name: _about(folder(kind) / f"{name}.toml") for name in names(kind)}


def _about(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    found = tomllib.loads(text).get("description")
    return str(found or text.partition("\n")[0].removeprefix("#").strip())
