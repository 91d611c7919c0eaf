"""Overrides: settings that are made over a recipe's, as `--set section.key=value` or as a table of sections."""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.section import Section

Override = str | tuple[str, Any]  # section.key=value, or key and value


def apply(values: dict[str, Any], override: Override) -> None:
    """Set an override's value in plain values, whose sections are made where they are missing.

    Raises: EdgekdError for a text that is none, or a key below what is no section.
    """
    key, value = parsed(override) if isinstance(override, str) else override
    *sections, last = key.split(".")
    for section in sections:
        inner = values.setdefault(section, {})
        if not isinstance(inner, dict):
            raise EdgekdError(f"--set {key}={value}", f"{section!r} to be a section", f"the value {inner!r}")
        values = inner
    values[last] = copy.deepcopy(value)


def parsed(override: str) -> tuple[str, Any]:
    """Key and value of `section.key=value`.

    Raises: EdgekdError for a text without them.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise EdgekdError(f"--set {override}", "section.key=value", todo="for example --set student.width=0.75")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text  # a bare word is a string: --set student.network=efficientnet_lite0
    return key.strip(), value


def flattened(table: Mapping[str, Any], section: type[Section]) -> Iterator[tuple[str, Any]]:
    """The overrides that a table of a recipe's sections holds, one for each setting; its value replaces the recipe's whole."""
    for key, value in table.items():
        field = section.model_fields.get(key)
        inner = field.annotation if field else None
        if isinstance(value, dict) and isinstance(inner, type) and issubclass(inner, Section):
            yield from ((f"{key}.{name}", found) for name, found in flattened(value, inner))
        else:
            yield key, value
