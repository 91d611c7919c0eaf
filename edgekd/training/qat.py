"""The quantization-aware stage: the finished float student learns to live on the int8 grid, with the distillation loss on.

Beside it stands post-training quantization of the same student. A paired test says whether the training gained anything;
if it did not, the bundle says that too.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from edgekd.artefacts.graphs import float_graph
from edgekd.bundle import CARD, Bundle, QuantizationRecord
from edgekd.data.augment import plain_views
from edgekd.data.dataset import groups_of, listing_hash
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures import quantization as comparison
from edgekd.measures.calibration import nll, softmax
from edgekd.measures.drift import drift
from edgekd.networks import build, from_bundle
from edgekd.networks.prediction import predict
from edgekd.quantization import ranges, representative
from edgekd.quantization.fake import FakeQuantNetwork
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import Graph
from edgekd.quantization.lowering import lower
from edgekd.recipe import QatRecipe, Recipe
from edgekd.reports import quantization
from edgekd.reports.card import model_card
from edgekd.training import checkpoint, finish, identity, stages
from edgekd.training.check import features
from edgekd.training.checkpoint import LAST
from edgekd.training.loop import Trainer, TrainingProgress
from edgekd.training.objective import DistillationObjective, LabelObjective, Objective
from edgekd.training.optimizer import Parts
from edgekd.training.run import Run
from edgekd.training.sampling import epoch_order

VERSION = 2  # to be raised when the same student and settings give another graph: an old one is not taken for it
GRAPH, PTQ_GRAPH = "int8/qat.safetensors", "int8/ptq.safetensors"
COMPARISON = "int8/comparison.json"
BATCH = 32  # images of the representative set at a time
# Where the student teaches itself nothing but its logits counts: labels would teach it something else, and answers that
# are sure, as most training images get, tell a loss on probabilities nothing.
FAITHFUL = {"losses": {"mse": 1.0}, "task_loss_weight": 0.0, "distill_loss_weight": 1.0}


def check(recipe: Recipe, classes: int = 2) -> None:
    """Find out before hours of training whether the student can be lowered, and taught then by who shall teach it.

    Raises: EdgekdError that names what cannot.
    """
    network = build(recipe.student.model_copy(update={"weights": "", "pretrained": False}), classes, recipe.input.size)
    try:
        graph = fold_normalization(lower(network))
    except EdgekdError as e:
        todo = f"leave the stage out with --no-qat, and export through {e.todo}"
        raise EdgekdError(e.where, e.expected, e.found, todo) from None
    if recipe.qat.taught_by == "teacher":
        features(recipe, FakeQuantNetwork(graph))


def quantize(run: Run, student: Bundle, teacher: Bundle) -> Bundle:
    """Add the int8 graphs of quantization-aware training and of its control to the student's bundle."""
    run = with_own_views(run)
    recipe, folder = run.recipe, student.folder
    told = identity.of_distillation(recipe.distillation)
    facts: dict[str, Any] = {"qat": recipe.qat.model_dump(), "distillation": told, "version": VERSION}
    facts |= {"student": identity.of_bundle(student), "mixup": recipe.training.mixup_alpha}
    named = identity.of_stage(run, facts, teacher)
    done = folder / "training/qat" / finish.IDENTITY
    if run.processes.decide(bool(student.manifest.quantization) and done.exists() and done.read_text() == named):
        run.console.print(f"qat: finished already, read from {folder}", highlight=False)
        return student
    _leave_finished(run, done)
    network = FakeQuantNetwork(fold_normalization(float_graph(student))).to(run.processes.device)
    rows = representative.choose(run.labels, run.rows("train"), recipe.qat.representative_images, recipe.seed)
    ptq = post_training(run, network, rows)
    network.set_ranges(ranges.running(network, observed(run)))
    progress = train(run, network, objective_of(run, network, student, teacher), folder, named)
    if run.processes.is_first:
        write(run, student, ptq, Quantized.of(run, network), rows, progress)
        write_atomic(done, named)
    return finish.opened(run.processes, folder)


def with_own_views(run: Run) -> Run:
    """The run with the views of the stage, which are the float stage's but for `qat.mixup_alpha`."""
    recipe = run.recipe
    if recipe.qat.mixup_alpha is None:
        return run
    training = recipe.training.model_copy(update={"mixup_alpha": recipe.qat.mixup_alpha})
    return replace(run, recipe=recipe.model_copy(update={"training": training}))


