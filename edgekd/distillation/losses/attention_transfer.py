"""Where a network looks: maps of activation (Zagoruyko & Komodakis, ICLR 2017)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from edgekd.distillation.alignment import pooled, sides, smaller
from edgekd.distillation.loss import Loss, LossOptions, SeveralTapsOptions, Taps, Values
from edgekd.errors import EdgekdError
from edgekd.networks.taps import Outputs, Shapes

KEPT = "attention"


class AttentionTransferOptions(SeveralTapsOptions):
    """The taps in pairs, and the paper's β."""

    beta: float = Field(1000.0, gt=0)


class AttentionTransfer(Loss):
    """Σ over taps of β/2 · mean over positions and images of (Q_S/‖Q_S‖ − Q_T/‖Q_T‖)², β 1000 (ICLR 2017, eq. 2).

    Q [H W] is the sum over channels of squares. Maps meet on the smaller of both grids, the larger Q averaged to it. The
    teacher's Q/‖Q‖ are kept, on its own grid.
    """

    Options = AttentionTransferOptions
    options: AttentionTransferOptions
    instead = "name taps and teacher_taps that the networks have"

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        self.kept = KEPT
        own, of_teacher = self.options.taps, self.options.of_teacher
        if len(own) != len(of_teacher):
            where, found = "distillation.losses.attention_transfer", f"{own} and {of_teacher}"
            raise EdgekdError(where, "as many taps as teacher_taps", found, "name them in pairs, or use geometric")
        one, other = sides("attention_transfer", student, teacher)
        shapes = [one.map(tap, "name a map, or use rkd, which compares embeddings") for tap in own]
        self.grids = [other.map(tap, "name a map, or use rkd, which compares embeddings")[1:] for tap in of_teacher]
        self.common = [smaller(s, (0, *grid)) for s, grid in zip(shapes, self.grids, strict=True)]

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """Pairs of maps."""
        assert isinstance(options, AttentionTransferOptions)
        return Taps(tuple(options.taps), tuple(options.of_teacher))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """Q_S by the student's taps, on the common grids."""
        del targets
        pairs = zip(self.options.taps, self.common, strict=True)
        return {tap: pooled(energy(outputs.features[tap]), grid) for tap, grid in pairs}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """Q_T/‖Q_T‖ of all taps, one after the other: in half precision sums of squares could overflow."""
        del targets
        return {KEPT: torch.cat([unit(energy(outputs.features[tap])) for tap in self.options.of_teacher], dim=1)}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The sum over pairs."""
        del targets, temperature
        parts = teacher[KEPT].split([height * width for height, width in self.grids], dim=1)
        total = teacher[KEPT].new_zeros(())
        for tap, part, grid, common in zip(self.options.taps, parts, self.grids, self.common, strict=True):
            of_teacher = pooled(part.unflatten(1, (1, *grid)), common)
            total = total + functional.mse_loss(unit(student[tap]), unit(of_teacher))
        return self.options.beta / 2 * total


def energy(features: Tensor) -> Tensor:
    """The sum over channels of squares of a map [B, C, H, W]: [B, 1, H, W]."""
    return features.square().sum(1, keepdim=True)


def unit(maps: Tensor) -> Tensor:
    """Maps [B, 1, H, W] as vectors [B, H W] of length 1."""
    return functional.normalize(maps.flatten(1), dim=1)


LOSS = AttentionTransfer
