"""How features of two networks meet: shapes that are checked before any training, and grids that are brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.networks.taps import Shapes

Grid = tuple[int, int]  # positions of a map: H, W


@dataclass(frozen=True)
class Side:
    """The shapes of what a loss reads of one network; `name` is "student" or "teacher"."""

    loss: str
    name: str
    shapes: Shapes

    def map(self, tap: str, instead: str) -> tuple[int, int, int]:
        """(C, H, W) of a tap that has to be a map.

        Raises: EdgekdError that says what to use `instead`.
        """
        channels, height, width = self._shape(tap, 3, "a map with positions [C, H, W]", instead)
        return channels, height, width

    def vector(self, tap: str, instead: str) -> int:
        """C of a tap that has to be a vector.

        Raises: EdgekdError that says what to use `instead`.
        """
        return self._shape(tap, 1, "a vector [C]", instead)[0]

    def is_map(self, tap: str) -> bool:
        """Whether a tap has positions."""
        return len(self.shapes.get(tap, ())) == 3

    def _shape(self, tap: str, dimensions: int, expected: str, instead: str) -> tuple[int, ...]:
        shape = self.shapes.get(tap)
        if shape is None or len(shape) != dimensions:
            found = "no such tap" if shape is None else str(list(shape))
            raise self.refusal(tap, expected, found, instead)
        return shape

    def refusal(self, tap: str, expected: str, found: str, instead: str) -> EdgekdError:
        """The error for a tap that does not fit."""
        return EdgekdError(f"distillation.losses.{self.loss}: {self.name} tap {tap!r}", expected, found, instead)


def sides(loss: str, student: Shapes, teacher: Shapes) -> tuple[Side, Side]:
    """Both networks as a loss sees them."""
    return Side(loss, "student", student), Side(loss, "teacher", teacher)


def smaller(a: Sequence[int], b: Sequence[int]) -> Grid:
    """The grid that maps of shape [C, H, W] are both pooled to: nothing is made up between positions."""
    return min(a[1], b[1]), min(a[2], b[2])


def pooled(features: Tensor, grid: Grid) -> Tensor:
    """A map [B, C, H, W] averaged to a grid of at most its own size."""
    return features if features.shape[2:] == grid else functional.adaptive_avg_pool2d(features, grid)


def resized(features: Tensor, grid: Grid) -> Tensor:
    """A map [B, C, H, W] on any grid: averaged to a smaller one, bilinear on a larger one."""
    if features.shape[2] >= grid[0] and features.shape[3] >= grid[1]:
        return pooled(features, grid)
    return functional.interpolate(features, grid, mode="bilinear", align_corners=False)
