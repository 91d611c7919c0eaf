"""python -m edgekd.train: train a teacher with labels alone."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from edgekd import command
from edgekd.bundle import Bundle
from edgekd.reports import screen

EXAMPLE = """  python -m edgekd.train                                     # the default teacher on phantom data
  python -m edgekd.train --data DIR --set teacher.network=vit_base_patch16_224 --set teacher.pretrained=true
  python -m edgekd.distill --data DIR --set teacher.bundle=runs/default/teacher --out runs/student"""


def main(argv: Sequence[str] | None = None) -> None:
    """Train the recipe's teacher into `OUT/teacher`."""
    arguments = command.parser("train", "Train the recipe's teacher with labels alone.", EXAMPLE)
    command.add_recipe_arguments(arguments)
    args = arguments.parse_args(argv)
    recipe, folder = command.read_recipe(args)
    command.need("train", "train", recipe.data)
    command.confirm_folder(folder / "teacher", args.resume, args.overwrite)

    from edgekd.training import distributed, run, stages

    stages.check(recipe)
    processes = distributed.start()
    console = screen.console(quiet=not processes.is_first)
    if args.overwrite:
        command.clear(folder / "teacher", processes.is_first)
    processes.barrier()
    teacher = stages.teacher(run.prepare(recipe, folder, processes, console), folder / "teacher")
    show(teacher, console)
    distributed.stop()


def show(teacher: Bundle, console: Console) -> None:
    """The teacher's cost and its result on the test split."""
    from edgekd.measures.evaluation import Evaluation
    from edgekd.reports import evaluation

    n = teacher.manifest.network
    console.print(
        f"{n.network}: {n.parameters:,} parameters, {n.macs / 1e6:,.1f} M multiply-accumulates", highlight=False
    )
    evaluation.show(Evaluation.load(teacher.file("evaluation/test.json")), console)
    console.print(f"teacher: {teacher.folder}\nnext: python -m edgekd.distill --set teacher.bundle={teacher.folder}")


if __name__ == "__main__":
    command.run(main)
