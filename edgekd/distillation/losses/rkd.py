"""Relational knowledge distillation: distances and angles between the images of a batch (Park et al., CVPR 2019)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from edgekd.distillation.alignment import sides
from edgekd.distillation.loss import Loss, LossOptions, TapOptions, Taps, Values
from edgekd.networks.taps import EMBEDDING, Outputs, Shapes


class RkdOptions(TapOptions):
    """The weights are the paper's for classification; for metric learning it takes 1 and 2."""

    tap: str = EMBEDDING
    distance_weight: float = Field(25.0, ge=0)
    angle_weight: float = Field(50.0, ge=0)


class Rkd(Loss):
    """25 · `distance` + 50 · `angle` between embeddings (Park et al., CVPR 2019); widths may differ, nothing is learnt.

    The teacher's embeddings are kept.
    """

    Options = RkdOptions
    options: RkdOptions
    kept = EMBEDDING

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        for side, tap in zip(sides("rkd", student, teacher), (self.options.tap, self.options.of_teacher), strict=True):
            side.vector(tap, "tap = 'embedding'; for maps use geometric")

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """One of each."""
        assert isinstance(options, RkdOptions)
        return Taps((options.tap,), (options.of_teacher,))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """The student's embedding."""
        del targets
        return {EMBEDDING: outputs.features[self.options.tap]}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """The teacher's embedding."""
        del targets
        return {EMBEDDING: outputs.features[self.options.of_teacher]}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """Both relations, weighted."""
        del targets, temperature
        s, t = student[EMBEDDING], teacher[EMBEDDING]
        return self.options.distance_weight * distance(s, t) + self.options.angle_weight * angle(s, t)


def distance(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over pairs of images of Huber(ψ_S − ψ_T), ψ the distance divided by its mean over the batch.

    Shapes: [B, C], [B, D], B >= 2. Huber is quadratic up to 1.
    """
    return functional.smooth_l1_loss(_relative(student), _relative(teacher))


def angle(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean over triplets of images i, j, k of Huber(cos_S − cos_T), cos that of the angle at j.

    Shapes: [B, C], [B, D]. 0 where B < 3, as there are no triplets.
    """
    count = len(student)
    if count < 3:
        return student.sum() * 0
    total = functional.smooth_l1_loss(_cosines(student), _cosines(teacher), reduction="sum")
    return total / (count * (count - 1) * (count - 2))  # what is not of three images is equal on both sides


def _relative(x: Tensor) -> Tensor:
    distances = functional.pdist(x)
    return distances / distances.mean().clamp_min(torch.finfo(x.dtype).eps)


def _cosines(x: Tensor) -> Tensor:
    """[B, B, B]: at j, between the directions to i and to k."""
    directions = functional.normalize(x[None] - x[:, None], dim=2)
    return directions @ directions.transpose(1, 2)


LOSS = Rkd
