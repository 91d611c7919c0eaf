"""python -m edgekd.distill: a teacher's knowledge into a small student, as a bundle."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from edgekd import command
from edgekd.bundle import Bundle
from edgekd.reports import screen

EXAMPLE = """  python -m edgekd.distill                                   # the default recipe on phantom data
  python -m edgekd.distill --recipe models/recipes/mri4p-mobilenetv2.toml --data DIR/manifest.csv --control
  torchrun --nproc-per-node=2 -m edgekd.distill --data DIR --set student.network=efficientnet_lite0"""


def main(argv: Sequence[str] | None = None) -> None:
    """Teacher (read or trained), then the control if asked for, then the student; ends with their comparison."""
    arguments = command.parser("distill", "Distil the recipe's teacher into its student.", EXAMPLE)
    command.add_recipe_arguments(arguments)
    arguments.add_argument(
        "--control", action="store_true", help="also train the student without the teacher, from the same start"
    )
    arguments.add_argument(
        "--qat",
        action=argparse.BooleanOptionalAction,
        help="the quantization-aware stage after the float one (default: as the recipe says, which is yes)",
    )
    args = arguments.parse_args(argv)
    recipe, folder = command.read_recipe(args)
    if args.qat is not None:
        recipe = recipe.model_copy(update={"qat": recipe.qat.model_copy(update={"enabled": args.qat})})
    command.need("distill", "train", recipe.data)
    command.confirm_folder(folder, args.resume, args.overwrite)

    from edgekd.training import check, comparison, distributed, finish, folders, qat, run, stages, teachers

    parts = folders.of_run(recipe, folder)
    check.recipe(recipe)
    if recipe.qat.enabled:
        qat.check(recipe)
    processes = distributed.start()
    console = screen.console(quiet=not processes.is_first)
    if args.overwrite and processes.is_first:
        folders.clear(folder, parts)
    processes.barrier()
    prepared = run.prepare(recipe, folder, processes, console)
    check.batches(prepared, args.control)
    made = {"teacher": teachers.teacher(prepared, folder / "teacher")}
    if args.control:
        made["control"] = stages.student(prepared, None, folder / "control")
    made["student"] = stages.student(prepared, made["teacher"], folder)
    if processes.is_first:
        comparison.write(made, folder, console)
    if recipe.qat.enabled:
        qat.quantize(prepared, finish.opened(processes, folder), made["teacher"])
    if processes.is_first:
        announce(made, folder, recipe.qat.enabled, console)
    distributed.stop()


def announce(made: dict[str, Bundle], folder: Path, quantized: bool, console: Console) -> None:
    """Where everything is, and the next command."""
    for role, bundle in made.items():
        console.print(f"{role + ':':8} {bundle.folder}", highlight=False)
    console.print(f"pictures: {folder / 'comparison.png'}, {folder / 'curves.png'}", highlight=False)
    verb = "export" if quantized else "evaluate"
    target = "" if folder == Path("runs/default") else f" {shlex.quote(str(folder))}"
    console.print(f"next:     python -m edgekd.{verb}{target}", highlight=False, markup=False, soft_wrap=True)


if __name__ == "__main__":
    command.run(main)
