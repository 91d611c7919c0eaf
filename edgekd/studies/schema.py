"""STUDY.toml: a recipe, its variants, folds and seeds. Strict, like a recipe, and data like it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from edgekd.errors import EdgekdError
from edgekd.overrides import flattened, parsed
from edgekd.recipe import Recipe
from edgekd.section import Section, validate

SCHEMA: Literal["edgekd.study/1"] = "edgekd.study/1"
Overrides = list[str] | dict[str, Any]  # section.key=value, or a table of sections


class Variant(Section):
    """What differs from the study's recipe. The control is taught by labels alone, and all others are compared with it."""

    control: bool = False
    teacher: bool | None = (
        None  # false: taught by labels alone, without being the control; unset: all but the control have one
    )
    overrides: Overrides = []

    @model_validator(mode="after")
    def _control(self) -> Variant:
        if self.control and self.teacher:
            raise ValueError("the control is taught by labels alone: take teacher = true out, or control = true")
        return self

    @property
    def is_taught(self) -> bool:
        """Whether a teacher teaches it."""
        return not self.control if self.teacher is None else self.teacher


class Study(Section):
    """Everything that decides a study."""

    model_config = {"serialize_by_alias": True}

    schema_: Literal["edgekd.study/1"] = Field(SCHEMA, alias="schema")
    name: str = Field("study", min_length=1)
    recipe: str = ""  # a file, or the name of a recipe that travels with edgekd; "" is the default one
    overrides: Overrides = []  # of the recipe, for all variants
    variants: dict[str, Variant] = Field(min_length=1)
    folds: int = Field(5, ge=0, le=100)  # all images dealt to so many folds by group; 0: the recipe's own split
    only_folds: tuple[int, ...] = Field((), strict=False)  # those to run so far; all if empty
    seeds: tuple[int, ...] = Field((0,), min_length=1, strict=False)  # of first weights, views, order and dropout
    split_seed: int = Field(0, ge=0, lt=2**31)  # of dealing groups to folds
    teachers: Literal["per_fold", "per_seed"] = "per_fold"  # one for all seeds of a fold, or one for each

    @field_validator("seeds")
    @classmethod
    def _seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(seeds)) < len(seeds) or not all(0 <= seed < 2**31 for seed in seeds):
            raise ValueError("seeds must be different whole numbers from 0 to 2147483647")
        return seeds

    @model_validator(mode="after")
    def _one_control(self) -> Study:
        if self.folds == 1:
            raise ValueError("folds must be 0 (the recipe's own split) or at least 2")
        if not set(self.only_folds) <= set(range(self.folds)):
            raise ValueError(f"only_folds count from 0 and must be below folds = {self.folds}")
        controls = [name for name, variant in self.variants.items() if variant.control]
        if len(controls) > 1:
            raise ValueError(f"one variant may be the control, not {len(controls)}: {', '.join(controls)}")
        return self

    @property
    def folds_run(self) -> tuple[int, ...]:
        """The folds to run, in order; the recipe's own split counts as one."""
        return tuple(sorted(set(self.only_folds))) or tuple(range(max(self.folds, 1)))

    @property
    def control(self) -> str | None:
        """The name of the control, if there is one."""
        return next((name for name, variant in self.variants.items() if variant.control), None)


def load(path: str | Path) -> Study:
    """Read a study.

    Raises: EdgekdError that lists all problems at once, each with the nearest valid name.
    """
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise EdgekdError(str(path), "a study in TOML", "no such file") from None
    except (OSError, UnicodeDecodeError) as e:
        raise EdgekdError(str(path), "a readable text file", str(e)) from None
    except tomllib.TOMLDecodeError as e:
        raise EdgekdError(str(path), "TOML", str(e)) from None
    return validate(Study, values, str(path))


def settings(overrides: Overrides) -> list[tuple[str, Any]]:
    """Overrides as keys and values.

    Raises: EdgekdError for a text that is none.
    """
    if isinstance(overrides, dict):
        return list(flattened(overrides, Recipe))
    return [parsed(override) for override in overrides]
