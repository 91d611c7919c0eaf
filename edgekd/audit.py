"""python -m edgekd.audit: look at a dataset before any accuracy is believed: copies, leaks, damage, balance."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgekd import command
from edgekd import recipe as recipes
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.recipe import Recipe
from edgekd.reports import screen

if TYPE_CHECKING:
    from edgekd.auditing.listing import Listing
    from edgekd.auditing.report import Audit

LEAKS = 1  # exit code of --strict
EXAMPLE = """  python -m edgekd.audit DIR                 # Training/CLASS/… and Testing/CLASS/…, or any folder of images
  python -m edgekd.audit DIR/manifest.csv --strict --set audit.duplicate=0.95"""


def main(argv: Sequence[str] | None = None) -> int:
    """Audit a set; write audit.json, audit.html and split.csv; 1 if --strict and there is leakage."""
    text = (
        "Find copies (also mirrored, turned, edited, squeezed), leaks between splits, damaged files. Deletes nothing."
    )
    arguments = command.parser("audit", text, EXAMPLE)
    add = arguments.add_argument
    add(
        "data",
        nargs="?",
        default="",
        help="a folder of images, a CSV, .mat, DICOM or NIfTI set (default: the recipe's, else phantom data)",
    )
    add("--recipe", metavar="FILE", help="a recipe in TOML, whose [audit] sets the thresholds and [data] the set")
    add("--out", metavar="DIR", help="where the report goes (default: runs/audit/NAME)")
    add("--strict", action="store_true", help=f"exit with {LEAKS} if a copy or a group lies in two splits")
    text = "write groups of alike images into split.csv, however long their chains (an estimated group is no patient)"
    add("--estimate-groups", action="store_true", help=text)
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override one value: --set audit.similar=0.85")
    args = arguments.parse_args(argv)
    asked = ["audit.estimate_groups=always"] if args.estimate_groups else []
    recipe = recipes.load(args.recipe, args.set + asked)
    command.need("audit", "audit")
    console = screen.console()
    data = args.data or recipe.data.path or recipe.data.source
    out = Path(args.out or f"runs/audit/{_name(data)}")
    confirm_out(out)
    started = time.perf_counter()
    listing = list_images(data, recipe, args.set)
    audit = run(listing, data, recipe, out, console)
    show(audit, out, console, time.perf_counter() - started)
    console.print(next_command(audit, listing, out, args), highlight=False, markup=False, soft_wrap=True)
    return LEAKS if args.strict and audit.leaks_at_all else 0


def _name(data: str) -> str:
    path = Path(data).resolve()
    return path.name if not path.suffix else f"{path.parent.name}-{path.stem}"


def confirm_out(out: Path) -> None:
    """Refuse to overwrite a split.csv that no audit wrote.

    Raises: EdgekdError.
    """
    if (out / "split.csv").exists() and not (out / "audit.json").exists():
        raise EdgekdError(str(out / "split.csv"), "a file of an earlier audit, or none", "another file", "--out DIR")


def list_images(data: str, recipe: Recipe, settings: Sequence[str]) -> Listing:
    """What is to be audited: a folder leniently, anything else through its source; `settings` are the command line's.

    Raises: EdgekdError if there are no images at all, or the source cannot be read as a whole.
    """
    from edgekd.auditing import listing
    from edgekd.data import sources

    path = Path(data)
    try:
        is_recipes = data == recipe.data.source and not recipe.data.path  # one that no path leads to
        source = recipe.data.source if is_recipes else sources.detect(data)
    except EdgekdError:  # a folder in such a state that no source wants it is just what an audit is for
        if not path.is_dir():
            raise
        source = "folder"
    if source == "folder":
        found = listing.of_folder(path)
    else:
        chosen = recipe.data if is_recipes else command.on_data(recipe, data, settings).data
        root = (chosen.options.get("root") or str(path.parent)) if source == "csv" else ""
        found = listing.of_dataset(sources.read(chosen), root, takes_split=source == "union")
    if not found.entries and not found.troubles:
        raise EdgekdError(f"data {data}", "images", f"none ({found.ignored} other files)")
    return listing.with_unlabelled(found, recipe.data.unlabelled) if recipe.data.unlabelled else found


def run(listing: Listing, data: str, recipe: Recipe, out: Path, console: Console) -> Audit:
    """Read, match and judge; write the three files."""
    from edgekd.auditing import judging, matching, page, reading
    from edgekd.auditing.listing import printable

    seconds, begun = {}, time.perf_counter()
    with screen.progress(console) as bar:
        task = bar.add_task("reading", total=len(listing.entries))
        facts = reading.read(listing, lambda done, total: bar.update(task, completed=done, total=total))
        seconds["reading"] = round(time.perf_counter() - begun, 2)
        begun = time.perf_counter()
        task = bar.add_task("comparing", total=None)
        matches = matching.match(facts, recipe.audit, lambda done, total: bar.update(task, completed=done, total=total))
        seconds["matching"] = round(time.perf_counter() - begun, 2)
    audit, split = judging.judge(listing, matches, printable(data), "split.csv", seconds)
    if split:
        write_atomic(out / "split.csv", split)
    page.write(audit, listing, out)
    audit.save(out)
    return audit


def show(audit: Audit, out: Path, console: Console, seconds: float) -> None:
    """The summary on the screen: the worst first."""
    from edgekd.reports.audit import show as table

    table(audit, console)
    console.print(f"{audit.counts.listed} images in {seconds:.1f} s; written to {out}", highlight=False, markup=False)
    console.print(f"look at {(out / 'audit.html').resolve().as_uri()}", highlight=False, markup=False, soft_wrap=True)


def next_command(audit: Audit, listing: Listing, out: Path, args: argparse.Namespace) -> str:
    """How to train on the clean split, or on the images as they are where there is none."""
    distill = f"next: python -m edgekd.distill{command.given(args, 'recipe', 'set')}"
    if not audit.clean.file:
        return distill + (f" --data {shlex.quote(args.data)}" if args.data else "")
    split = out / audit.clean.file
    if listing.takes_split:
        return f"{distill} --set {shlex.quote(f'data.options.split={split}')}"
    if out.resolve() == Path(listing.root).resolve():
        return f"{distill} --data {shlex.quote(str(split))}"
    values = {"source": "csv", "path": split, "options.root": listing.root}
    settings = (f"--set {shlex.quote(f'data.{key}={value}')}" for key, value in values.items())
    return f"{distill} {' '.join(settings)}"


if __name__ == "__main__":
    command.run(main)
