"""python -m edgekd.train: train a teacher with labels alone."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edgekd import command
from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.recipe import Recipe
from edgekd.reports import screen

EXAMPLE = """  python -m edgekd.train                                     # the default teacher on phantom data
  python -m edgekd.train --data DIR --set teacher.network=vit_base_patch16_224 --set teacher.pretrained=true
  python -m edgekd.train --recipe efficientnetv2s-stages --data DIR --results
  python -m edgekd.distill --resume                         # goes on with it; so does the last line that this command prints"""


def main(argv: Sequence[str] | None = None) -> None:
    """Train the recipe's teacher into `OUT/teacher`."""
    arguments = command.parser("train", "Train the recipe's teacher with labels alone.", EXAMPLE)
    command.add_recipe_arguments(arguments)
    arguments.add_argument(
        "--results",
        action="store_true",
        help="also write each stage's weights, the test with five views an image, and one picture of it all",
    )
    args = arguments.parse_args(argv)
    recipe, out = command.read_recipe(args)
    folder = out / "teacher"
    command.need("train", "train", recipe.data)
    confirm_training(recipe, args.results)
    command.confirm_folder(folder, args.resume, args.overwrite)

    from edgekd.training import check, distributed, folders, results, run, teachers

    parts = folders.of_teacher(recipe, folder)
    check.teacher(recipe)
    processes = distributed.start()
    console = screen.console(quiet=not processes.is_first)
    if args.overwrite and processes.is_first:
        folders.clear(folder, parts)
    processes.barrier()
    prepared = run.prepare(recipe, out, processes, console)
    teacher = teachers.teacher(prepared, folder)
    show(teacher, console)
    if args.results and processes.is_first:
        results.show(results.write(teachers.seen_by(prepared, recipe.teacher), teacher), console)
    console.print(next_command(args, out), highlight=False, markup=False, soft_wrap=True)
    distributed.stop()


def confirm_training(recipe: Recipe, with_results: bool) -> None:
    """Refuse a recipe whose teacher is trained already, or of whose training there are no results to write.

    Raises: EdgekdError.
    """
    if recipe.teacher.bundle:
        found = f"teacher.bundle = {recipe.teacher.bundle}, which is read as it is"
        todo = "python -m edgekd.distill, or --set teacher.bundle= to train one"
        raise EdgekdError("train", "a recipe with a teacher to train", found, todo)
    if with_results and (recipe.teacher.members or recipe.teacher.checkpoint):
        found = "a committee" if recipe.teacher.members else f"teacher.checkpoint = {recipe.teacher.checkpoint}"
        raise EdgekdError("--results", "one teacher that is trained here", found, "leave --results out")


def next_command(args: argparse.Namespace, out: Path) -> str:
    """How to go on with this teacher: in the same run, or, where an earlier teacher's student is in the way, anew."""
    if not (out / "manifest.json").exists() and not (out / "training").exists():
        return f"next: python -m edgekd.distill{command.given(args, 'recipe', 'data', 'out', 'set')} --resume"
    # With a finished teacher the settings that made it would decide nothing.
    args = argparse.Namespace(
        **vars(args) | {"set": [s for s in args.set if not s.startswith(("teacher.", "teacher="))]}
    )
    bundle = shlex.quote(f"teacher.bundle={out / 'teacher'}")
    return f"next: python -m edgekd.distill{command.given(args, 'recipe', 'data', 'out', 'set')} --set {bundle} --overwrite"


def show(teacher: Bundle, console: Console) -> None:
    """The teacher's cost and its result on the test split."""
    from edgekd.measures.evaluation import Evaluation
    from edgekd.reports import evaluation

    n = teacher.manifest.network
    console.print(
        f"{n.network}: {n.parameters:,} parameters, {n.macs / 1e6:,.1f} M multiply-accumulates", highlight=False
    )
    evaluation.show(Evaluation.load(teacher.file("evaluation/test.json")), console)
    console.print(f"teacher: {teacher.folder}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    command.run(main)
