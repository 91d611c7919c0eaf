"""What a study runs: a recipe for every variant, fold and seed, and what can be found wrong before any training."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekd import recipe as recipes
from edgekd.errors import EdgekdError, several
from edgekd.overrides import Override
from edgekd.recipe import Recipe
from edgekd.studies.schema import Overrides, Study, settings

# Keys that the study itself sets, and where it does.
OWN = {
    "seed": "seeds",
    "split_seed": "split_seed",
    "data.folds": "folds",
    "data.fold": "folds",
    "name": "name",
    "schema": "schema",
}


@dataclass(frozen=True)
class Cell:
    """One run of a study; `teacher_seed` is the seed that its teacher is trained with."""

    variant: str
    fold: int
    seed: int
    recipe: Recipe
    is_taught: bool
    teacher_seed: int

    def __str__(self) -> str:
        return f"{self.variant}, fold {self.fold}, seed {self.seed}"


def cells(study: Study) -> list[Cell]:
    """All runs; fold by fold within a seed, and the control first, so that what is there early can be compared.

    Raises: EdgekdError for overrides that are wrong, or variants that do not see the same images.
    """
    first = {name: _recipe(study, name, study.folds_run[0], study.seeds[0]) for name in study.variants}
    _check_data(study, first)
    shared_seed = recipes.load(study.recipe or None).seed
    names = sorted(study.variants, key=lambda name: not study.variants[name].control)
    return [
        Cell(
            name,
            fold,
            seed,
            _recipe(study, name, fold, seed),
            study.variants[name].is_taught,
            shared_seed if study.teachers == "per_fold" else seed,
        )
        for seed in study.seeds
        for fold in study.folds_run
        for name in names
    ]


def _recipe(study: Study, name: str, fold: int, seed: int) -> Recipe:
    own: list[Override] = [("name", study.name), ("seed", seed), ("split_seed", study.split_seed)]
    if study.folds:
        own += [("data.folds", study.folds), ("data.fold", fold)]
    given = _given(study, "overrides", study.overrides)
    given += _given(study, f"variants.{name}", study.variants[name].overrides)
    made = recipes.load(study.recipe or None, [*given, *own])
    return made.model_copy(update={"qat": made.qat.model_copy(update={"enabled": False})})


def _given(study: Study, where: str, overrides: Overrides) -> list[tuple[str, Any]]:
    found = settings(overrides)
    problems = []
    for key, _ in found:
        if key in OWN:
            problems.append(f"{key}: set {OWN[key]} of the study")
        if key == "qat" or key.startswith("qat."):
            problems.append(f"{key} has no effect: a study compares float students")
    if problems:
        raise several(f"study {study.name}: {where}", problems)
    return found


def _check_data(study: Study, found: dict[str, Recipe]) -> None:
    """All variants answer the same images, and no teacher can have seen a fold's test images."""
    names = list(found)
    for name in names[1:]:
        if found[name].data != found[names[0]].data:
            todo = "set data.* under the study's overrides"
            raise EdgekdError(f"variants.{name}.overrides", f"the images of variants.{names[0]}", "other data.*", todo)
    if not study.folds:
        return
    problems = [
        f"variants.{name}: {where}.{setting} = {value}"
        for name, made in found.items()
        if study.variants[name].is_taught
        for where, member in made.teacher.sections.items()
        for setting, value in (("bundle", member.bundle), ("checkpoint", member.checkpoint))
        if value
    ]
    if problems:
        todo = "let every fold train its own (teacher.network, teacher.weights), or set folds = 0"
        raise several("a finished teacher may have learnt from the test images of a fold", problems, todo)