def quantize_after_training(run: Run, student: Bundle) -> Bundle:
    """Add the int8 graph of post-training quantization alone, by the method that is best on validation."""
    recipe = run.recipe
    network = FakeQuantNetwork(fold_normalization(float_graph(student))).to(run.processes.device)
    rows = representative.choose(run.labels, run.rows("train"), recipe.qat.representative_images, recipe.seed)
    found = post_training(run, network, rows)
    labels, answers = run.labels[run.rows("test")], comparison.float_logits(student)["test"]
    groups = groups_of(run.pixels.dataset.samples[i] for i in run.rows("test"))
    change = drift(softmax(answers), softmax(found.logits["test"]), labels, groups)
    found.graph.save(student.folder / PTQ_GRAPH)
    facts: dict[str, Any] = {
        "method": found.method,
        "graph": PTQ_GRAPH,
        "representative_sha256": listing_hash([run.pixels.dataset.samples[i] for i in rows]),
        "representative_images": len(rows),
        "verdict": f"post-training quantization ({found.method}) against the float student: {change}",
    }
    record = QuantizationRecord(**facts)
    run.console.print(f"int8: {record.verdict}", highlight=False, soft_wrap=True)
    card = model_card(student.manifest.model_copy(update={"quantization": record}), student.folder)
    write_atomic(student.folder / CARD, card)
    return student.enriched([PTQ_GRAPH, CARD], quantization=record)


def _leave_finished(run: Run, done: Path) -> None:
    """Remove the state of a finished stage with other settings: there is nothing in it to go on with."""
    if run.processes.is_first and done.exists():
        shutil.rmtree(done.parent)
    run.processes.barrier()


