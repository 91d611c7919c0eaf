"""Teacher, control and student side by side: what the distillation gained, with a paired test."""

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
from edgekd.reports import pictures
from edgekd.reports.evaluation import show_comparison


def write(made: dict[str, Bundle], folder: Path, console: Console) -> None:
    """Show the table on the test split; add comparison.json and comparison.png to the student's bundle in `folder`."""
    evaluations = {role: Evaluation.load(b.file("evaluation/test.json")) for role, b in made.items()}
    facts = {role: _facts(bundle) for role, bundle in made.items()}
    show_comparison(evaluations, facts, console, f"test split, {evaluations['student'].images} images")
    document: dict[str, Any] = {"schema": "edgekd.comparison/1", "networks": {}, "gain": None}
    for role, e in evaluations.items():
        scores = e.model_dump(include={"accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll", "images"})
        network = made[role].manifest.network.model_dump(include={"network", "width", "parameters", "macs"})
        document["networks"][role] = scores | network | {"training_seconds": made[role].manifest.training_seconds}
    if "control" in made:
        gain = paired(made["control"], made["student"])
        document["gain"] = {
            "accuracy_change_pp": gain.accuracy_change_pp,
            "mcnemar_p": gain.mcnemar_p,
            "flips": len(gain.flips),
        }
        console.print(_sentence(gain), highlight=False, soft_wrap=True)
    # Out of the manifest while they change, so that a kill in between leaves a bundle that opens.
    made["student"] = made["student"].without(["comparison.json", "comparison.png"])
    write_atomic(folder / "comparison.json", json.dumps(document, indent=2) + "\n")
    pictures.comparison(evaluations, folder / "comparison.png")
    made["student"] = made["student"].enriched(["comparison.json", "comparison.png"])


def readme_row(role: str, facts: dict[str, Any]) -> str:
    """One network of comparison.json as a row of a Markdown table."""
    low, high = (100 * v for v in facts["accuracy_interval"])
    cells = (
        f"{role} `{facts['network']}`",
        f"{facts['parameters'] / 1e6:.2f} M",
        f"{facts['macs'] / 1e6:.0f} M",
        f"{100 * facts['accuracy']:.2f} [{low:.2f}, {high:.2f}]",
        f"{facts['ece']:.4f} ({facts['ece_noise_floor']:.4f})",
        f"{facts['training_seconds']:.0f}",
    )
    return "| " + " | ".join(cells) + " |"


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


def _facts(bundle: Bundle) -> dict[str, str]:
    n = bundle.manifest.network
    return {
        "params": f"{n.parameters / 1e6:.2f} M",
        "MACs": f"{n.macs / 1e6:.0f} M",
        "time": f"{bundle.manifest.training_seconds:.0f} s",
    }


def _sentence(gain: Drift) -> str:
    verdict = "significant" if gain.mcnemar_p < 0.05 else "not significant"
    return (
        f"distillation against the same student without a teacher: {gain.accuracy_change_pp:+.2f} pp, {len(gain.flips)} "
        f"answers differ, McNemar p = {gain.mcnemar_p:.3f} ({verdict}; on {gain.images} images at least "
        f"{gain.smallest_significant_pp:.2f} pp could be)"
    )
