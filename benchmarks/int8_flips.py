"""What changes the answers of a student on the int8 grid: the border, the ranges, the quantization-aware stage, the last step.

    python benchmarks/int8_flips.py BUNDLE --data DIR/manifest.csv [--only WAY ...]

All by torch, in fake quantization, against the float student: the images with another answer, and how far the logits move (root
mean square, each image's mean taken out), on validation and on test. Choices are made on validation. A way with a stage trains
it anew. Writes results/int8_flips.json and .md; ways that are not named keep their rows.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from distillation_speed import cpu
from int8_drift import need_images
from rich.console import Console

from edgekd import command
from edgekd import recipe as recipes
from edgekd.artefacts.graphs import float_graph
from edgekd.bundle import Bundle
from edgekd.data.augment import plain_views
from edgekd.networks import from_bundle
from edgekd.networks.prediction import predict
from edgekd.quantization import ranges, representative
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.training import distributed, qat
from edgekd.training import run as runs

RESULTS = Path(__file__).parent / "results"
SPLITS = ("val", "test")
UNDECIDED = 2.0  # of the float student's lead, in logits: below it rounding may change an answer
BLACK = 0.0
COLUMNS = (
    "way",
    *(f"{split}: {what}" for split in SPLITS for what in ("answers changed", "logits move", "undecided move")),
)
HEAD = f"| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"


class Bench:
    """A bundle with its images, and what its float student says of them."""

    def __init__(self, bundle: Bundle, data: str, folder: Path) -> None:
        self.student = Bundle.open(shutil.copytree(bundle.folder, folder / "student"))
        self.data, self.folder = data, folder
        self.run = self.prepared({})
        self.rows = {split: self.run.rows(split) for split in SPLITS}
        self.float = self.logits(from_bundle(self.student))

    def prepared(self, settings: dict[str, Any]) -> runs.Run:
        """The bundle's recipe on its images, with other settings."""
        overrides = [("data.path", self.data), *settings.items()]
        made = recipes.load(self.student.folder / "manifest.json", overrides)
        return runs.prepare(made, self.folder, distributed.start(), Console(stderr=True))

    def network(self, grey: float | None) -> FakeQuantNetwork:
        """The float student on pixels less a grey (None: the one next to the mean); it rounds as soon as it has ranges."""
        return FakeQuantNetwork(fold_normalization(float_graph(self.student), grey))

    def logits(self, network: torch.nn.Module) -> dict[str, np.ndarray]:
        """Logits by split."""
        device = self.run.processes.device
        return {
            split: predict(network.to(device), self.run.pixels.array, rows, device) for split, rows in self.rows.items()
        }

    def row(self, network: torch.nn.Module) -> dict[str, Any]:
        """How far a network is from the float student."""
        found = self.logits(network)
        return {split: distance(self.float[split], found[split]) for split in SPLITS}


