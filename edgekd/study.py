"""python -m edgekd.study: does teaching help on your data, and which kind? Variants over folds and seeds, in one table."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgekd import command
from edgekd.reports import screen

if TYPE_CHECKING:
    from edgekd.studies.plan import Cell
    from edgekd.studies.result import Result, RunRecord
    from edgekd.studies.schema import Study

ENGINES = ("here", "ray")
EXAMPLE = """  python -m edgekd.study benchmarks/studies/phantoms.toml          # again: only what is missing runs
  python -m edgekd.study STUDY.toml --out runs/studies/mine --table # what is there already, without training
  python -m edgekd.study compare runs/studies/phantoms runs/studies/mine"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a study to its table, or compare two."""
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv[:1] == ["compare"]:
        _compare(argv[1:])
    else:
        _study(argv)


def _compare(argv: list[str]) -> None:
    arguments = command.parser("study compare", "What changed from one study to another.", EXAMPLE)
    arguments.add_argument("before", metavar="A", help="a study's folder, or its study.json")
    arguments.add_argument("after", metavar="B", help="another")
    args = arguments.parse_args(argv)
    command.need("study compare", "train", packages=("scipy",))
    from edgekd.reports.study import show_comparison
    from edgekd.studies.comparison import compare
    from edgekd.studies.result import load

    before, after = load(args.before), load(args.after)
    show_comparison(compare(before, after), (before.study.name, after.study.name), screen.console())


def _study(argv: list[str]) -> None:
    args = _arguments().parse_args(argv)
    from edgekd.studies import plan, schema

    study = schema.load(args.study)
    cells = plan.cells(study)
    command.need("study", "train", cells[0].recipe.data)
    if args.engine == "ray":
        command.need("study", "cluster", packages=["ray"])
    out = Path(args.out or f"runs/studies/{study.name}")
    run(study, cells, out, screen.console(), trains=not args.table, engine=args.engine)


def _arguments() -> argparse.ArgumentParser:
    arguments = command.parser("study", "Variants of a recipe over folds and seeds, in one table.", EXAMPLE)
    arguments.add_argument("study", metavar="STUDY.toml", help="recipe, variants, folds and seeds; or compare A B")
    arguments.add_argument("--out", metavar="DIR", help="where runs and results go (default: runs/studies/NAME)")
    arguments.add_argument(
        "--engine",
        choices=ENGINES,
        default=ENGINES[0],
        help="one run after another here (default), or spread over the Ray cluster of RAY_ADDRESS, else this machine's cores",
    )
    arguments.add_argument("--table", action="store_true", help="train nothing; the table of what is there")
    return arguments


def run(
    study: Study, cells: Sequence[Cell], out: Path, console: Console, trains: bool = True, engine: str = "here"
) -> Result:
    """Run what is missing in `out`, and write and show the result there."""
    from edgekd.reports import study as report
    from edgekd.reports import study_page
    from edgekd.reports.study_progress import StudyProgress
    from edgekd.studies import cluster, result, running, table
    from edgekd.training import distributed

    running.check_cells(cells)
    with running.only_one(out):
        found = running.places(cells, out, distributed.start(), console)

        def keep(records: Sequence[RunRecord]) -> None:
            running.result(study, found, records).save(out / result.NAME)

        if trains:
            with StudyProgress(running.steps(found), console) as progress:
                if engine == "ray":
                    records = cluster.run_all(study, found, progress, keep)
                else:
                    records = running.run_all(found, progress, keep)
        else:
            records = running.records(found)
        made = table.with_table(running.result(study, found, records))
        made.save(out / result.NAME)
        study_page.write(made, out)
    report.show(made, console)
    console.print(f"written to {out / result.NAME} and {out / study_page.NAME}", highlight=False, soft_wrap=True)
    return made


if __name__ == "__main__":
    command.run(main)
