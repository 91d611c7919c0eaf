"""Cosine alignment of features through a learned projection: direction counts, and not length as in L2."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from edgekd.distillation.alignment import pooled, sides, smaller
from edgekd.distillation.loss import Loss, LossOptions, TapOptions, Taps, Values
from edgekd.networks.taps import Outputs, Shapes

MAPS, VECTORS = "map", "embedding"


class CosineFeature(Loss):
    """1 − cos(P(f_S), f_T) over channels, mean over positions and images; P a learned 1×1 convolution with bias.

    Maps meet on the smaller of both grids, the larger one averaged to it. Of an embedding P is a linear layer, and the
    teacher's is kept; maps are computed anew each time.
    """

    Options = TapOptions
    options: TapOptions
    name: ClassVar[str] = "cosine_feature"  # in errors
    instead = "tap = 'last' with teacher_tap = 'last', which all have"

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        one, other = sides(self.name, student, teacher)
        tap, of_teacher = self.options.tap, self.options.of_teacher
        if one.is_map(tap) or other.is_map(of_teacher):
            s = one.map(tap, "let tap and teacher_tap both name maps, or both the embedding")
            t = other.map(of_teacher, "let tap and teacher_tap both name maps, or both the embedding")
            self.grid = smaller(s, t)
            self.project: nn.Module = nn.Conv2d(s[0], t[0], 1)
        else:
            self.project = nn.Linear(one.vector(tap, self.instead), other.vector(of_teacher, self.instead))
            self.kept = VECTORS

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """One of each."""
        assert isinstance(options, TapOptions)
        return Taps((options.tap,), (options.of_teacher,))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """P(f_S)."""
        del targets
        features = outputs.features[self.options.tap]
        if self.kept:
            return {VECTORS: self.project(features)}
        return {MAPS: self.project(pooled(features, self.grid))}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """f_T."""
        del targets
        features = outputs.features[self.options.of_teacher]
        return {VECTORS: features} if self.kept else {MAPS: pooled(features, self.grid)}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """1 − cos, between 0 and 2."""
        del targets, temperature
        name = self.kept or MAPS
        return 1 - functional.cosine_similarity(student[name], teacher[name], dim=1).mean()


LOSS = CosineFeature
