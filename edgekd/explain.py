"""python -m edgekd.explain: why a bundle answers pictures as it does, as maps laid over them."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from edgekd import command, explainers, extras
from edgekd.bundle import Bundle
from edgekd.classifier import Classifier, has_heatmap, need_heatmap
from edgekd.data.folders import Walk, relative
from edgekd.errors import CorruptImage, several
from edgekd.explainers import Method
from edgekd.files import write_atomic
from edgekd.preprocess import EXTENSIONS, decode
from edgekd.reports import explanation, screen
from edgekd.reports.explanation import FLOAT, Row
from edgekd.runtimes import find

DEFAULT = "tflite-int8"
EXAMPLE = """  python -m edgekd.explain models/mri4-mobilenetv2 picture.png
  python -m edgekd.explain models/mri4-mobilenetv2 DIR --method occlusion,rise,lime --format tflite-int8"""


def main(argv: Sequence[str] | None = None) -> None:
    """Explain pictures; write overlays, explanations.json and explanations.html."""
    arguments = command.parser("explain", "Which pixels spoke for a bundle's answers to pictures.", EXAMPLE)
    add = arguments.add_argument
    add("bundle", help="a bundle")
    add("pictures", nargs="+", metavar="IMAGE", help="pictures, or folders of them")
    methods = ", ".join(explainers.names())
    default = "the file's own heatmap, if it has one, and occlusion"
    add("--method", action="append", metavar="NAME[,NAME…]", help=f"{methods} (default: {default})")
    add("--format", metavar="NAME", help=f"the artefact to explain beside the float network (default: {DEFAULT})")
    add("--no-float", action="store_true", help="leave the float network out: half the time")
    add("--out", metavar="DIR", help="where the results go (default: runs/explanations/NAME)")
    args = arguments.parse_args(argv)
    explainers.chosen(args.method or [])  # a wrong name is named before any work
    format = args.format or DEFAULT
    extras.need("the command explain", "export", (*find(format)[0].packages, "safetensors", "jinja2"))
    bundle = Bundle.open(args.bundle)
    own = ["heatmap"] if has_heatmap(bundle, format) else []
    methods_ = explainers.chosen(args.method or [*own, "occlusion"])
    if any(method.reads_heatmap for method in methods_):
        need_heatmap(bundle, format)
    names = pictures(args.pictures)
    out = Path(args.out or f"runs/explanations/{bundle.folder.resolve().name}")
    console = screen.console()
    with contextlib.ExitStack() as opened:
        networks = {format: opened.enter_context(Classifier(bundle.folder, format))}
        if not args.no_float or any(method.reads_network for method in methods_):
            networks[FLOAT] = opened.enter_context(Classifier(bundle.folder, is_busy=True))
        with screen.progress(console) as bar:
            done = bar.track(explained(names, networks, methods_), total=len(names), description="explaining")
            rows = [save(row, index, out) for index, row in enumerate(done)]
    explanation.show(rows, console)
    document = {"schema": "edgekd.explanations/1", "bundle": bundle.manifest.name, "rows": [row.facts for row in rows]}
    write_atomic(out / "explanations.json", json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    from edgekd.reports import explanation_page

    console.print(f"written to {explanation_page.write(rows, bundle.manifest, out)}", highlight=False, soft_wrap=True)


def pictures(given: Sequence[str]) -> list[str]:
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
    return found


def explained(names: Sequence[str], networks: dict[str, Classifier], methods: Sequence[Method]) -> Iterator[Row]:
    """One row for each picture: what the networks answer, and what spoke for the first one's answer."""
    for name in names:
        try:
            picture = decode(name)
            answers = {who: network.classify(picture) for who, network in networks.items()}
            target = next(iter(answers.values())).label_name
            maps = {
                (method.name, who): network.explain(picture, method.name, target)
                for method in methods
                for who, network in networks.items()
                if who == FLOAT or not method.reads_network
            }
        except CorruptImage as e:
            yield Row(name, reason=f"{e.found} (expected: {e.expected})")
        else:
            yield Row(name, answers=answers, maps=maps)


def save(row: Row, index: int, out: Path) -> Row:
    """Write a row's overlays as PNG."""
    for (method, who), found in row.maps.items():
        content = io.BytesIO()
        found.overlay().save(content, "PNG")
        write_atomic(out / f"{index:04d}-{Path(row.name).stem[:60]}.{method}.{who}.png", content.getvalue())
    return row


if __name__ == "__main__":
    command.run(main)
