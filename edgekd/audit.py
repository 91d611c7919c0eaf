"""python -m edgekd.audit: look at a dataset before any accuracy is believed: copies, leaks, damage, balance."""

from __future__ import annotations

import argparse
import shlex
import time
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from edgekd import command
from edgekd import recipe as recipes
from edgekd.errors import EdgekdError, missing_package
from edgekd.files import write_atomic
from edgekd.recipe import DataRecipe, Recipe

if TYPE_CHECKING:
    from edgekd.auditing.listing import Listing
    from edgekd.auditing.report import Audit

LEAKS = 1  # exit code of --strict
EXAMPLE = """  python -m edgekd.audit DIR                 # Training/CLASS/… and Testing/CLASS/…, or any folder of images
  python -m edgekd.audit DIR/manifest.csv --strict --set audit.duplicate=0.95"""


def main(argv: Sequence[str] | None = None) -> int:
    """Audit a set; write audit.json, audit.html and split.csv; 1 if --strict and there is leakage."""
    text = "Find copies (also mirrored, turned, edited, squeezed), leaks between sides, damaged files. Deletes nothing."
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
    add("--strict", action="store_true", help=f"exit with {LEAKS} if a copy or a group lies on two sides")
    add("--set", metavar="KEY=VALUE", action="append", default=[], help="override one value: --set audit.similar=0.85")
    args = arguments.parse_args(argv)
    recipe = recipes.load(args.recipe, args.set)
    confirm_packages()
    console = Console()
    data = args.data or recipe.data.path or recipe.data.source
    out = Path(args.out or f"runs/audit/{_name(data)}")
    confirm_out(out)
    started = time.perf_counter()
    listing = list_images(data, recipe.data)
    audit = run(listing, data, recipe, out, console)
    show(audit, out, console, time.perf_counter() - started)
    console.print(next_command(audit, listing, out, args), highlight=False, markup=False, soft_wrap=True)
    return LEAKS if args.strict and audit.leaks_at_all else 0


def _name(data: str) -> str:
    path = Path(data).resolve()
    return path.name if not path.suffix else f"{path.parent.name}-{path.stem}"


def confirm_packages() -> None:
    """Ask before the images are read, not after.

    Raises: EdgekdError if a package of the extra `audit` is missing.
    """
    for package in ("scipy", "jinja2"):
        if find_spec(package) is None:
            raise missing_package(package, "audit", "the audit")


def confirm_out(out: Path) -> None:
    """Refuse to overwrite a split.csv that no audit wrote.

    Raises: EdgekdError.
    """
    if (out / "split.csv").exists() and not (out / "audit.json").exists():
        raise EdgekdError(str(out / "split.csv"), "a file of an earlier audit, or none", "another file", "--out DIR")


def list_images(data: str, recipe: DataRecipe) -> Listing:
    """What is to be audited: a folder leniently, anything else through its source.

    Raises: EdgekdError if there are no images at all, or the source cannot be read as a whole.
    """
    from edgekd.auditing import listing
    from edgekd.data import sources

    path = Path(data)
    try:
        source = sources.detect(data)
    except EdgekdError:  # a folder in such a state that no source wants it is just what an audit is for
        if not path.is_dir():
            raise
        source = "folder"
    if source == "folder":
        found = listing.of_folder(path)
    else:
        options = recipe.options if source == recipe.source else {}
        dataset = sources.read(recipe.model_copy(update={"source": source, "path": data, "options": options}))
        root = (options.get("root") or str(path.parent)) if source == "csv" else ""
        found = listing.of_dataset(dataset, root)
    if not found.entries and not found.troubles:
        raise EdgekdError(f"data {data}", "images", f"none ({found.ignored} other files)")
    return found


def run(listing: Listing, data: str, recipe: Recipe, out: Path, console: Console) -> Audit:
    """Read, match and judge; write the three files."""
    from edgekd.auditing import judging, matching, page, reading
    from edgekd.auditing.listing import printable

    seconds, begun = {}, time.perf_counter()
    with Progress(console=console, transient=True) as bar:
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
    if out.resolve() == Path(listing.root).resolve():
        return f"{distill} --data {shlex.quote(str(split))}"
    values = {"source": "csv", "path": split, "options.root": listing.root}
    settings = (f"--set {shlex.quote(f'data.{key}={value}')}" for key, value in values.items())
    return f"{distill} {' '.join(settings)}"


if __name__ == "__main__":
    command.run(main)
