"""python -m edgekd: lists the commands."""

from __future__ import annotations

import ast
from pathlib import Path

from rich.console import Console
from rich.table import Table

from edgekd import __version__


def commands() -> dict[str, str]:
    """Command name -> what it does: the modules of this folder that say `python -m edgekd.NAME: …` of themselves."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        start = f"python -m edgekd.{path.stem}: "
        if text.startswith(start):
            found[path.stem] = text.removeprefix(start).splitlines()[0]
    return found


def main() -> None:
    """Print the table of commands."""
    table = Table(title=f"edgekd {__version__}", title_justify="left", box=None, show_header=False)
    for name, text in commands().items():
        table.add_row(f"python -m edgekd.{name}", text)
    Console().print(table)


if __name__ == "__main__":
    main()
