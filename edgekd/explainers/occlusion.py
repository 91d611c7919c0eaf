"""Occlusion: how far the probability falls when a square hides a place (Zeiler and Fergus, ECCV 2014).

Squares as in the Android demo: a seventh of the side, overlapping by half, the last one flush with the far edge.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from edgekd.preprocess import Colour
from edgekd.runtimes import Session
from edgekd.runtimes.sessions import streamed
from edgekd.section import Section


class Options(Section):
    """Squares have one of `parts` of the side, rounded up, and this colour."""

    parts: int = Field(7, ge=1, le=64)
    colour: Colour = (124, 116, 104)


def explain(session: Session, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """For each pixel the mean fall of the target's probability over the squares that cover it: [S, S] float32."""
    size = len(pixels)
    side = -(-size // options.parts)
    step = max(1, side // 2)
    starts = [min(i * step, size - side) for i in range(-(-(size - side) // step) + 1)]
    squares = [(slice(y, y + side), slice(x, x + side)) for y in starts for x in starts]

    def hidden() -> Iterator[np.ndarray]:
        yield pixels
        for square in squares:
            picture = pixels.copy()
            picture[square] = options.colour
            yield picture

    probs = streamed(session, hidden())[:, target].astype(np.float64)
    total, count = np.zeros((size, size)), np.zeros((size, size))
    for square, prob in zip(squares, probs[1:], strict=True):
        total[square] += probs[0] - prob
        count[square] += 1
    return (total / count).astype(np.float32)
