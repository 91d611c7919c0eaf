"""What a training minimises: named terms, each with its weight, so that every component can be logged apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.distillation.batch import Batch, taught
from edgekd.distillation.loss import LOGITS, Loss, Values
from edgekd.recipe import DistillationRecipe, StageRecipe
from edgekd.training.distributed import Processes


@dataclass(frozen=True)
class Term:
    """One component of the loss."""

    name: str
    weight: float
    value: Tensor


class Teacher(Protocol):
    """Who is asked about a batch: one network or a committee."""

    def of(self, batch: Batch, losses: Mapping[str, Loss]) -> tuple[Tensor, dict[str, Values]]:
        """Logits [B, K] for the views of a batch, and by name what each of `losses` takes; without gradient."""


def weighted_sum(terms: list[Term]) -> Tensor:
    """Σ weight · value."""
    return torch.stack([t.weight * t.value for t in terms]).sum()


Student = Callable[[Tensor, Tensor], tuple[Tensor, dict[str, Values]]]  # what `Taught` gives of views and targets


class Objective(Protocol):
    """Asks the student about a batch and judges its answer. `losses` are what it trains beside the student.

    `needs_labels`: whether images without a label have nothing to teach.
    """

    losses: nn.ModuleDict
    needs_labels: bool

    def __call__(self, student: Student, batch: Batch) -> tuple[Tensor, list[Term]]:
        """The student's logits [B, K] of this process's rows, and the terms of the loss, differentiable."""


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """w_i = N / (K n_i) [K] over the labels [N] that are trained on; 0 for a class without samples."""
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, len(labels) / (classes * np.maximum(counts, 1)), 0.0).astype(np.float32)


def penalty(network: nn.Module, processes: Processes) -> list[Term]:
    """The term that a network adds to whatever it learns, where its body has a `penalty() -> Tensor`, else none."""
    own = getattr(getattr(network, "body", network), "penalty", None)
    return [Term("l2", 1.0, processes.once(own()))] if own else []


class LabelObjective:
    """Cross-entropy with soft targets, label smoothing and class weights: the mean of w_y CE over a batch's labelled rows."""

    needs_labels = True

    def __init__(self, settings: StageRecipe, labels: np.ndarray, classes: int, processes: Processes) -> None:
        self.smoothing, self.processes = settings.label_smoothing, processes
        is_balanced = getattr(settings, "images_per_class", None) is not None  # as many of each class are shown
        weighs = settings.class_weights and not is_balanced
        self.weights = torch.from_numpy(class_weights(labels, classes)) if weighs else None
        self.losses = nn.ModuleDict()

    def __call__(self, student: Student, batch: Batch) -> tuple[Tensor, list[Term]]:
        """The one term `task`, over the global batch."""
        logits, _ = student(batch.pixels, batch.targets)
        return logits, [self.term(logits, batch)]

    def term(self, logits: Tensor, batch: Batch) -> Term:
        """The term of logits of this process's rows; rows without a label do not count."""
        logits, targets = self.processes.gather(logits), self.processes.gather(batch.targets)
        weights = self.weights.to(logits.device) if self.weights is not None else None
        labelled = targets.sum(1) > 0
        if not labelled.all():
            logits, targets = logits[labelled], targets[labelled]
        value = functional.cross_entropy(logits, targets, weights, label_smoothing=self.smoothing)
        return Term("task", 1.0, value if len(targets) else logits.sum())


class DistillationObjective:
    """task_loss_weight · CE + distill_loss_weight · Σ weight_i · loss_i, on what the teacher says of the same views."""

    needs_labels = False

    def __init__(
        self, task: LabelObjective, settings: DistillationRecipe, teacher: Teacher, losses: nn.ModuleDict
    ) -> None:
        self.task, self.settings, self.teacher, self.losses = task, settings, teacher, losses

    def __call__(self, student: Student, batch: Batch) -> tuple[Tensor, list[Term]]:
        """The task term and one term per distillation loss, over the global batch."""
        s, gather = self.settings, self.task.processes.gather
        losses = {name: loss for name, loss in self.losses.items() if isinstance(loss, Loss)}
        teacher, taught_values = self.teacher.of(batch, losses)
        targets = taught(batch.targets, teacher)
        logits, values = student(batch.pixels, targets)
        task = self.task.term(logits, batch)
        terms = [Term(task.name, s.task_loss_weight * task.weight, task.value)]
        whole, of_teacher, of_student = gather(targets), gather(teacher), gather(logits)
        for name, loss in losses.items():
            said = {LOGITS: of_student} | {key: gather(value) for key, value in values[name].items()}
            told = {LOGITS: of_teacher} | {key: gather(v) for key, v in taught_values.get(name, {}).items()}
            value = loss.compare(said, told, whole, s.kd_temperature)
            terms.append(Term(name, s.distill_loss_weight * loss.options.weight, value))
        return logits, terms
