"""One-for-all: each stage of the student answers in logits, where unlike architectures meet (Hao et al., NeurIPS 2023)."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from edgekd.distillation.alignment import sides
from edgekd.distillation.loss import LOGITS, Loss, LossOptions, Taps, Values
from edgekd.networks.taps import Outputs, Shapes


class OfaOptions(LossOptions):
    """The paper's stages and temperature; ε 1 is plain cross-entropy with the teacher's probabilities."""

    taps: list[str] = Field(["stage1", "stage2", "stage3", "stage4"], min_length=1)
    eps: float = Field(1.5, ge=1)
    temperature: float = Field(1.0, gt=0)


class Ofa(Loss):
    """Σ over the student's stages and its own logits of `adaptive_target` (Hao et al., NeurIPS 2023).

    A stage's head is a depthwise 3×3 and a pointwise convolution, ReLU, the mean over positions and a linear layer (the
    paper strides several such convolutions down, with BatchNorm). Of the teacher it needs the logits alone.
    """

    Options = OfaOptions
    options: OfaOptions
    instead = "name taps that the student has"

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        side, _ = sides("ofa", student, teacher)
        channels = {
            tap: side.map(tap, "name maps: the embedding has the logits already")[0] for tap in self.options.taps
        }
        classes = student[LOGITS][0]
        self.heads = nn.ModuleDict({tap: head(width, classes) for tap, width in channels.items()})

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """The student's alone."""
        assert isinstance(options, OfaOptions)
        return Taps(student=tuple(options.taps))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """Logits [B, K] by stage."""
        del targets
        return {tap: head(outputs.features[tap]) for tap, head in self.heads.items()}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The sum over stages and the student's own logits."""
        del temperature
        o, told = self.options, teacher[LOGITS]
        said = [student[name] for name in (*o.taps, LOGITS)]
        return torch.stack([adaptive_target(logits, told, targets, o.eps, o.temperature) for logits in said]).sum()


def head(channels: int, classes: int) -> nn.Sequential:
    """Logits [B, K] of a map [B, C, H, W]."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels),
        nn.Conv2d(channels, channels, 1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(channels, classes),
    )


def adaptive_target(student: Tensor, teacher: Tensor, targets: Tensor, eps: float, temperature: float) -> Tensor:
    """−Σ over classes of [(p_T + 1_y)^ε − 1_y] · log p_S, batch mean; y is the largest soft target.

    The surer the teacher is of the right class, the more that class counts; from ε 1 on the others count less.
    """
    y = functional.one_hot(targets.argmax(1), targets.shape[1])
    weights = (functional.softmax(teacher / temperature, dim=1) + y) ** eps - y
    return -(weights * functional.log_softmax(student / temperature, dim=1)).sum(1).mean()


LOSS = Ofa
