"""edgekd, or python -m edgekd: `edgekd COMMAND …` runs a command; alone it lists commands, recipes and devices."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from edgekd import __version__, command, named
from edgekd.errors import EdgekdError, nearest
from edgekd.reports import screen

EXAMPLE = """  edgekd distill --data DIR        # the same as python -m edgekd.distill --data DIR
  edgekd distill --help"""


def commands() -> dict[str, str]:
    """Command name -> what it does: the modules of this folder that say `python -m edgekd.NAME: …` of themselves."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        start = f"python -m edgekd.{path.stem}: "
        if text.startswith(start):
            found[path.stem] = text.removeprefix(start).splitlines()[0]
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """List what there is, or run the command that the first argument names.

    Raises: EdgekdError for an unknown command.
    """
    argv = sys.argv[1:] if argv is None else argv
    if argv and not argv[0].startswith("-"):
        return _main_of(argv[0])(argv[1:]) or 0
    arguments = command.parser("", "Distil, quantize, export, verify and measure small networks.", EXAMPLE)
    arguments.add_argument("command", nargs="?", help="what to run; without it, all there is is listed")
    arguments.add_argument("--version", action="version", version=f"edgekd {__version__}")
    arguments.parse_args(argv)
    overview(screen.console())
    return 0


def _main_of(name: str) -> command.Main:
    if name not in commands():
        raise EdgekdError(f"command {name!r}", "a command of edgekd", todo=nearest(name, commands()))
    return importlib.import_module(f"edgekd.{name}").main


def overview(console: Console) -> None:
    """The commands, and the recipes and devices that come along."""
    modules = {f"python -m edgekd.{name}": text for name, text in commands().items()}
    _show(f"edgekd {__version__}: python -m edgekd.COMMAND, or edgekd COMMAND", modules, console)
    _show("recipes, --recipe NAME", named.about("recipes"), console)
    _show("devices, benchmark --device NAME", named.about("devices"), console)


def _show(title: str, rows: Mapping[str, str], console: Console) -> None:
    table = screen.Table(title=title, title_justify="left", box=None, show_header=False)
    for row in rows.items():
        table.add_row(*row)
    console.print(table)


def run() -> None:
    """The console script `edgekd`."""
    command.run(main)


if __name__ == "__main__":
    run()
