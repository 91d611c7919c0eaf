"""python -m edgekd.evaluate: accuracy and calibration of a bundle on a set of images; or how far its explanations go."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from rich.console import Console

from edgekd import command, explainers
from edgekd import recipe as recipes
from edgekd.bundle import Bundle, ConformalRecord
from edgekd.classifier import identity_of, need_heatmap, session_of
from edgekd.data.chosen import choose, with_data
from edgekd.data.dataset import SPLITS, Dataset, Sample, groups_of, region
from edgekd.errors import EdgekdError
from edgekd.explainers import Method
from edgekd.recipe import Recipe
from edgekd.reports import screen
from edgekd.runtimes import Session, find

if TYPE_CHECKING:
    from edgekd.measures.explanations import Picture

Sampled: TypeAlias = "tuple[Sample, Picture]"
EXAMPLE = """  python -m edgekd.evaluate                                  # runs/default on the test split of its own data
  python -m edgekd.evaluate models/mri4-mobilenetv2 --data DIR/manifest.csv --format tflite-int8
  python -m edgekd.evaluate models/mri4-mobilenetv2 --data DIR/manifest.csv --format tflite-int8 --faithfulness"""
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
    add(
        "--faithfulness",
        action="store_true",
        help="measure explanations instead: of the float network, and of --format",
    )
    methods = ", ".join(explainers.names())
    add("--method", action="append", metavar="NAME[,NAME…]", help=f"what explains: {methods} (default: occlusion)")
    add("--images", type=int, default=200, metavar="N", help="explain N images, evenly over the split (default: 200)")
    add("--resume", action="store_true", help="go on with an interrupted run of --faithfulness")
    args = arguments.parse_args(argv)
    if not args.faithfulness and (args.method or args.resume):
        raise EdgekdError("--method and --resume", "--faithfulness with them", "none")
    if args.images < 1:
        raise EdgekdError("--images", "1 or more", str(args.images))
    chosen = explainers.chosen(args.method or ["occlusion"]) if args.faithfulness else []
    bundle = Bundle.open(args.bundle)
    if args.format and any(method.reads_heatmap for method in chosen):
        need_heatmap(bundle, args.format)
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    if args.data:
        recipe = with_data(recipe, args.data)
    command.need("evaluate", "export" if args.format else "train", recipe.data, packages(args.format))
    console = screen.console()
    dataset = choose(recipe, bundle, args.split, own_data=not args.data)
    out = Path(args.out or f"runs/evaluation/{bundle.folder.resolve().name}")
    if args.faithfulness:
        images = _images(bundle, dataset, recipe, args.images, console)
        _explanations(bundle, args.format, chosen, images, out, args.resume, console)
        return
    conformal = bundle.manifest.artefacts[args.format].conformal if args.format and not args.tta else None
    with session_of(bundle, args.format) as session:
        write(session, bundle, dataset, recipe, args.tta, out, console, conformal)


def packages(format: str | None) -> tuple[str, ...] | None:
    """What evaluating needs: the runtime of an artefact beside scores and pictures; None, all of `train`, for the network."""
    return (*find(format)[0].packages, *MEASURING) if format else None


def write(
    session: Session,
    bundle: Bundle,
    dataset: Dataset,
    recipe: Recipe,
    tta: bool,
    out: Path,
    console: Console,
    conformal: ConformalRecord | None = None,
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
        conformal=conformal,
    )
    evaluation.show(found, console)
    found.save(out / "evaluation.json")
    labels = {str(i): name for i, name in enumerate(bundle.manifest.label_names)}
    write_atomic(out / "class_labels.json", json.dumps(labels, indent=2, ensure_ascii=False) + "\n")
    pictures.confusion(found, out / "confusion.png")
    pictures.reliability(found, out / "reliability.png")
    console.print(f"written to {out}", highlight=False)


def _images(bundle: Bundle, dataset: Dataset, recipe: Recipe, count: int, console: Console) -> list[Sampled]:
    """At most `count` images, evenly over the set, with their true regions where these are known."""
    from edgekd.data.pixels import Pixels
    from edgekd.measures.explanations import Picture
    from edgekd.reports import left_out

    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    left_out.show(pixels.corrupt, console)
    samples = pixels.dataset.samples
    rows = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    return [
        (
            s,
            Picture(
                s.name, np.ascontiguousarray(pixels.array[row]), s.label, region(dataset, s, bundle.manifest.input)
            ),
        )
        for row, s in ((row, samples[row]) for row in rows)
    ]


def _explanations(
    bundle: Bundle,
    format: str | None,
    methods: Sequence[Method],
    images: Sequence[Sampled],
    out: Path,
    resume: bool,
    console: Console,
) -> None:
    """Measure explanations of the float network and of an artefact; show and write what was measured."""
    from edgekd.files import write_atomic
    from edgekd.measures import explanations, trust
    from edgekd.reports import faithfulness, pictures

    m, log = bundle.manifest, out / "faithfulness.jsonl"
    network = None
    if any(method.reads_network for method in methods):
        from edgekd.networks import from_bundle

        network = from_bundle(bundle)
    explaining = [explanations.Explainer(method, method.options(m.input), network) for method in methods]
    known = explanations.read(log) if resume else {}
    groups = groups_of(s for s, _ in images)
    with contextlib.ExitStack() as opened:
        subjects = [
            explanations.Subject(
                name, opened.enter_context(session_of(bundle, which, is_busy=True)), identity_of(bundle, which)
            )
            for name, which in {"float": None, format or "float": format}.items()
        ]
        bar = opened.enter_context(screen.progress(console))
        found = explanations.measure(subjects, explaining, [picture for _, picture in images], known)
        records = []
        write_atomic(log, "".join(record.model_dump_json() + "\n" for record in known.values()))
        with log.open("a", encoding="utf-8") as file:
            for part in bar.track(found, total=len(images), description="explaining"):
                records += part
                file.writelines(r.model_dump_json() + "\n" for r in part if r.key not in known)
                file.flush()
    by_name = None if groups is None else {s.name: group for (s, _), group in zip(images, groups, strict=True)}
    result = trust.summary(records, m.name, by_name)
    faithfulness.show(result, console)
    text = json.dumps(result.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    write_atomic(out / "faithfulness.json", text + "\n")
    pictures.faithfulness(result, out / "faithfulness.png")
    console.print(f"written to {out}", highlight=False)


if __name__ == "__main__":
    command.run(main)
