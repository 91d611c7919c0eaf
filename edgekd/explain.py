"""python -m edgekd.explain: why a bundle answers pictures as it does, as maps laid over them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from edgekd import command, explainers
from edgekd import recipe as recipes
from edgekd.bundle import Bundle
from edgekd.classifier import Classifier, has_heatmap, need_heatmap
from edgekd.data.chosen import choose
from edgekd.data.dataset import Sample, region
from edgekd.data.folders import Walk, relative
from edgekd.errors import CorruptImage, several
from edgekd.explainers import Method
from edgekd.files import write_atomic
from edgekd.preprocess import EXTENSIONS, decode
from edgekd.recipe import Recipe
from edgekd.reports import explanation, heatmap, screen
from edgekd.reports.explanation import FLOAT, Row
from edgekd.runtimes import find

DEFAULT = "tflite-int8"
LOOKED_AT = 64  # images, for one that is answered rightly
EXAMPLE = """  python -m edgekd.explain                       # runs/default, on one of its own test images
  python -m edgekd.explain models/mri4p-mobilenetv2 picture.png
  python -m edgekd.explain models/mri4p-mobilenetv2 DIR --method occlusion,rise,lime --format tflite-int8"""


def main(argv: Sequence[str] | None = None) -> None:
    """Explain pictures; write overlays, explanations.json and explanations.html."""
    arguments = command.parser("explain", "Which pixels spoke for a bundle's answers to pictures.", EXAMPLE)
    add = arguments.add_argument
    add("bundle", nargs="?", default="runs/default", help="a bundle (default: runs/default)")
    own = "a test image of the bundle's own data, with its true region where that is known"
    add("pictures", nargs="*", metavar="IMAGE", help=f"pictures, or folders of them (default: {own})")
    methods = ", ".join(explainers.names())
    default = "the file's own heatmap, if it has one, and occlusion"
    add("--method", action="append", metavar="NAME[,NAME…]", help=f"{methods} (default: {default})")
    add("--format", metavar="NAME", help=f"the artefact to explain beside the float network (default: {DEFAULT})")
    add("--no-float", action="store_true", help="leave the float network out: half the time")
    add("--out", metavar="DIR", help="where the results go (default: runs/explanations/NAME)")
    args = arguments.parse_args(argv)
    explainers.chosen(args.method or [])  # a wrong name is named before any work
    format = args.format or DEFAULT
    bundle = Bundle.open(args.bundle)
    recipe = None if args.pictures else recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    needed = (*find(format)[0].packages, "safetensors", "jinja2", "matplotlib")
    command.need("explain", "export", recipe.data if recipe else None, needed)
    in_file = ["heatmap"] if has_heatmap(bundle, format) else []
    methods_ = explainers.chosen(args.method or [*in_file, "occlusion"])
    if any(method.reads_heatmap for method in methods_):
        need_heatmap(bundle, format)
    subjects = pictures(args.pictures)
    out = Path(args.out or f"runs/explanations/{bundle.folder.resolve().name}")
    console = screen.console()
    with contextlib.ExitStack() as opened:
        networks = {format: opened.enter_context(Classifier(bundle.folder, format))}
        if not args.no_float or any(method.reads_network for method in methods_):
            networks[FLOAT] = opened.enter_context(Classifier(bundle.folder, is_busy=True))
        if recipe:
            subjects = [of_its_own(bundle, recipe, networks[format])]
        with screen.progress(console) as bar:
            done = bar.track(explained(subjects, networks, methods_), total=len(subjects), description="explaining")
            rows = [save(row, index, out) for index, row in enumerate(done)]
    explanation.show(rows, console)
    document = {"schema": "edgekd.explanations/1", "bundle": bundle.manifest.name, "rows": [row.facts for row in rows]}
    write_atomic(out / "explanations.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    from edgekd.reports import explanation_page

    console.print(f"written to {explanation_page.write(rows, bundle.manifest, out)}", highlight=False, soft_wrap=True)


@dataclass(frozen=True)
class Subject:
    """A picture to explain; its label, and its true region [S, S] bool, where they are known."""

    name: str
    open: Callable[[], Image.Image]
    label_name: str = ""
    mask: np.ndarray | None = None


def pictures(given: Sequence[str]) -> list[Subject]:
    """The files that were named, and those of folders that were named; a file that is missing is a row of its own.

    Raises: EdgekdError for a folder without pictures.
    """
    found = []
    for name in given:
        folder = Path(name)
        if not folder.is_dir():
            found.append(name)
            continue
        walk = Walk(folder, lambda path: path.suffix.lower() in EXTENSIONS)
        inside = [f"{folder}/{relative(folder, path)}" for path in walk.files(folder)]
        if walk.problems or not inside:
            raise several(name, walk.problems or ["a folder without pictures"])
        found += inside
    return [Subject(name, partial(decode, name)) for name in found]


def of_its_own(bundle: Bundle, recipe: Recipe, network: Classifier) -> Subject:
    """A test image of the bundle's own data: the first with a known true region that is answered rightly.

    What speaks for a wrong answer need not lie there. Where there is none among the first, it is the first image.
    """
    dataset = choose(recipe, bundle, None, own_data=True)

    def subject(sample: Sample, mask: np.ndarray | None) -> Subject:
        return Subject(sample.name, partial(dataset.open_image, sample), dataset.label_names[sample.label], mask)

    for sample in dataset.samples[:LOOKED_AT] if dataset.open_mask else ():
        mask = region(dataset, sample, bundle.manifest.input)
        found = subject(sample, mask)
        if mask is not None and network.classify(found.open()).label_name == found.label_name:
            return found
    return subject(dataset.samples[0], region(dataset, dataset.samples[0], bundle.manifest.input))


def explained(subjects: Sequence[Subject], networks: dict[str, Classifier], methods: Sequence[Method]) -> Iterator[Row]:
    """One row for each picture: what the networks answer, and what spoke for the first one's answer."""
    for subject in subjects:
        try:
            picture = subject.open()
            answers = {who: network.classify(picture) for who, network in networks.items()}
            target = next(iter(answers.values())).label_name
            maps = {
                (method.name, who): network.explain(picture, method.name, target)
                for method in methods
                for who, network in networks.items()
                if who == FLOAT or not method.reads_network
            }
        except CorruptImage as e:
            yield Row(subject.name, reason=f"{e.found} (expected: {e.expected})")
        else:
            yield Row(subject.name, answers=answers, maps=maps, label_name=subject.label_name, mask=subject.mask)


def save(row: Row, index: int, out: Path) -> Row:
    """Write a row's overlays as PNG, and all of them in one picture, side by side."""
    from edgekd.reports import pictures

    name = f"{index:04d}-{Path(row.name).stem[:60]}"
    for (method, who), found in row.maps.items():
        content = io.BytesIO()
        heatmap.outlined(found.overlay(), row.mask).save(content, "PNG")
        write_atomic(out / f"{name}.{method}.{who}.png", content.getvalue())
    if row.maps:
        pictures.explained(row, out / f"{name}.png")
    return row


if __name__ == "__main__":
    command.run(main)
