"""What every command shares: common arguments, one-line errors, exit codes, and one kind of help text."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from edgekd import recipe as recipes
from edgekd.errors import EdgekdError
from edgekd.recipe import Recipe

INTERRUPTED = 130  # what a shell reports after Ctrl-C
INTERNAL = 70  # EX_SOFTWARE


def parser(command: str, description: str, example: str) -> argparse.ArgumentParser:
    """An argument parser whose help ends with an example."""
    return argparse.ArgumentParser(
        prog=f"python -m edgekd.{command}",
        description=description,
        epilog=f"example:\n{example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_recipe_arguments(arguments: argparse.ArgumentParser) -> None:
    """`--recipe`, `--data`, `--out`, `--set`, `--resume` and `--overwrite` of the commands that train."""
    add = arguments.add_argument
    add("--recipe", metavar="FILE", help="a recipe in TOML, or a bundle's manifest.json (default: phantom data)")
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
    recipe = recipes.load(arguments.recipe, arguments.set)
    if arguments.data:
        from edgekd.data.chosen import with_data

        recipe = with_data(recipe, arguments.data)
    return recipe, Path(arguments.out or f"runs/{recipe.name}")


def run(main: Callable[[Sequence[str] | None], int | None]) -> NoReturn:
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
        print("\ninterrupted; what was finished is kept. Continue with --resume.", file=sys.stderr)
        code = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as e:
        if debug:
            raise
        print(f"internal error: {type(e).__name__}: {e}\n  to do: run again with EDGEKD_DEBUG=1", file=sys.stderr)
        code = INTERNAL
    sys.exit(code)


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


RUN_PARTS = (
    "manifest.json",
    "weights.safetensors",
    "README.md",
    "log.csv",
    "curves.png",
    "comparison.json",
    "comparison.png",
)
RUN_FOLDERS = ("training", "evaluation", "golden", "int8", "artefacts", "teacher", "control")


def clear(folder: Path, is_first: bool) -> None:
    """Remove what a run wrote into `folder`, and nothing else; only the first process removes."""
    if not is_first:
        return
    for name in RUN_PARTS:
        (folder / name).unlink(missing_ok=True)
    for name in RUN_FOLDERS:
        if (folder / name).is_dir() and not (folder / name).is_symlink():
            shutil.rmtree(folder / name)
