"""What a training minimises: named terms, each with its weight, so that every component can be logged apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgekd.distillation.losses import resolve
from edgekd.distillation.store import TeacherOutputs
from edgekd.recipe import DistillationRecipe, StageRecipe
from edgekd.training.distributed import Processes


@dataclass(frozen=True)
class Batch:
    """This process's part of a global batch: views [B, 3, S, S], soft targets [B, K], rows [B] of the set, the epoch."""

    epoch: int
    rows: np.ndarray
    pixels: Tensor
    targets: Tensor


@dataclass(frozen=True)
class Term:
    """One component of the loss."""

    name: str
    weight: float
    value: Tensor


class Objective(Protocol):
    """Terms of the loss for student logits [B, K] of a batch."""

    def __call__(self, logits: Tensor, batch: Batch) -> list[Term]:
        """The terms, differentiable."""


def class_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """w_i = N / (K n_i) [K] over the labels [N] that are trained on; 0 for a class without samples."""
    counts = np.bincount(labels, minlength=classes)
    return np.where(counts > 0, len(labels) / (classes * np.maximum(counts, 1)), 0.0).astype(np.float32)


class LabelObjective:
    """Cross-entropy with soft targets, label smoothing and class weights: the batch mean of w_y CE."""

    def __init__(self, settings: StageRecipe, labels: np.ndarray, classes: int, processes: Processes) -> None:
        self.smoothing, self.processes = settings.label_smoothing, processes
        self.weights = torch.from_numpy(class_weights(labels, classes)) if settings.class_weights else None

    def __call__(self, logits: Tensor, batch: Batch) -> list[Term]:
        """The one term `task`, over the global batch."""
        logits, targets = self.processes.gather(logits), self.processes.gather(batch.targets)
        weights = self.weights.to(logits.device) if self.weights is not None else None
        value = functional.cross_entropy(logits, targets, weights, label_smoothing=self.smoothing)
        return [Term("task", 1.0, value)]


class DistillationObjective:
    """task_loss_weight · CE + distill_loss_weight · Σ weight_i · loss_i on the teacher's logits of the same views."""

    def __init__(self, task: LabelObjective, settings: DistillationRecipe, teacher: TeacherOutputs) -> None:
        self.task, self.settings, self.teacher = task, settings, teacher
        self.losses = resolve(settings.losses)

    def __call__(self, logits: Tensor, batch: Batch) -> list[Term]:
        """The task term and one term per distillation loss, over the global batch."""
        s, gather = self.settings, self.task.processes.gather
        terms = [Term(t.name, s.task_loss_weight * t.weight, t.value) for t in self.task(logits, batch)]
        teacher = gather(self.teacher.logits(batch.epoch, batch.rows, batch.pixels))
        logits, targets = gather(logits), gather(batch.targets)
        for name, (weight, loss) in self.losses.items():
            value = loss(logits, teacher, targets, s.kd_temperature)
            terms.append(Term(name, s.distill_loss_weight * weight, value))
        return terms
