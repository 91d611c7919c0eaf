"""Float, post-training quantization and quantization-aware training in every runtime, on the test split of real images.

    python benchmarks/int8_drift.py BUNDLE ... --data DIR/manifest.csv

The images are those that the bundles were made from: their validation and test splits have to be the ones that they know.
Each file is written from the bundle's graphs, gets its temperature on validation, and answers the test split in a process of
its own. Drift is against the float student in torch, paired. Writes results/int8_drift.json and .md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from edgekd import __version__, command
from edgekd.artefacts import graphs, validation
from edgekd.artefacts.verification import logits_of
from edgekd.bundle import Bundle
from edgekd.data.dataset import groups_of
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError
from edgekd.measures.calibration import ece, fit_temperature, softmax
from edgekd.measures.drift import drift
from edgekd.measures.evaluation import evaluate
from edgekd.quantization import reference
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find
from edgekd.runtimes.isolated import Isolated

RESULTS = Path(__file__).parent / "results"
FLOAT, INT8 = ("onnx", "tflite", "tflite-fp16", "openvino"), ("onnx-int8", "tflite-int8", "openvino-int8")


def answers(bundle: Bundle, name: str, graph: Graph, sides: dict[str, Pixels]) -> tuple[dict[str, np.ndarray], dict]:
    """Logits of a freshly written file on every side, its size and the seconds that writing took."""
    format, module = find(name)
    facts = FileFacts(name, "", bundle.manifest.label_names, bundle.manifest.input, version=__version__)
    with tempfile.TemporaryDirectory() as folder, Isolated() as child:
        path = Path(folder) / f"x{format.suffixes[0]}"
        begin = time.perf_counter()
        module.write(graph, format, facts, path)
        seconds = time.perf_counter() - begin
        size = sum(path.with_suffix(s).stat().st_size for s in format.suffixes)
        child.load(name, path, threads=2)
        found = {side: logits_of(child.probs(np.array(p.array)), 1.0) for side, p in sides.items()}
        return found, {"size_bytes": size, "write_s": round(seconds, 3), "runtime": child.describe()}


def rows(bundle: Bundle, data: str, console: Console) -> list[dict]:
    sides = {side: validation.pixels_of(bundle, data, side) for side in ("val", "test")}
    labels = {side: np.array([s.label for s in p.dataset.samples]) for side, p in sides.items()}
    groups = groups_of(sides["test"].dataset.samples)
    record = bundle.manifest.quantization
    trained = {"float": graphs.float_graph(bundle), "qat": graphs.int8_graph(bundle)}
    if record.control_graph:
        trained["ptq"] = Graph.load(bundle.file(record.control_graph))
    else:  # a bundle that leaves it out to be small: the same graph again
        pixels = validation.representative_pixels(bundle, data)
        trained["ptq"] = graphs.post_training_graph(bundle, record.control, pixels)
    found, first = [], {}  # the probabilities of each graph in torch
    for kind in ("float", "ptq", "qat"):
        graph = trained[kind]
        for name in ("torch", *(INT8 if graph.is_quantized else FLOAT)):
            if name == "torch":
                logits, facts = {s: reference.logits(graph, np.array(p.array)) for s, p in sides.items()}, {}
            else:
                logits, facts = answers(bundle, name, graph, sides)
            row = measure(logits, labels, groups, bundle.manifest.label_names)
            probs = softmax(logits["test"])
            first.setdefault(kind, probs)
            against = drift(first["float"], probs, labels["test"], groups)
            row |= {"graph": f"{kind} ({record.control})" if kind == "ptq" else kind, "runtime_format": name}
            row |= {"flips": len(against.flips)} | against.facts
            row["agreement_with_torch"] = float((probs.argmax(1) == first[kind].argmax(1)).mean())
            found.append(row | facts)
            console.print(f"{bundle.manifest.name} {kind} {name}: {100 * row['accuracy']:.2f} %", highlight=False)
    return found


def measure(logits: dict, labels: dict, groups: tuple[str, ...] | None, label_names: tuple[str, ...]) -> dict:
    temperature = fit_temperature(logits["val"], labels["val"])
    e = evaluate(softmax(logits["test"], temperature), labels["test"], label_names, groups=groups)
    scores = e.model_dump(include={"images", "accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll"})
    return scores | {"temperature": temperature, "ece_before": ece(softmax(logits["test"]), labels["test"])}


def markdown(row: dict) -> str:
    """One row of the README's table."""
    low, high = (100 * v for v in row["accuracy_interval"])
    cells = (
        row["graph"],
        row["runtime_format"],
        f"{100 * row['accuracy']:.2f} [{low:.2f}, {high:.2f}]",
        str(row["flips"]),
        p_words(row),
        f"{row['ece_before']:.3f} → {row['ece']:.3f}",
        f"{row['size_bytes'] / 1e6:.2f}" if "size_bytes" in row else "",
        f"{row['write_s']:.2f}" if "write_s" in row else "",
    )
    return "| " + " | ".join(cells) + " |"


def p_words(row: dict) -> str:
    """By group, and McNemar's in parentheses; only that where groups are not known, or of rows measured by image alone."""
    by_image = f"{row['mcnemar_p']:.2f}"
    return by_image if row.get("groups") is None else f"{row['p']:.2f} ({by_image})"


def need_images(data: str, bundles: list[Bundle]) -> None:
    """Refuse to begin without images."""
    for bundle in bundles:
        path = data or validation.recipe_of(bundle).data.path
        if path and not Path(path).exists():
            where, todo = f"images of {bundle.folder}", "--data DIR/manifest.csv"
            raise EdgekdError(where, "those that it was made from", f"none at {path}", todo)


HEAD = """| graph | file | accuracy [95 %] | flips | p by group (McNemar) | ECE before → after | MB | s |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", metavar="BUNDLE", help="a student with its int8 graph, or several")
    parser.add_argument(
        "--data", metavar="PATH", default="", help="the images that they were made from: a CSV or a folder"
    )
    args = parser.parse_args()
    opened = [Bundle.open(folder) for folder in args.bundles]
    need_images(args.data, opened)
    console = Console(stderr=True)
    path = RESULTS / "int8_drift.json"
    results = json.loads(path.read_text()) if path.exists() else {}  # bundles that are not named keep their rows
    for bundle in opened:
        results[bundle.manifest.name] = rows(bundle, args.data, console)
    RESULTS.mkdir(exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    lines = [f"**{name}**\n\n{HEAD}\n" + "\n".join(map(markdown, found)) + "\n" for name, found in results.items()]
    (RESULTS / "int8_drift.md").write_text("\n".join(lines))
    sys.stdout.write("\n".join(lines))


if __name__ == "__main__":
    command.run(lambda _: main())