def distance(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Images, answers changed, and the root mean square that logits move by, of all images and of undecided ones."""
    first, second = (v - v.mean(1, keepdims=True) for v in (first, second))
    ordered = np.sort(first, axis=1)
    moved, undecided = ((second - first) ** 2).mean(1), ordered[:, -1] - ordered[:, -2] < UNDECIDED
    return {
        "images": len(first),
        "flips": int((first.argmax(1) != second.argmax(1)).sum()),
        "moved": float(np.sqrt(moved.mean())),
        "undecided": int(undecided.sum()),
        "moved_undecided": float(np.sqrt(moved[undecided].mean())),
    }


def unrounded(grey: float | None) -> Callable[[Bench], dict[str, Any]]:
    """The float graph with another border, nothing rounded."""
    return lambda bench: bench.row(bench.network(grey))


def calibrated(grey: float | None, images: int) -> Callable[[Bench], dict[str, Any]]:
    """Post-training quantization, by the method of the bundle's control."""

    def made(bench: Bench) -> dict[str, Any]:
        network, run = bench.network(grey), bench.run
        rows = representative.choose(run.labels, run.rows("train"), images, run.recipe.seed)
        parts = [rows[begin : begin + qat.BATCH] for begin in range(0, len(rows), qat.BATCH)]
        found = ranges.post_training(
            network, lambda: (plain_views(run.pixels.array, p, run.processes.device) for p in parts)
        )
        method = bench.student.manifest.quantization.control
        network.set_ranges(found[method])
        return bench.row(network) | {"method": method}

    return made


def trained(grey: float | None, **settings: Any) -> Callable[[Bench], dict[str, Any]]:
    """The quantization-aware stage, taught by the float student; `settings` of the recipe, a dot as two underscores."""

    def made(bench: Bench) -> dict[str, Any]:
        run = qat.with_own_views(bench.prepared({name.replace("__", "."): value for name, value in settings.items()}))
        network = bench.network(grey)
        network.set_ranges(ranges.running(network, qat.observed(run)))
        objective = qat.objective_of(run, network, bench.student, bench.student)
        progress = qat.train(run, network, objective, Path(tempfile.mkdtemp(dir=bench.folder)), "")
        facts = bench.row(network) | {"settings": settings, "seconds": round(progress.seconds, 1)}
        network.ranges[-1].quantize = lambda x, *_: x
        return facts | {"without_last_rounding": bench.row(network)}

    return made


WAYS = {
    "float, black border": unrounded(BLACK),
    "float, grey border": unrounded(None),
    "post-training, black border": calibrated(BLACK, 256),
    "post-training, grey border": calibrated(None, 256),
    "post-training, grey border, 1,024 images": calibrated(None, 1024),
    "stage, black border": trained(BLACK, qat__mixup_alpha=0.0),
    "stage, black border, mixed pictures": trained(BLACK, qat__mixup_alpha=1.0),
    "stage, black border, mixed pictures, 12 epochs at 1e-4": trained(
        BLACK, qat__mixup_alpha=1.0, qat__training__epochs=12, qat__training__learning_rate=1e-4
    ),
    "stage, grey border": trained(None, qat__mixup_alpha=0.0),
    "stage, grey border, mixed pictures": trained(None, qat__mixup_alpha=1.0),
    "stage, grey border, at 3e-6": trained(None, qat__mixup_alpha=0.0, qat__training__learning_rate=3e-6),
}


def markdown(results: dict[str, Any]) -> str:
    """A table for each bundle."""
    parts = []
    for name, found in results.items():
        lines = [line(way, found["rows"][way]) for way in WAYS if way in found["rows"]]
        parts.append(f"**{name}**\n\n{HEAD}\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def line(way: str, row: dict[str, Any]) -> str:
    """One way, and after a stage the same without the rounding of the logits."""
    found = [f"| {way} | {cells(row)} |"]
    if free := row.get("without_last_rounding"):
        found.append(f"| the same, logits not rounded | {cells(free)} |")
    return "\n".join(found)


def cells(row: dict[str, Any]) -> str:
    """Flips and distances of both splits."""
    parts = [(row[split]["flips"], row[split]["images"], row[split]) for split in SPLITS]
    return " | ".join(
        f"{flips} of {images} ({100 * flips / images:.1f} %) | {r['moved']:.3f} | {r['moved_undecided']:.3f}"
        for flips, images, r in parts
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundle", metavar="BUNDLE", help="a student with its int8 graph")
    parser.add_argument(
        "--data", metavar="PATH", required=True, help="the images that it was made from: a CSV or a folder"
    )
    parser.add_argument("--only", nargs="+", metavar="WAY", choices=WAYS, default=list(WAYS), help="some of the ways")
    args = parser.parse_args()
    bundle = Bundle.open(args.bundle)
    need_images(args.data, [bundle])
    path = RESULTS / "int8_flips.json"
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(bundle, args.data, Path(folder))
        for way in args.only:
            row = WAYS[way](bench) | {"cpu": cpu()}
            results = json.loads(path.read_text()) if path.exists() else {}
            facts = {"student_sha256": bundle.manifest.files["weights.safetensors"].sha256}
            found = results.setdefault(bundle.manifest.name, facts | {"rows": {}})
            found["rows"][way] = row
            path.write_text(json.dumps(results, indent=1) + "\n")
            path.with_suffix(".md").write_text(markdown(results))
            sys.stdout.write(line(way, row) + "\n")


if __name__ == "__main__":
    command.run(lambda _: main())
