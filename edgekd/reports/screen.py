"""The screen of a command: on a terminal as wide as it is; in a pipe or file neither wrapped nor cut, nor coloured."""

from __future__ import annotations

import sys
from copy import copy
from dataclasses import replace
from typing import Any

from rich import table
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.progress import Progress, ProgressColumn
from rich.text import Text

WIDE = 10**6  # characters: no line is longer


class Screen(Console):
    """rich's console, which leaves what is wider than the terminal for the terminal to wrap; rich would cut it off."""

    def print(self, *objects: object, **options: Any) -> None:
        """As rich's."""
        super().print(*objects, **{"crop": False, **options})


def console(quiet: bool = False) -> Console:
    """The console on stdout."""
    return Screen(quiet=quiet, width=None if sys.stdout.isatty() else WIDE)


def progress(console: Console, *columns: ProgressColumn) -> Progress:
    """A bar that goes when it is done; without a terminal there is none, nor rich's empty line in its place."""
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


class Table(table.Table):
    """rich's table, of which no character is lost where the terminal is narrow.

    Columns are folded down to their `min_width`, those with `no_wrap` stay whole, and what is still too wide is left for
    the terminal to wrap. Title and caption are lines of their own, not wrapped at the table's width.
    """

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        bare = copy(self)
        bare.title = bare.caption = None
        bare.columns = [replace(column, overflow="fold") for column in self.columns]
        if self.title:
            yield Text.from_markup(str(self.title), style="table.title")
        width = max(options.max_width, self._least_width(console, options))
        yield from super(Table, bare).__rich_console__(console, options.update(width=width))
        if self.caption:
            yield Text.from_markup(str(self.caption), style="table.caption")

    def _least_width(self, console: Console, options: ConsoleOptions) -> int:
        """The table's width when every column that may be folded is."""
        wide = options.update(width=WIDE)

        def width(*cells: RenderableType) -> int:
            return max((Measurement.get(console, wide, cell).maximum for cell in cells), default=0)

        foldable = (c for c in self.columns if not c.no_wrap)
        spared = (width(c.header, *c.cells) - (c.min_width or 1) for c in foldable)
        return width(self) - sum(max(0, s) for s in spared)
