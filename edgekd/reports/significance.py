"""How the p of a paired test stands in a table."""

from __future__ import annotations

from typing import Protocol


class Tested(Protocol):
    """A record that holds a paired test."""

    @property
    def groups(self) -> int | None:
        """How many groups; None where they are not known."""

    @property
    def p(self) -> float | None:
        """Of the test by group; None in a record of an older version."""


def by_group(tested: Tested) -> str:
    """The p by group; – where groups are not known, or in a record of an older version."""
    return "–" if tested.p is None or tested.groups is None else f"{tested.p:.3f}"
