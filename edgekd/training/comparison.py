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
    pictures.comparison(evaluations, folder / "comparison.png", gain)
    made["student"] = made["student"].enriched(["comparison.json", "comparison.png"])


def document(made: dict[str, Bundle], evaluations: dict[str, Evaluation], gain: Drift | None) -> dict[str, Any]:
    """comparison.json: the scores and cost of every network by its role, and the student's gain over the control."""
    networks = {}
    for role, e in evaluations.items():
        scores = e.model_dump(include={"accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll", "images"})
        network = made[role].manifest.network.model_dump(include={"network", "width", "parameters", "macs"})
        networks[role] = scores | network | {"training_seconds": made[role].manifest.training_seconds}
    found = changed(gain) | {"flips": len(gain.flips)} if gain else None
    return {"schema": "edgekd.comparison/1", "networks": networks, "gain": found}


def changed(gain: Drift) -> dict[str, Any]:
    """What changed in accuracy and NLL, as JSON documents hold it."""
    return gain.facts | {"nll_change": gain.nll_change, "nll_interval": list(gain.nll_interval)}


def paired(a: Bundle, b: Bundle) -> Drift:
    """Drift from bundle `a` to `b` on the test split that both were evaluated on: calibrated, by group where known."""
    before, after = (load_file(bundle.file("evaluation/test.safetensors")) for bundle in (a, b))
    if not np.array_equal(before["labels"], after["labels"]):
        raise ValueError("the two bundles were evaluated on different images")
    groups = after.get("groups", before.get("groups"))  # a bundle of an older version does not hold them
    first, second = (
        softmax(found["logits"], bundle.manifest.calibration_temperature["torch"])
        for found, bundle in ((before, a), (after, b))
    )
    return drift(first, second, before["labels"], groups)
