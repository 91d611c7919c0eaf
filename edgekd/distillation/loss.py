"""What a distillation loss is: a module that says what it reads of student and teacher, and compares both.

Its parameters (projectors) learn beside the student and are never shipped. It works in three steps, so that several
processes can share a batch and what a teacher says can be kept: `of_student` on this process's rows, inside the trained
module; `of_teacher` on the same rows, without gradient; `compare` on the rows of all processes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from edgekd.networks import taps
from edgekd.networks.taps import Outputs, Shapes
from edgekd.section import Section

LOGITS = taps.LOGITS
Values = dict[str, Tensor]  # what a loss takes of one side, by its own names; the first dimension is the batch


class LossOptions(Section):
    """What a recipe may say of any loss."""

    weight: float = Field(1.0, ge=0)


class TapOptions(LossOptions):
    """What a recipe may say of a loss that compares one tap of both networks."""

    tap: str = "last"  # of the student, and of the teacher unless `teacher_tap` names another
    teacher_tap: str = ""

    @property
    def of_teacher(self) -> str:
        """The teacher's tap."""
        return self.teacher_tap or self.tap


class SeveralTapsOptions(LossOptions):
    """What a recipe may say of a loss that compares several taps of both networks."""

    taps: list[str] = Field(["stage2", "stage3", "stage4"], min_length=1)  # of the student
    teacher_taps: list[str] = []  # the teacher's, unless they are the same

    @property
    def of_teacher(self) -> list[str]:
        """The teacher's taps."""
        return self.teacher_taps or self.taps


@dataclass(frozen=True)
class Taps:
    """The taps that a loss reads of each network."""

    student: tuple[str, ...] = ()
    teacher: tuple[str, ...] = ()


class Loss(nn.Module):
    """A loss; built from its options and the shapes of its taps.

    `needs_student_gradient`, `needs_teacher_gradient`: whether `of_student`, `of_teacher` differentiate the outputs.
    `kept`: the name of the one value that `of_teacher` gives where that is small enough for the store; it is a function of the
    teacher and the options alone, as every student reads it, and VERSION is raised when it gives other values for the same
    outputs. TAUGHT_VERSION is raised when the same outputs teach a student otherwise. `instead`: what else to use where a
    network lacks a tap.
    Raises (when built): EdgekdError if the taps of student and teacher cannot meet.
    """

    VERSION: ClassVar[int] = 1
    TAUGHT_VERSION: ClassVar[int] = 1
    Options: ClassVar[type[LossOptions]] = LossOptions
    needs_student_gradient: ClassVar[bool] = False
    needs_teacher_gradient: ClassVar[bool] = False
    instead: ClassVar[str] = ""
    kept: str = ""

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__()
        self.options = options
        del student, teacher

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """What it reads beside the logits."""
        del options
        return Taps()

    def check(self, student: nn.Module, teacher: Callable[[], nn.Module]) -> None:
        """Try what shapes do not tell; `teacher` builds it.

        Raises: EdgekdError.
        """

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """What it takes of the student, differentiable; `targets` [B, K] are labels, the teacher's where there are none."""
        del outputs, targets
        return {}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """What it takes of the teacher; uses no parameter that learns."""
        del outputs, targets
        return {}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The scalar that is minimised; both sides hold `LOGITS` [B, K] too."""
        raise NotImplementedError


LogitFunction = Callable[[Tensor, Tensor, Tensor, float], Tensor]


def on_logits(function: LogitFunction) -> type[Loss]:
    """The loss that is a pure function of student logits [B, K], teacher logits [B, K], soft targets [B, K], temperature."""

    class OnLogits(Loss):
        def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
            return function(student[LOGITS], teacher[LOGITS], targets, temperature)

    OnLogits.__name__ = OnLogits.__qualname__ = function.__name__
    return OnLogits
