"""`--limit NAME=NUMBER` of a comparison: what may change at most from one report to another."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from edgekd.errors import nearest, several
from edgekd.section import Section

Values = Mapping[str, float | None]  # None (or not there): a row without the thing, like an emulator without latency


class Excess(Section):
    """A row that goes beyond a limit."""

    row: str
    name: str
    value: float
    limit: float

    def __str__(self) -> str:
        """accuracy_drop_pp 3.5 > 1: tflite-int8 on local, 1 thread."""
        return f"{self.name} {self.value:.4g} > {self.limit:g}: {self.row}"


def read(texts: Sequence[str], names: Collection[str]) -> dict[str, float]:
    """The limits of `NAME=NUMBER` texts, each name being one of `names`.

    Raises: EdgekdError that lists every text that is none, with the nearest name for an unknown one, and names given twice.
    """
    parts = [tuple(part.strip() for part in text.partition("=")[::2]) for text in texts]
    found = {name: _number(number) for name, number in parts}
    problems = [f"unknown name {name!r}; {nearest(name, names)}" for name in found if name not in names]
    problems += [f"{name}: expected a finite number, found {text!r}" for name, text in parts if _number(text) is None]
    problems += [f"{name} is given {n} times" for name, n in Counter(name for name, _ in parts).items() if n > 1]
    if problems:
        raise several("--limit", problems, "--limit accuracy_drop_pp=1 --limit latency_ratio=1.2")
    return {name: value for name, value in found.items() if value is not None}


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def exceeded(limits: Mapping[str, float], rows: Mapping[str, Values]) -> tuple[Excess, ...]:
    """What goes beyond its limit, of rows by name; a value that only some rows lack is no excess there.

    Raises: EdgekdError for a limit on what no row has: it could never fail.
    """
    nowhere = [name for name in limits if all(values.get(name) is None for values in rows.values())]
    if nowhere:
        raise several("--limit", [f"{name}: no row that both reports have has a value" for name in nowhere])
    return tuple(
        Excess(row=row, name=name, value=value, limit=limit)
        for name, limit in limits.items()
        for row, values in rows.items()
        if (value := values.get(name)) is not None and value > limit
    )
