"""What the distillation gained: teacher, control and student on the same test split, kept in the student's bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from safetensors.numpy import load_file

from edgekd.bundle import Bundle
from edgekd.files import write_atomic
from edgekd.measures.calibration import softmax
from edgekd.measures.drift import Drift, drift
from edgekd.measures.evaluation import Evaluation
from edgekd.reports import comparison, pictures


def write(made: dict[str, Bundle], folder: Path, console: Console) -> None:
    """Show the table on the test split; add comparison.json and comparison.png to the student's bundle in `folder`."""
    evaluations = {role: Evaluation.load(b.file("evaluation/test.json")) for role, b in made.items()}
    gain = paired(made["control"], made["student"]) if "control" in made else None
    comparison.show(made, evaluations, gain, console)
    # Out of the manifest while they change, so that a kill in between leaves a bundle that opens.
    made["student"] = made["student"].without(["comparison.json", "comparison.png"])
    write_atomic(folder / "comparison.json", json.dumps(document(made, evaluations, gain), indent=2) + "\n")
    pictures.comparison(evaluations, folder / "comparison.png")
    made["student"] = made["student"].enriched(["comparison.json", "comparison.png"])


def document(made: dict[str, Bundle], evaluations: dict[str, Evaluation], gain: Drift | None) -> dict[str, Any]:
    """comparison.json: the scores and cost of every network by its role, and the student's gain over the control."""
    networks = {}
    for role, e in evaluations.items():
        scores = e.model_dump(include={"accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll", "images"})
        network = made[role].manifest.network.model_dump(include={"network", "width", "parameters", "macs"})
        networks[role] = scores | network | {"training_seconds": made[role].manifest.training_seconds}
    found = None
    if gain:
        found = {
            "accuracy_change_pp": gain.accuracy_change_pp,
            "mcnemar_p": gain.mcnemar_p,
            "flips": len(gain.flips),
        }
    return {"schema": "edgekd.comparison/1", "networks": networks, "gain": found}


def paired(a: Bundle, b: Bundle) -> Drift:
    """Drift from bundle `a` to `b` on the test split that both were evaluated on."""
    logits, labels = [], []
    for bundle in (a, b):
        tensors = load_file(bundle.file("evaluation/test.safetensors"))
        logits.append(softmax(tensors["logits"]))
        labels.append(tensors["labels"])
    if not np.array_equal(labels[0], labels[1]):
        raise ValueError("the two bundles were evaluated on different images")
    return drift(logits[0], logits[1], labels[0])
