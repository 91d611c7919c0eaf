"""Strict pydantic models: what every recipe, manifest and document is read with. An unknown key or a wrong type is one error.

Problems are listed together, each with the nearest valid name; input is never repaired by guessing.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from edgekd.errors import nearest, several

M = TypeVar("M", bound=BaseModel)


class Section(BaseModel):
    """Base of every section: unknown keys and silent type conversions are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    elsewhere: ClassVar[dict[str, str]] = {}  # keys that one may look for here -> why they are not, and what to set


def validate(model: type[M], values: Any, where: str, *, from_json: bool = False) -> M:
    """`model` built from plain values (TOML's, or JSON's where lists stand for tuples); integers are taken for floats.

    Raises: EdgekdError that lists the problems, each with the nearest valid name.
    """
    try:
        return model.model_validate_json(json.dumps(values)) if from_json else model.model_validate(values)
    except ValidationError as e:
        raise several(where, [_explain(model, problem) for problem in e.errors()]) from None


def known(model: type[BaseModel], values: dict[str, Any]) -> dict[str, Any]:
    """The part of `values` whose keys `model` knows, in all its sections."""
    found = {}
    for name, field in model.model_fields.items():
        key, inner = field.alias or name, field.annotation
        if key in values:
            if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(values[key], dict):
                found[key] = known(inner, values[key])
            else:
                found[key] = values[key]
    return found


def _explain(model: type[BaseModel], problem: Any) -> str:
    path = [str(p) for p in problem["loc"]]
    if problem["type"] == "extra_forbidden":
        owner = _owner(model, path[:-1])
        names = [field.alias or name for name, field in owner.model_fields.items()]
        elsewhere = getattr(owner, "elsewhere", {}).get(path[-1])
        return f"{'.'.join(path)}: {elsewhere or f'unknown key; {nearest(path[-1], names)}'}"
    found = f", found {problem['input']!r}" if not isinstance(problem["input"], dict) else ""
    if problem["type"] == "literal_error" and isinstance(problem["input"], str):
        valid = re.findall(r"'(.*?)'", problem["ctx"]["expected"])
        found += f"; {nearest(problem['input'], valid)}"
    return f"{'.'.join(path) or 'recipe'}: {problem['msg'][0].lower()}{problem['msg'][1:]}{found}"


def _owner(model: type[BaseModel], path: list[str]) -> type[BaseModel]:
    """The model that the section at `path` is, as far as there are sections; numbers in it count those of a list."""
    for name in path:
        if name.isdecimal():
            continue
        field = model.model_fields.get(name)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return model
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation names, by itself or as what a list holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
