"""What every command shares: common arguments, one-line errors, exit codes, and one kind of help text."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edgekd import extras
from edgekd import recipe as recipes
from edgekd.errors import EdgekdError
from edgekd.recipe import DataRecipe, Recipe

INTERRUPTED = 130  # what a shell reports after Ctrl-C
INTERNAL = 70  # EX_SOFTWARE
Main = Callable[[Sequence[str] | None], int | None]


def parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """An argument parser whose help ends with an example."""
    return argparse.ArgumentParser(
        prog=f"python -m edgekd.{command}" if command else "edgekd",
        description=description,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_recipe_arguments(arguments: argparse.ArgumentParser) -> None:
    """`--recipe`, `--data`, `--out`, `--set`, `--resume` and `--overwrite` of the commands that train."""
    add = arguments.add_argument
    add(
        "--recipe",
        metavar="FILE",
        help="a recipe in TOML, its name if it comes with edgekd, or a bundle's manifest.json (default: phantom data)",
    )
    add(
        "--data",
        metavar="PATH",
        help="an image folder, CSV, .mat, DICOM or NIfTI set; replaces the recipe's [data] path",
    )
    add("--out", metavar="DIR", help="where the run goes (default: runs/NAME of the recipe)")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override one value: --set student.width=0.75")
    add("--resume", action="store_true", help="continue an interrupted run, or skip what is finished")
    add("--overwrite", action="store_true", help="start anew although the folder holds a run")


def read_recipe(arguments: argparse.Namespace) -> tuple[Recipe, Path]:
    """The recipe that the arguments of `add_recipe_arguments` ask for, and the run's folder."""
    recipe = recipes.load(arguments.recipe, arguments.set, own_images=bool(arguments.data))
    if arguments.data:
        recipe = on_data(recipe, arguments.data, arguments.set)
    return recipe, Path(arguments.out or f"runs/{recipe.name}")


def need(name: str, extra: str, data: DataRecipe | None = None, packages: Iterable[str] | None = None) -> None:
    """Refuse to start the command `name` without `packages`, all of its extra by default, and those that read `data`.

    Raises: EdgekdError that names all that are missing, and the command that installs them.
    """
    from edgekd.data import sources

    wanted = extras.EXTRAS[extra] if packages is None else packages
    extras.need(f"the command {name}", extra, (*wanted, *(sources.packages(data.source) if data else ())))


def on_data(recipe: Recipe, data: str, settings: Sequence[str]) -> Recipe:
    """The recipe on the images at `data`; what the command line sets of their options holds whatever the recipe's were."""
    from edgekd.data.chosen import with_data

    own = [setting for setting in settings if setting.startswith(("data.options.", "data.options="))]
    return recipes.overridden(with_data(recipe, data), own)


def given(arguments: argparse.Namespace, *names: str) -> str:
    """What was given of the arguments `names`, as one types it: ` --recipe FILE --set seed=1`, or nothing."""
    words = []
    for name in names:
        value = getattr(arguments, name)
        for one in value if isinstance(value, list) else [value] if value else []:
            words += [f"--{name}", str(one)]
    return "".join(f" {shlex.quote(word)}" for word in words)


def run(main: Main) -> NoReturn:
    """Run a command and exit: 0 done, 2 a problem the user can mend, 130 interrupted, 70 a fault of edgekd itself.

    EDGEKD_DEBUG=1 shows tracebacks.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    debug = bool(os.environ.get("EDGEKD_DEBUG"))
    try:
        code = main(None) or 0
    except EdgekdError as e:
        if debug:
            raise
        print(f"error: {e}", file=sys.stderr)
        code = e.exit_code
    except KeyboardInterrupt:
        print(
            "\ninterrupted; what was finished is kept. The same command goes on, with --resume where it has that.",
            file=sys.stderr,
        )
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as e:
        if debug:
            raise
        code = _report(e)
    sys.exit(code)


def _report(error: Exception) -> int:
    """Print what no command foresaw; its exit code."""
    found = extras.explained(error) if isinstance(error, ImportError) else None
    if found:
        print(f"error: {found}", file=sys.stderr)
        return found.exit_code
    todo = "run again with EDGEKD_DEBUG=1"
    print(f"internal error: {type(error).__name__}: {error}\n  to do: {todo}", file=sys.stderr)
    return INTERNAL


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def confirm_folder(folder: Path, resume: bool, overwrite: bool) -> None:
    """Refuse to mix a new run into a folder that holds one.

    Raises: EdgekdError unless the folder is new, or `resume` or `overwrite` says what to do.
    """
    if resume and overwrite:
        raise EdgekdError("--resume and --overwrite", "one of them", "both")
    if not resume and not overwrite and folder.exists() and any(folder.iterdir()):
        todo = "--resume to continue it, --overwrite to start anew, or --out DIR for another folder"
        raise EdgekdError(str(folder), "a new or empty folder", "it holds a run already", todo)
