"""A run's folder: what a new run takes away there, and what it must leave because the recipe reads it."""

from __future__ import annotations

import shutil
from pathlib import Path

from edgekd.errors import EdgekdError
from edgekd.recipe import Recipe

FILES = (
    "manifest.json",
    "weights.safetensors",
    "graph.json",
    "README.md",
    "log.csv",
    "curves.png",
    "comparison.json",
    "comparison.png",
)
BUNDLE = (
    *FILES,
    "training",
    "evaluation",
    "golden",
    "int8",
    "artefacts",
    "members",
    "results",
)  # what a stage leaves in its folder
TEACHER, CONTROL = "teacher", "control"  # the folders of stages beside the student


def of_teacher(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """The parts of the teacher's `folder` that its training makes.

    Raises: EdgekdError if the recipe reads one of them.
    """
    return _unread(folder, BUNDLE, _read(recipe))


def of_run(recipe: Recipe, folder: Path) -> tuple[str, ...]:
    """The parts of a run's `folder` that its stages make; a teacher there that the recipe reads is none of them.

    Raises: EdgekdError if the recipe reads one of them.
    """
    paths = _read(recipe) | {"student.weights": recipe.student.weights}
    parts: tuple[str, ...] = (*BUNDLE, CONTROL, TEACHER)
    if recipe.teacher.bundle and _lies_in(recipe.teacher.bundle, folder / TEACHER):
        parts = tuple(part for part in parts if part != TEACHER)
    return _unread(folder, parts, paths)


def clear(folder: Path, parts: tuple[str, ...]) -> None:
    """Remove `parts` of `folder`, and nothing else."""
    for path in (folder / part for part in parts):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _read(recipe: Recipe) -> dict[str, str]:
    """The paths that a recipe reads on the way to its teacher, by setting."""
    data = recipe.data
    root = data.options.get("root") or (str(Path(data.path).parent) if data.source == "csv" else "")
    found = {"data.path": data.path, "data.options.root": str(root), "data.unlabelled": data.unlabelled}
    for number, part in enumerate(data.options.get("parts", ())):  # of a union
        found[f"data.options.parts.{number}.path"] = part.get("path", "")
    for section, network in recipe.teacher.sections.items():
        found |= {f"{section}.{name}": getattr(network, name) for name in ("bundle", "checkpoint", "weights")}
    return found


def _unread(folder: Path, parts: tuple[str, ...], paths: dict[str, str]) -> tuple[str, ...]:
    whole = folder.resolve()
    found = [
        f"{setting} = {path}"
        for setting, path in paths.items()
        if path and (Path(path).resolve() == whole or any(_lies_in(path, folder / part) for part in parts))
    ]
    if found:
        todo = "--out DIR for another folder, or move what is read to another place"
        raise EdgekdError(
            str(folder), "a folder that the run can write to without losing what it reads", "; ".join(found), todo
        )
    return parts


def _lies_in(path: str, folder: Path) -> bool:
    return Path(path).resolve().is_relative_to(folder.resolve())
