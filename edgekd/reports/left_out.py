"""The images that a command leaves out because they cannot be read, on the screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from edgekd.errors import capped


def show(corrupt: Sequence[tuple[str, str]], console: Console) -> None:
    """One line for each of the first, (name, reason), and how many more there are."""
    for line in capped([f"[yellow]corrupt, left out:[/] {escape(f'{name}: {reason}')}" for name, reason in corrupt]):
        console.print(line, highlight=False, soft_wrap=True)
