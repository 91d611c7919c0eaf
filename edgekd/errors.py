"""The one error that a person sees: where it happened, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

SHOWN = 10  # lines of a list on the screen


class EdgekdError(Exception):
    """A problem that the user can mend; commands print it without a traceback and exit with `exit_code`.

    `where` names the file, field or argument. `expected`, `found` and `todo` may be left out where they
    would only repeat it.
    """

    exit_code = 2

    def __init__(self, where: str, expected: str = "", found: str = "", todo: str = "") -> None:
        self.where, self.expected, self.found, self.todo = where, expected, found, todo
        parts = [where]
        if expected:
            parts.append(f"  expected: {expected}")
        if found:
            parts.append(f"  found:    {found}")
        if todo:
            parts.append(f"  to do:    {todo}")
        super().__init__("\n".join(parts))


def nearest(name: str, valid: Iterable[str]) -> str:
    """`did you mean 'x'?` for the closest valid name, else the list of valid names."""
    names = sorted(valid)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else "valid names: " + ", ".join(names)


def several(where: str, problems: Sequence[str], todo: str = "", shown: int = SHOWN) -> EdgekdError:
    """One error for all problems of a thing; the first `shown` are listed and the rest counted."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = capped([f"  - {problem}" for problem in problems], shown)
    return EdgekdError("\n".join([f"{where}: {count}", *listed]), todo=todo)


def capped(lines: Sequence[str], shown: int = SHOWN) -> list[str]:
    """The first `shown` lines, and one more that counts the rest."""
    left = len(lines) - shown
    return [*lines[:shown], f"  … and {left} more"] if left > 0 else list(lines)


def missing_package(package: str | Sequence[str], extra: str, needed_for: str) -> EdgekdError:
    """The error for optional packages that are not installed; names the install command."""
    names = [package] if isinstance(package, str) else package
    what = "the package " if len(names) == 1 else "the packages "
    return EdgekdError(
        f"{needed_for} needs {what}{', '.join(map(repr, names))}",
        found="not installed",
        todo=f'pip install "edgekd[{extra}]"',
    )


class CorruptImage(EdgekdError):
    """An image that cannot be decoded. Callers count these and go on, up to the recipe's limit."""
