"""How alike two images are, and under which view: correlation of their structure, after alignment where that may matter."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from edgekd.auditing.descriptors import unit
from edgekd.auditing.reading import processors
from edgekd.auditing.registration import aligned
from edgekd.auditing.views import VIEWS, correlations, whole

FRAMES = ("whole image", "content box", "whole image, aligned", "content box, aligned")
REACH = 0.25  # pairs that are less than this below the line are aligned before they are judged
# Alignment also brings neighbouring slices closer, by about as much: what it gains counts from here on.
ALIGNMENT_GAIN = 0.01
FRAME_MARGIN = 0.02  # by which the content boxes must agree better than the whole images to be named
LEAST_COVER = 0.7  # of the picture that an aligned copy must still cover
BATCH = 128  # pairs: their arrays stay near the processor

Array = np.ndarray


@dataclass(frozen=True)
class Comparison:
    """One row per pair: `pairs` [M, 2], `similarity` [M], `view` [M] index into VIEWS, `frame` [M] index into FRAMES."""

    pairs: Array
    similarity: Array
    view: Array
    frame: Array

    def __len__(self) -> int:
        return len(self.pairs)

    def where(self, mask: Array) -> Comparison:
        """The rows that a mask or an index selects."""
        return Comparison(self.pairs[mask], self.similarity[mask], self.view[mask], self.frame[mask])


def compare(
    fine: Array, pairs: Array, duplicate: float, progress: Callable[[int, int], None] | None = None
) -> Comparison:
    """Compare pairs [M, 2] of images with the stored structures `fine` [2, N, 4, H, H]; `duplicate` is the line."""
    batches = [pairs[begin : begin + BATCH] for begin in range(0, len(pairs), BATCH)]
    found: list[tuple[Array, Array, Array]] = []
    with ThreadPoolExecutor(min(8, processors())) as pool:
        for result in pool.map(lambda batch: _batch(fine, batch, duplicate), batches):
            found.append(result)
            if progress:
                progress(len(found), len(batches))
    if not found:
        return Comparison(pairs, np.zeros(0, np.float32), np.zeros(0, np.int64), np.zeros(0, np.int64))
    similarity, view, frame = (np.concatenate(column) for column in zip(*found, strict=True))
    return Comparison(pairs, similarity, view, frame)


def _batch(fine: Array, pairs: Array, duplicate: float) -> tuple[Array, Array, Array]:
    first, second = ([unit(f[pairs[:, side]]) for f in fine] for side in (0, 1))
    scores = np.stack([correlations(a, b) for a, b in zip(first, second, strict=True)], 1)  # [n, frame, view]
    best = scores.reshape(len(pairs), -1).argmax(1)
    frame, view = np.divmod(best, len(VIEWS))
    similarity = scores.reshape(len(pairs), -1).max(1)
    close = np.flatnonzero((similarity < duplicate) & (similarity >= duplicate - REACH))
    if len(close):
        a, b = (np.stack(side)[frame[close], close] for side in (first, second))
        score = _aligned(a, b, view[close]) - ALIGNMENT_GAIN
        better = score > similarity[close]
        rows = close[better]
        similarity[rows], frame[rows] = score[better], frame[rows] + 2
    # The box of an untouched copy may fit better by a hair: that is no sign of squeezing or cropping.
    untouched = (frame == 1) & (scores[np.arange(len(pairs)), 0, view] >= similarity - FRAME_MARGIN)
    return np.clip(similarity, -1, 1), view, np.where(untouched, 0, frame)


def _aligned(a: Array, b: Array, view: Array) -> Array:
    """Correlation [n] after alignment of the pictures with parts `a` and `b` [n, 4, H, H]; 0 where they hardly overlap."""
    fixed, moved = whole(a), whole(b)
    for index in np.unique(view):
        moved[view == index] = VIEWS[index].apply(moved[view == index])
    laid, cover = aligned(fixed, moved)
    under = fixed * cover
    norms = np.sqrt((under**2).sum((1, 2)) * (laid**2).sum((1, 2)))
    score = (under * laid).sum((1, 2)) / np.maximum(norms, 1e-6)
    return np.where(cover.mean((1, 2)) >= LEAST_COVER, score, 0).astype(np.float32)