@dataclass(frozen=True)
class Quantized:
    """A graph on the int8 grid and its logits [N, K] on val and test; `scores` of the methods that were tried on val."""

    graph: Graph
    logits: dict[str, np.ndarray]
    method: str = "qat"
    scores: dict[str, dict[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, run: Run, network: FakeQuantNetwork, **facts: Any) -> Quantized:
        """What the network is now, in fake quantization."""
        splits = {
            split: predict(network, run.pixels.array, run.rows(split), run.processes.device)
            for split in ("val", "test")
        }
        return cls(network.graph(), splits, **facts)


def post_training(run: Run, network: FakeQuantNetwork, rows: np.ndarray) -> Quantized:
    """The best method of post-training quantization, by its NLL on validation."""
    device, array = run.processes.device, run.pixels.array

    def batches() -> Iterator[Tensor]:
        for begin in range(0, len(rows), BATCH):
            yield plain_views(array, rows[begin : begin + BATCH], device)

    val, scores = run.rows("val"), {}
    candidates = ranges.post_training(network, batches)
    for method, values in candidates.items():
        network.set_ranges(values)
        logits = predict(network, array, val, device)
        right = float((logits.argmax(1) == run.labels[val]).mean())
        scores[method] = {"val_nll": nll(softmax(logits), run.labels[val]), "val_accuracy": right}
    best = min(scores, key=lambda method: scores[method]["val_nll"])
    network.set_ranges(candidates[best])
    return Quantized.of(run, network, method=best, scores=scores)


def observed(run: Run) -> Iterator[Tensor]:
    """The first batches of training views, as the training will see them."""
    recipe, task = run.recipe, run.task(run.recipe.training.mixup_alpha)
    rows = task.train_rows
    order, size = epoch_order(rows, recipe.seed, 0), recipe.qat.training.batch_size
    for step in range(min(recipe.qat.observed_batches, max(len(rows) // size, 1))):
        yield task.augmenter.views(0, order[step * size : (step + 1) * size], run.processes.device).pixels


def objective_of(run: Run, network: FakeQuantNetwork, student: Bundle, teacher: Bundle) -> DistillationObjective:
    """What the stage minimises: the distillation loss on the stored outputs of whoever teaches it."""
    recipe = run.recipe
    labels = LabelObjective(recipe.qat.training, run.labels[run.labelled_rows], len(run.label_names), run.processes)
    if recipe.qat.taught_by == "teacher":
        objective = stages.distilling(run, labels, network, teacher)
        if any(True for _ in objective.losses.parameters()):  # they go on from where the float stage left them
            checkpoint.restore_module(student.folder / "training" / LAST, "losses", objective.losses)
        return objective
    outputs = stages.teacher_outputs(run, student, precision="fp32")  # what it said, without another rounding
    settings = recipe.distillation.model_copy(update=FAITHFUL)
    losses = stages.build_losses(settings, network, lambda: from_bundle(student))
    return DistillationObjective(labels, settings, outputs, losses)


def train(run: Run, network: FakeQuantNetwork, objective: Objective, folder: Path, identity: str) -> TrainingProgress:
    """Train weights and ranges on the int8 grid; in the last epochs the ranges stand still."""
    recipe = run.recipe
    return stages.train(
        run,
        "qat",
        network,
        objective,
        recipe.qat.training,
        folder / "training/qat",
        identity,
        mixup=recipe.training.mixup_alpha,  # the views are those that whoever teaches was asked for
        parts=parts(network, recipe.qat),
        before_epoch=lambda trainer: freeze(trainer, recipe.qat),
    )


def parts(network: FakeQuantNetwork, settings: QatRecipe) -> Parts:
    """Weights and ranges, each with its own learning rate."""
    weights, learnt = list(network.layers.parameters()), list(network.ranges.parameters())
    return {"weights": (weights, 1.0), "ranges": (learnt, settings.range_learning_rate_factor)}


def freeze(trainer: Trainer, settings: QatRecipe) -> None:
    """Let the ranges stand still in the last `frozen_epochs`: their rate is 0, and they are the averaged ones.

    The averaged network ships. Its ranges would go on following the trained ones, and the weights of the last epochs would
    have learnt to live on another grid than the file's.
    """
    frozen = trainer.progress.epochs_done >= settings.training.epochs - settings.frozen_epochs
    if frozen:
        trained, averaged = trainer.network, trainer.shipped
        assert isinstance(trained, FakeQuantNetwork)
        assert isinstance(averaged, FakeQuantNetwork)
        trained.ranges.load_state_dict(averaged.ranges.state_dict())
    for group in trainer.optimizer.param_groups:
        if group["part"] == "ranges":
            group["factor"] = 0.0 if frozen else settings.range_learning_rate_factor


def write(
    run: Run, student: Bundle, ptq: Quantized, qat: Quantized, rows: np.ndarray, progress: TrainingProgress
) -> None:
    """The two graphs, their comparison with the float student, and the record in the manifest."""
    labels = {split: run.labels[run.rows(split)] for split in qat.logits}
    answers = {"float": comparison.float_logits(student), "ptq": ptq.logits, "qat": qat.logits}
    groups = groups_of(run.pixels.dataset.samples[i] for i in run.rows("test"))
    document = comparison.compare(answers, labels, groups) | {
        "ptq_method": ptq.method,
        "ptq_methods": ptq.scores,
    }
    student = forget(student)
    qat.graph.save(student.folder / GRAPH)
    ptq.graph.save(student.folder / PTQ_GRAPH)
    write_atomic(student.folder / COMPARISON, json.dumps(document, indent=1) + "\n")
    record = QuantizationRecord(
        method="qat",
        graph=GRAPH,
        control=ptq.method,
        control_graph=PTQ_GRAPH,
        representative_sha256=listing_hash([run.pixels.dataset.samples[i] for i in rows]),
        representative_images=len(rows),
        verdict=document["verdict"],
        training_seconds=round(progress.seconds, 1),
    )
    recipe = student.manifest.recipe | {"qat": run.recipe.qat.model_dump(mode="json")}
    changed = {"quantization": record, "recipe": recipe}
    write_atomic(student.folder / CARD, model_card(student.manifest.model_copy(update=changed), student.folder))
    student.enriched([GRAPH, PTQ_GRAPH, COMPARISON, CARD], **changed)
    quantization.show(document, run.console)


def forget(student: Bundle) -> Bundle:
    """The bundle without an earlier stage's graphs and what was exported from them: killed from here on, it still opens."""
    exported = [format for format, record in student.manifest.artefacts.items() if record.source == "qat"]
    return student.without_artefacts(exported, [GRAPH, PTQ_GRAPH, COMPARISON, CARD], quantization=None)
