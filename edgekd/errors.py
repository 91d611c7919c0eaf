"""The one error that a person sees: where it happened, what was expected, what was found, what to do."""

from __future__ import annotations

import difflib
import importlib.util
from collections.abc import Iterable, Sequence


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


def several(where: str, problems: Sequence[str], todo: str = "", shown: int = 10) -> EdgekdError:
    """One error for all problems of a thing; the first `shown` are listed and the rest counted."""
    count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
    listed = "".join(f"\n  - {problem}" for problem in problems[:shown])
    more = f"\n  … and {len(problems) - shown} more" if len(problems) > shown else ""
    return EdgekdError(f"{where}: {count}{listed}{more}", todo=todo)


def missing_package(package: str, extra: str, needed_for: str) -> EdgekdError:
    """The error for an optional package that is not installed; names the install command."""
    return EdgekdError(
        f"{needed_for} needs the package {package!r}",
        found="it is not installed",
        todo=f'pip install "edgekd[{extra}]"',
    )


def require(packages: Sequence[str], extra: str, needed_for: str) -> None:
    """Find out before any work whether the packages of an extra can be imported.

    Raises: EdgekdError for the first that is not installed.
    """
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise missing_package(package, extra, needed_for)


class CorruptImage(EdgekdError):
    """An image that cannot be decoded. Callers count these and go on, up to the recipe's limit."""
