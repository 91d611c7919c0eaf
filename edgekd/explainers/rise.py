"""RISE: the mean of random masks, each weighted with the probability that it leaves (Petsiuk et al., BMVC 2018)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from pydantic import Field

from edgekd.preprocess import Colour
from edgekd.runtimes import Session
from edgekd.runtimes.sessions import streamed
from edgekd.section import Section


class Options(Section):
    """How many masks of `cells` x `cells`, each cell shown with the probability `shown`; `colour` is where a mask is 0."""

    masks: int = Field(2000, ge=1)
    cells: int = Field(8, ge=1, le=64)
    shown: float = Field(0.5, gt=0, le=1)
    seed: int = Field(0, ge=0)
    colour: Colour = (124, 116, 104)


def explain(session: Session, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """The expected probability of the target where a pixel is shown, [S, S] float32: Σ p(I ⊙ M) M / (N · shown)."""
    size, colour = len(pixels), np.array(options.colour, np.float32)

    def masked() -> Iterator[np.ndarray]:
        for mask in masks(size, options):
            yield (colour + (pixels - colour) * mask[..., None] + 0.5).astype(np.uint8)

    probs = streamed(session, masked())[:, target].astype(np.float64)
    found = np.zeros((size, size))
    for prob, mask in zip(probs, masks(size, options), strict=True):  # drawn again: all of them together need 400 MB
        found += prob * mask
    return (found / (options.masks * options.shown)).astype(np.float32)


def masks(size: int, options: Options) -> Iterator[np.ndarray]:
    """The masks [S, S] in [0, 1]: small ones of 0 and 1, enlarged bilinearly to one more cell, and cut at a random place."""
    rng = np.random.default_rng(options.seed)
    cell = -(-size // options.cells)
    large = (options.cells + 1) * cell
    for _ in range(options.masks):
        small = (rng.random((options.cells, options.cells)) < options.shown).astype(np.float32)
        top, left = rng.integers(0, cell, 2)
        mask = np.asarray(Image.fromarray(small).resize((large, large), Image.Resampling.BILINEAR))
        yield mask[top : top + size, left : left + size]
