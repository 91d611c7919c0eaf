"""python -m edgekd.evaluate: accuracy of a bundle on a set of images; what its temperatures do; how far explanations go."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from edgekd import command, explainers
from edgekd import recipe as recipes
from edgekd.bundle import Bundle
from edgekd.classifier import need_heatmap, session_of
from edgekd.data.chosen import choose, with_data
from edgekd.data.dataset import SPLITS
from edgekd.errors import EdgekdError
from edgekd.reports import screen
from edgekd.runtimes import find

EXAMPLE = """  python -m edgekd.evaluate                                  # runs/default on the test split of its own data
  python -m edgekd.evaluate models/mri4p-mobilenetv2 --data DIR/manifest.csv --format tflite-int8
  python -m edgekd.evaluate models/mri4p-mobilenetv2 --data DIR/manifest.csv --format tflite-int8 --faithfulness
  python -m edgekd.evaluate runs/a --beside runs/b --calibration   # reliability before and after temperatures, as a page
  python -m edgekd.evaluate --log edgekd-field-log.csv             # answers marked right or wrong in the Android app"""
BUNDLE = "runs/default"
IMAGES = ("data", "split", "format", "tta", "out", "faithfulness", "calibration")  # what a log has no use for
MEASURING = ("safetensors", "scipy", "sklearn", "matplotlib")  # packages, as imported


def main(argv: Sequence[str] | None = None) -> None:
    """Evaluate a bundle and write evaluation.json, class_labels.json and pictures."""
    arguments = command.parser("evaluate", "Accuracy and calibration of a bundle on a set of images.", EXAMPLE)
    add = arguments.add_argument
    add("bundle", nargs="?", help=f"a bundle (default: {BUNDLE})")
    add("--data", metavar="PATH", help="images to evaluate on (default: those of the bundle's recipe)")
    add("--split", choices=[*SPLITS, "all"], help="default: test where there is one, else all images")
    add("--format", metavar="NAME", help="evaluate this artefact of the bundle instead of its float network")
    add("--tta", action="store_true", help="average the plain view and four light changes of it")
    add("--out", metavar="DIR", help="where the results go (default: runs/evaluation/NAME)")
    add(
        "--faithfulness",
        action="store_true",
        help="measure explanations instead: of the float network, and of --format",
    )
    add(
        "--calibration",
        action="store_true",
        help="measure instead what temperatures do: of teacher, control, student and files, on the test split of their run",
    )
    add("--beside", metavar="BUNDLE", help="another run to show with --calibration")
    add(
        "--log", metavar="FILE", help="measure instead answers that were marked on a phone: the CSV that the app shares"
    )
    methods = ", ".join(explainers.names())
    add("--method", action="append", metavar="NAME[,NAME…]", help=f"what explains: {methods} (default: occlusion)")
    add("--images", type=int, default=200, metavar="N", help="explain N images, evenly over the split (default: 200)")
    random = "compare maps, with --faithfulness, with those of the network with shuffled weights too (needs torch)"
    add("--sanity", action="store_true", help=random)
    add("--resume", action="store_true", help="go on with an interrupted run of --faithfulness")
    args = arguments.parse_args(argv)
    if not args.faithfulness and (args.method or args.resume or args.sanity):
        raise EdgekdError("--method, --sanity and --resume", "--faithfulness with them", "none")
    if args.beside and not args.calibration:
        raise EdgekdError("--beside", "--calibration with it", "none")
    if args.images < 1:
        raise EdgekdError("--images", "1 or more", str(args.images))
    if args.log:
        show_log(args)
        return
    chosen = explainers.chosen(args.method or ["occlusion"]) if args.faithfulness else []
    bundle = Bundle.open(args.bundle or BUNDLE)
    out = Path(args.out or f"runs/evaluation/{bundle.folder.resolve().name}")
    if args.calibration:
        command.need("evaluate", "export", None, (*MEASURING, "jinja2"))
        from edgekd.evaluating import temperatures

        beside = [Bundle.open(args.beside)] if args.beside else []
        temperatures.write([bundle, *beside], out, screen.console())
        return
    if args.format and any(method.reads_heatmap for method in chosen):
        need_heatmap(bundle, args.format)
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    if args.data:
        recipe = with_data(recipe, args.data)
    command.need("evaluate", "export" if args.format else "train", recipe.data, packages(args.format))
    if args.sanity:
        command.need("evaluate", "train")
    console = screen.console()
    dataset = choose(recipe, bundle, args.split, own_data=not args.data)
    if args.faithfulness:
        from edgekd.evaluating import explanations

        images = explanations.images_of(bundle, dataset, recipe, args.images, console)
        asked = explanations.Asked(chosen, args.format, args.resume, args.sanity)
        explanations.write(bundle, asked, images, out, console)
        return
    from edgekd.evaluating import scores

    conformal = bundle.manifest.artefacts[args.format].conformal if args.format and not args.tta else None
    with session_of(bundle, args.format) as session:
        scores.write(session, bundle, dataset, recipe, args.tta, out, console, conformal)


def show_log(args: argparse.Namespace) -> None:
    """Measure a field log, which needs neither bundle nor images.

    Raises: EdgekdError for arguments that choose images or what is measured of them.
    """
    given = [f"--{name}" for name in IMAGES if getattr(args, name)]
    if args.bundle or given:
        found = ", ".join([args.bundle or "", *given]).strip(", ")
        raise EdgekdError("--log", "no bundle and no argument about images with it", found)
    command.need("evaluate", "export", None, ("scipy",))
    from edgekd.evaluating import field_log

    field_log.show(args.log, screen.console())


def packages(format: str | None) -> tuple[str, ...] | None:
    """What evaluating needs: the runtime of an artefact beside scores and pictures; None, all of `train`, for the network."""
    return (*find(format)[0].packages, *MEASURING) if format else None


if __name__ == "__main__":
    command.run(main)
