"""Float, post-training quantization and quantization-aware training compared on the same images."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekd.bundle import Bundle
from edgekd.measures.calibration import ece, fit_temperature, softmax
from edgekd.measures.drift import Drift, drift
from edgekd.measures.evaluation import evaluate
from edgekd.measures.intervals import Groups

SCHEMA = "edgekd.int8/1"

Answers = dict[str, np.ndarray]  # split -> logits [N, K] or labels [N]


def float_logits(student: Bundle) -> Answers:
    """The float student's logits on val and test, which its bundle holds."""
    from safetensors.numpy import load_file

    return {split: load_file(student.file(f"evaluation/{split}.safetensors"))["logits"] for split in ("val", "test")}


def compare(answers: dict[str, Answers], labels: Answers, groups: Groups | None = None) -> dict[str, Any]:
    """Scores of every network on the test split, each with its own temperature (fitted on val), and paired drifts.

    `answers`: network -> split -> logits; the networks are float, ptq and qat. Intervals resample `groups` of the test
    images, and paired tests flip their signs, where they are known.
    """
    names = tuple(f"class {k}" for k in range(answers["float"]["val"].shape[1]))
    networks, probs = {}, {}
    for name, logits in answers.items():
        temperature = fit_temperature(logits["val"], labels["val"])
        probs[name] = softmax(logits["test"], temperature)
        found = evaluate(probs[name], labels["test"], names, groups=groups)
        before = ece(softmax(logits["test"]), labels["test"])
        scores = found.model_dump(include={"accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll", "images"})
        networks[name] = scores | {"temperature": temperature, "ece_before_temperature": before}
    document: dict[str, Any] = {"schema": SCHEMA, "networks": networks, "drift": {}}
    for name in ("ptq", "qat"):
        document["drift"][name] = facts(drift(probs["float"], probs[name], labels["test"], groups))
    against = drift(probs["ptq"], probs["qat"], labels["test"], groups)
    document["qat_against_ptq"] = facts(against)
    document["verdict"] = verdict(against)
    return document


def facts(found: Drift) -> dict[str, Any]:
    """A drift in plain values; images are numbered as in evaluation/test.safetensors."""
    return found.facts | {"flips": list(found.flips), "recall_change_pp": list(found.recall_change_pp)}


def verdict(found: Drift) -> str:
    """What may be claimed of quantization-aware training against post-training quantization."""
    if not found.is_significant:
        return f"quantization-aware training is no measurable gain over post-training quantization ({found})"
    better = "better" if found.accuracy_change_pp > 0 else "worse"
    return f"quantization-aware training is {better} than post-training quantization ({found})"
