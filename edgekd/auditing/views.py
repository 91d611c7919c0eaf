"""The eight ways in which a copy can lie: four flips, and the same after the axes are swapped.

A picture is stored as four quarter-size parts that are even or odd under each flip. A flip only changes the signs of
parts, so four small dot products give the correlation under all four flips for the price of one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

Array = np.ndarray


@dataclass(frozen=True)
class View:
    """How the second image of a pair must be turned to match the first: swap the axes first, then flip."""

    kind: str
    words: str
    swap: bool
    left_right: bool
    up_down: bool

    def apply(self, pixels: Array) -> Array:
        """The view of pixels [..., H, W]."""
        turned = np.swapaxes(pixels, -1, -2) if self.swap else pixels
        turned = turned[..., :, ::-1] if self.left_right else turned
        return turned[..., ::-1, :] if self.up_down else turned

    def turn(self, image: Image.Image) -> Image.Image:
        """The view of a Pillow image."""
        for wanted, change in (
            (self.swap, Image.Transpose.TRANSPOSE),
            (self.left_right, Image.Transpose.FLIP_LEFT_RIGHT),
            (self.up_down, Image.Transpose.FLIP_TOP_BOTTOM),
        ):
            image = image.transpose(change) if wanted else image
        return image


VIEWS = (
    View("near", "as it is", False, False, False),
    View("mirrored", "mirrored left-right", False, True, False),
    View("upside_down", "turned upside-down", False, False, True),
    View("rotated_180", "rotated by 180°", False, True, True),
    View("transposed", "mirrored along the diagonal", True, False, False),
    View("rotated_270", "rotated by 90° to the right", True, True, False),
    View("rotated_90", "rotated by 90° to the left", True, False, True),
    View("transposed", "mirrored along the other diagonal", True, True, True),
)
# Rows: the four flips in the order of VIEWS; columns: the parts in the order of `parts`.
SIGNS = np.array([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], np.float32)


def parts(pictures: Array) -> Array:
    """Parts [N, 4, S/2, S/2] of pictures [N, S, S], S even: even-even, odd in x, odd in y, odd in both.

    Orthogonal: the dot product of two pictures is the sum of the dot products of their parts.
    """
    half = pictures.shape[-1] // 2
    left, right = pictures[:, :, :half], pictures[:, :, : half - 1 : -1]
    across = np.stack([left + right, left - right], 1)  # [N, x parity, S, S/2]
    top, bottom = across[:, :, :half], across[:, :, : half - 1 : -1]
    return np.concatenate([top + bottom, top - bottom], 1) * np.float32(0.5)


def swapped(stored: Array) -> Array:
    """The parts [N, 4, H, H] of the same pictures with their axes swapped."""
    return np.swapaxes(stored[:, [0, 2, 1, 3]], -1, -2)


def correlations(a: Array, b: Array) -> Array:
    """Dot products [N, 8] of the pictures whose parts [N, 4, H, H] are `a` with those of `b` under every view."""
    found = []
    for other in (b, swapped(b)):
        dots = np.einsum("nphw,nphw->np", a, other)
        found.append(dots @ SIGNS.T)
    return np.concatenate(found, 1)


def whole(stored: Array) -> Array:
    """The pictures [N, S, S] of parts [N, 4, S/2, S/2]."""
    even, odd_x, odd_y, odd = (stored[:, i] for i in range(4))
    rows = []
    for y in (1, -1):
        left, right = even + y * odd_y + odd_x + y * odd, even + y * odd_y - odd_x - y * odd
        rows.append(np.concatenate([left, right[:, :, ::-1]], 2))
    return np.concatenate([rows[0], rows[1][:, ::-1]], 1) * np.float32(0.5)
