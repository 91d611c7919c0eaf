"""What losses on heat maps share: maps of the class that is taught, brought to one grid and compared by their cosine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from edgekd.distillation.alignment import resized
from edgekd.distillation.loss import Loss, LossOptions, Values
from edgekd.errors import EdgekdError
from edgekd.networks.modes import evaluating
from edgekd.networks.taps import Outputs

MAPS = "map"
SideName = Literal["student", "teacher"]


class GridOptions(LossOptions):
    """What a recipe may say of the grid that maps are compared on."""

    grid: int = Field(7, ge=2, le=64)  # positions per side


class HeatmapLoss(Loss):
    """1 − cos(R_S, R_T), the mean over images; R the map of each image's class on the grid. The teacher's is kept."""

    Options = GridOptions
    options: GridOptions
    kept = MAPS
    name: ClassVar[str]
    instead = "use kd, which needs no map"

    def heatmap(self, outputs: Outputs, classes: Tensor, side: SideName) -> Tensor:
        """The map [B, H, W] of the classes [B], differentiable where gradients are enabled and `side` is the student."""
        raise NotImplementedError

    def check(self, student: nn.Module, teacher: Callable[[], nn.Module]) -> None:
        """Draw the map of a grey picture with both networks."""
        sides: tuple[tuple[SideName, nn.Module], ...] = (("student", student), ("teacher", teacher()))
        for side, network in sides:
            try:
                with evaluating(network):
                    self.heatmap(_grey(network), torch.zeros(1, dtype=torch.int64), side)
            except EdgekdError as e:
                where = f"distillation.losses.{self.name}: {side}: {e.where}"
                raise EdgekdError(
                    where, e.expected, e.found, f"{e.todo}; or {self.instead}".removeprefix("; or ")
                ) from None

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """Its map."""
        return {MAPS: on_grid(self.heatmap(outputs, targets.argmax(1), "student"), self.options.grid)}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """Its map."""
        return {MAPS: on_grid(self.heatmap(outputs, targets.argmax(1), "teacher").detach(), self.options.grid)}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """Between 0 and 2. A map that is 0 everywhere is unlike any: it counts 1 and teaches nothing."""
        del targets, temperature
        return 1 - (directions(student[MAPS]) * directions(teacher[MAPS])).sum(1).mean()


def on_grid(maps: Tensor, grid: int) -> Tensor:
    """Maps [B, H, W] -> directions [B, grid · grid] of length 1, which half precision holds whatever a map's unit is."""
    return directions(resized(maps[:, None], (grid, grid)).flatten(1))


def directions(rows: Tensor) -> Tensor:
    """Rows [B, N] over their length; rows of zeros stay zeros, and their gradient is 0."""
    size = rows.detach().abs().amax(1, keepdim=True)
    is_zero = size == 0
    rows = rows / size.masked_fill(is_zero, 1)  # squares of small numbers would vanish
    length = rows.square().sum(1, keepdim=True).masked_fill(is_zero, 1).sqrt()
    return (rows / length).masked_fill(is_zero, 0)


def _grey(network: Any) -> Outputs:
    """A network that has not been asked yet, and a picture for it."""
    like = next(network.parameters())
    views = torch.full((1, 3, network.size, network.size), 128.0, device=like.device, dtype=like.dtype)
    return Outputs(views.new_zeros(1, 0), network=network, views=views)
