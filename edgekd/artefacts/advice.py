"""What to try where no int8 file ships, as commands that work as printed."""

from __future__ import annotations

import math
import shlex
from itertools import count
from pathlib import Path
from typing import Any

from edgekd import recipe as recipes
from edgekd.artefacts.graphs import METHODS
from edgekd.artefacts.making import ExportPlan
from edgekd.bundle import MANIFEST, Bundle

TRAINING_STATE = "training/identity.txt"  # what --resume goes by; a bundle that was copied elsewhere has none
MORE_EPOCHS, GENTLER = 3, 1 / 3  # times the stage's epochs, times its learning rate


def after(plan: ExportPlan, drift: dict[str, Any], data: str) -> list[str]:
    """What to try after the last source of a format drifted too far; `drift` is that of its report.

    Nothing where the drift is within its limits: what a file computes wrongly no training mends.
    """
    gate = _wider_gate(plan, drift)
    if not gate:
        return []
    tried = {plan.source, *plan.instead_of}
    record = plan.bundle.manifest.quantization
    has_graph = record is not None and record.method == "qat"
    found = [*_training(plan.bundle, has_graph, data), *_methods(plan, tried, data)]
    method = [] if "qat" in tried else ["--ptq", plan.source.removeprefix("ptq-")]
    wider = export(plan.bundle, plan.format.name, data, *_io(plan), *method, *gate)
    if has_graph and "qat" not in tried:
        found.insert(0, f"the trained graph: {export(plan.bundle, plan.format.name, data, *_io(plan))}")
    return [*found, f"a wider gate, if the loss is acceptable: {wider}"]


def without_int8(bundle: Bundle, format: str, data: str) -> str:
    """How a bundle that was made without the quantization-aware stage comes to an int8 file."""
    now = f"post-training quantization: {export(bundle, format, data, '--ptq', 'mse')}"
    return "; or ".join([*_training(bundle, False, data), now])


def distill(bundle: Bundle, data: str, *options: str) -> str:
    """The command that makes a student again with further options.

    In a run it goes on where the run ended, so that only what the options change is trained; a bundle without its training
    state is made anew, in a folder of its own.
    """
    words = ["python", "-m", "edgekd.distill", "--recipe", str(bundle.folder / MANIFEST), *_data(data)]
    if (bundle.folder / TRAINING_STATE).is_file():
        words += ["--out", str(bundle.folder), "--resume"]
        if (bundle.folder / "control" / MANIFEST).is_file():
            words.append("--control")  # which the comparison would lose
    else:
        folders = (Path("runs") / f"{bundle.manifest.name}-{number}" for number in count(2))
        words += ["--out", str(next(folder for folder in folders if not folder.exists()))]
    return shlex.join([*words, *options])


def export(bundle: Bundle, format: str, data: str, *options: str) -> str:
    """The command that exports a format with further options."""
    words = ["python", "-m", "edgekd.export", str(bundle.folder), "--format", format, *_data(data)]
    return shlex.join([*words, *options])


def _training(bundle: Bundle, has_graph: bool, data: str) -> list[str]:
    """How to come to a trained graph, or to another."""
    if bundle.manifest.role != "student":
        return []
    if bundle.manifest.network.framework == "keras":
        call = "edgekd.keras.to_bundle(…, quantization_aware=True)"
        return [] if has_graph else [f"quantization-aware training: {call}"]
    if not has_graph:
        return [f"quantization-aware training: {distill(bundle, data, '--qat')}"]
    stage = recipes.recorded(bundle.manifest.recipe, str(bundle.folder)).qat.training
    epochs = f"qat.training.epochs={MORE_EPOCHS * stage.epochs}"
    rate = f"qat.training.learning_rate={max(GENTLER * stage.learning_rate, stage.min_learning_rate):.1g}"
    return [
        f"more quantization-aware epochs: {distill(bundle, data, '--qat', '--set', epochs)}",
        f"a gentler stage, which keeps more answers: {distill(bundle, data, '--qat', '--set', rate)}",
    ]


def _methods(plan: ExportPlan, tried: set[str], data: str) -> list[str]:
    """A method of post-training quantization that was not tried."""
    left = [method for method in METHODS if f"ptq-{method}" not in tried][:1]
    return [
        f"another method: {export(plan.bundle, plan.format.name, data, *_io(plan), '--ptq', method)}" for method in left
    ]


def _wider_gate(plan: ExportPlan, drift: dict[str, Any]) -> list[str]:
    """The limits that let the drift pass, as options; none where it passes already."""
    falls = {
        "--max-drop-pp": (-drift["accuracy_change_pp"], plan.limits.max_drop_pp),
        "--max-class-drop-pp": (
            max(-change for change in drift["recall_change_pp"].values() if change is not None),
            plan.limits.max_class_drop_pp,
        ),
    }
    if all(fall <= limit for fall, limit in falls.values()):
        return []
    return [
        word
        for option, (fall, limit) in falls.items()
        for word in (option, f"{max(math.ceil(100 * fall) / 100, limit):g}")
    ]


def _data(data: str) -> list[str]:
    return ["--data", data] if data else []


def _io(plan: ExportPlan) -> list[str]:
    return ["--io", plan.io] if plan.io != "uint8" else []
