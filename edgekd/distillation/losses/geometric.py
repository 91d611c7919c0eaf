"""Geometry of a batch at several scales: rkd's relations on pooled stages, the student's fused to the teacher's depth.

The relations are those of Park et al., CVPR 2019; the scales, and how the student's stages are fused, are ours.
"""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from edgekd.distillation.alignment import sides
from edgekd.distillation.loss import Loss, LossOptions, SeveralTapsOptions, Taps, Values
from edgekd.distillation.losses.rkd import angle, distance
from edgekd.networks.taps import Outputs, Shapes

KEPT, FUSED = "vectors", "fused"


class GeometricOptions(SeveralTapsOptions):
    """The scales; the weights of both relations stand 1 : 2 as in the paper."""

    taps: list[str] = Field(["stage2", "stage3", "stage4", "last"], min_length=1)
    width: int = Field(128, ge=1)  # of the student's fused vectors
    distance_weight: float = Field(1.0, ge=0)
    angle_weight: float = Field(2.0, ge=0)


class Geometric(Loss):
    """Mean over the teacher's scales of 1 · `distance` + 2 · `angle` between the images of the batch.

    Every tap is averaged over its positions. The student's vectors are each projected to `width`; for each scale of the
    teacher they are added with weights that are the softmax of learnt numbers, so that each scale finds the depth of the
    student that shows its geometry. At first all depths count alike. The teacher's vectors are kept.
    """

    Options = GeometricOptions
    options: GeometricOptions
    instead = "name taps and teacher_taps that the networks have"
    kept = KEPT

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        one, other = sides("geometric", student, teacher)
        own, of_teacher = self.options.taps, self.options.of_teacher
        widths = [one.map(tap, "name maps; for embeddings use rkd")[0] for tap in own]
        self.teacher_widths = [other.map(tap, "name maps; for embeddings use rkd")[0] for tap in of_teacher]
        self.project = nn.ModuleList(nn.Linear(width, self.options.width, bias=False) for width in widths)
        self.depth = nn.Parameter(torch.zeros(len(of_teacher), len(own)))

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """The scales of each."""
        assert isinstance(options, GeometricOptions)
        return Taps(tuple(options.taps), tuple(options.of_teacher))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """The fused vectors [B, teacher's scales, width]."""
        del targets
        vectors = [outputs.features[tap].mean((2, 3)) for tap in self.options.taps]
        projected = [project(vector) for project, vector in zip(self.project, vectors, strict=True)]
        return {FUSED: torch.einsum("ts,bsw->btw", self.depth.softmax(1), torch.stack(projected, dim=1))}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """The vectors of all scales, one after the other."""
        del targets
        return {KEPT: torch.cat([outputs.features[tap].mean((2, 3)) for tap in self.options.of_teacher], dim=1)}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The mean over scales."""
        del targets, temperature
        pairs = list(zip(student[FUSED].unbind(1), teacher[KEPT].split(self.teacher_widths, dim=1), strict=True))
        o = self.options
        return torch.stack([o.distance_weight * distance(s, t) + o.angle_weight * angle(s, t) for s, t in pairs]).mean()


LOSS = Geometric
