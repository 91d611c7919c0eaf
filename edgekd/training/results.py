"""What a training leaves beside its bundle, for who goes on with other tools: weights of every stage, results, one picture.

`stage1_best`, `stage2_best`, … are the best weights of each stage but the last, `best` those of all, `final` those after the
last epoch; all in float32 by the network's own names, so that `weights` and `checkpoint` of a recipe read them.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from rich.console import Console
from torch import Tensor

from edgekd.bundle import Bundle
from edgekd.data.dataset import groups_of
from edgekd.data.tta import tta_views
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.calibration import softmax
from edgekd.measures.drift import Drift, drift
from edgekd.measures.evaluation import Evaluation, evaluate
from edgekd.networks import PixelNetwork, from_bundle
from edgekd.networks.prediction import predict
from edgekd.reports import training_pictures
from edgekd.training import checkpoint
from edgekd.training.loop import BEST, best_of
from edgekd.training.run import Run

FOLDER = "results"  # beside the bundle
BODY = "body."  # what a PixelNetwork's names begin with, and its body's do not
BATCH = 64


def write(run: Run, bundle: Bundle) -> Path:
    """Write the results of the training that made `bundle` into a folder beside it; gives that folder.

    Raises: EdgekdError for a bundle without a training of its own there: a committee, or a checkpoint that was read.
    """
    training, out = bundle.folder / "training", bundle.folder / FOLDER
    if not (training / BEST).exists():
        todo = "leave --results out"
        raise EdgekdError(f"results of {bundle.folder}", "the training of one network", "none", todo)
    history = _history(bundle.file("log.csv"))
    for name, tensors in _weights(training, history).items():
        write_atomic(out / f"{name}.safetensors", safetensors.torch.save(tensors))
    labels = {str(i): name for i, name in enumerate(bundle.manifest.label_names)}
    _write_json(out / "class_labels.json", labels)
    plain, averaged, change = _tested(run, bundle)
    _write_json(out / "test_results_final.json", _document(bundle, history, plain, averaged, change))
    training_pictures.results(history, plain, averaged, out / "training_results_final.png")
    return out


def show(out: Path, console: Console) -> None:
    """Say what is there, in one line."""
    document = json.loads((out / "test_results_final.json").read_text(encoding="utf-8"))
    change = document["tta_against_plain"]
    low, high = change["interval_pp"]
    console.print(
        f"test-time augmentation: {100 * document['tta']['accuracy']:.2f} %, {change['accuracy_change_pp']:+.2f} pp "
        f"[{low:.1f}, {high:.1f}], p = {change['p']:.3f}",
        highlight=False,
        markup=False,
    )
    console.print(f"results: {out}", highlight=False, markup=False, soft_wrap=True)


def _weights(training: Path, history: list[dict[str, float]]) -> dict[str, dict[str, Tensor]]:
    stages = int(max(row.get("stage", 1) for row in history))
    kept = {f"stage{n}_best": training / best_of(n - 1) for n in range(1, stages)} | {"best": training / BEST}
    found = {name: _inside(safetensors.torch.load_file(path)) for name, path in kept.items()}
    last = training / checkpoint.LAST
    averaged = checkpoint.read_part(last, "ema")
    return found | {"final": _inside(averaged or checkpoint.read_part(last, "network"))}


def _inside(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(BODY): tensor.contiguous() for name, tensor in state.items()}


def _history(path: Path) -> list[dict[str, float]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: float(value) for name, value in row.items() if value} for row in csv.DictReader(file)]


def _tested(run: Run, bundle: Bundle) -> tuple[Evaluation, Evaluation, Drift]:
    """The test split as it is and with test-time augmentation, and the change from one to the other."""
    m, rows = bundle.manifest, run.rows("test")
    network = from_bundle(bundle).to(run.processes.device)
    probs = _probs(network, run.pixels.array, rows, m.temperature)
    labels = run.labels[rows]
    groups = groups_of(run.pixels.dataset.samples[i] for i in rows)
    plain, averaged = (
        evaluate(p, labels, m.label_names, groups=groups, seed=m.seed) for p in (probs[0], probs.mean(axis=0))
    )
    return plain, averaged, drift(probs[0], probs.mean(axis=0), labels, groups)


def _probs(network: PixelNetwork, array: np.ndarray, rows: np.ndarray, temperature: float) -> np.ndarray:
    """Calibrated probabilities [V, N, K] of the views of test-time augmentation, the plain one first."""
    device: torch.device = next(network.parameters()).device
    parts = []
    for begin in range(0, len(rows), BATCH):
        views = tta_views(np.ascontiguousarray(array[rows[begin : begin + BATCH]]))
        logits = [predict(network, view, np.arange(len(view)), device) for view in views]
        parts.append(np.stack([softmax(one, temperature) for one in logits]))
    return np.concatenate(parts, axis=1)


def _document(
    bundle: Bundle, history: list[dict[str, float]], plain: Evaluation, averaged: Evaluation, change: Drift
) -> dict[str, Any]:
    stages: dict[int, list[dict[str, float]]] = {}
    for row in history:
        stages.setdefault(int(row.get("stage", 1)), []).append(row)
    best = {
        number: min(rows, key=lambda row: row["val_nll"])
        | {"epochs": len(rows), "highest_learning_rate": max(row["learning_rate"] for row in rows)}
        for number, rows in stages.items()
    }
    named = ("epoch", "epochs", "highest_learning_rate", "val_nll", "val_accuracy")
    return {
        "schema": "edgekd.training_results/1",
        "network": bundle.manifest.network.model_dump(),
        "plain": _scores(plain),
        "tta": _scores(averaged) | {"views": len(tta_views(np.zeros((1, 8, 8, 3), np.uint8)))},
        "tta_against_plain": change.facts | {"flips": len(change.flips)},
        "stages": [{"stage": number} | {name: row[name] for name in named} for number, row in best.items()],
        "training_seconds": bundle.manifest.training_seconds,
    }


def _scores(found: Evaluation) -> dict[str, Any]:
    told = found.model_dump(mode="json", include={"images", "groups", "accuracy", "accuracy_interval", "nll", "ece"})
    recalls = {c.label_name: c.recall for c in found.classes}
    return told | {"macro_f1": found.macro.f1, "class_accuracy": recalls, "confusion": found.confusion}


def _write_json(path: Path, document: dict[str, Any]) -> None:
    write_atomic(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")
