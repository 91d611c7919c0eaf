"""python -m edgekd.evaluate: accuracy and calibration of a bundle on a set of images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from edgekd import command
from edgekd import recipe as recipes
from edgekd.bundle import Bundle
from edgekd.classifier import session_of
from edgekd.data.chosen import choose, with_data
from edgekd.data.dataset import SPLITS, Dataset, groups_of
from edgekd.errors import EdgekdError
from edgekd.recipe import Recipe
from edgekd.reports import screen
from edgekd.runtimes import Session, find

EXAMPLE = """  python -m edgekd.evaluate                                  # runs/default on the test split of its own data
  python -m edgekd.evaluate models/mri4-mobilenetv2 --data DIR/manifest.csv --format tflite-int8"""
BATCH = 64
MEASURING = ("safetensors", "scipy", "sklearn", "matplotlib")  # packages, as imported


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate a bundle and write evaluation.json, class_labels.json and pictures."""
    arguments = command.parser("evaluate", "Accuracy and calibration of a bundle on a set of images.", EXAMPLE)
    add = arguments.add_argument
    add("bundle", nargs="?", default="runs/default", help="a bundle (default: runs/default)")
    add("--data", metavar="PATH", help="images to evaluate on (default: those of the bundle's recipe)")
    add("--split", choices=[*SPLITS, "all"], help="default: test where there is one, else all images")
    add("--format", metavar="NAME", help="evaluate this artefact of the bundle instead of its float network")
    add("--tta", action="store_true", help="average the plain view and four light changes of it")
    add("--out", metavar="DIR", help="where the results go (default: runs/evaluation/NAME)")
    args = arguments.parse_args(argv)
    bundle = Bundle.open(args.bundle)
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    if args.data:
        recipe = with_data(recipe, args.data)
    command.need("evaluate", "export" if args.format else "train", recipe.data, packages(args.format))
    console = screen.console()
    dataset = choose(recipe, bundle, args.split, own_data=not args.data)
    out = Path(args.out or f"runs/evaluation/{bundle.folder.resolve().name}")
    with session_of(bundle, args.format) as session:
        write(session, bundle, dataset, recipe, args.tta, out, console)


def packages(format: str | None) -> tuple[str, ...] | None:
    """What evaluating needs: the runtime of an artefact beside scores and pictures; None, all of `train`, for the network."""
    return (*find(format)[0].packages, *MEASURING) if format else None


def write(
    session: Session, bundle: Bundle, dataset: Dataset, recipe: Recipe, tta: bool, out: Path, console: Console
) -> None:
    """Run the bundle's network on the images; show and write what was measured."""
    from edgekd.data.pixels import Pixels
    from edgekd.data.tta import tta_views
    from edgekd.files import write_atomic
    from edgekd.measures.evaluation import evaluate
    from edgekd.reports import evaluation, left_out, pictures

    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    left_out.show(pixels.corrupt, console)
    parts = []
    with screen.progress(console) as bar:
        for begin in bar.track(range(0, len(pixels.array), BATCH), description="evaluating"):
            batch = np.ascontiguousarray(pixels.array[begin : begin + BATCH])
            views = tta_views(batch) if tta else [batch]
            parts.append(np.mean([session.probs(view) for view in views], axis=0))
    probs = np.concatenate(parts)
    if probs.shape[1] != len(bundle.manifest.label_names):
        expected = f"{len(bundle.manifest.label_names)} probabilities for an image"
        raise EdgekdError(f"bundle {bundle.folder}", expected, str(probs.shape[1]), "export it again")
    samples = pixels.dataset.samples
    found = evaluate(
        probs,
        np.array([s.label for s in samples]),
        bundle.manifest.label_names,
        groups=groups_of(samples),
    )
    evaluation.show(found, console)
    found.save(out / "evaluation.json")
    labels = {str(i): name for i, name in enumerate(bundle.manifest.label_names)}
    write_atomic(out / "class_labels.json", json.dumps(labels, indent=2, ensure_ascii=False) + "\n")
    pictures.confusion(found, out / "confusion.png")
    pictures.reliability(found, out / "reliability.png")
    console.print(f"written to {out}", highlight=False)


if __name__ == "__main__":
    command.run(main)
