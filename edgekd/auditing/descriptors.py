"""What is kept of an image: two thumbnails, their structure without brightness and contrast, and a short vector.

The structure is the thumbnail after local contrast normalisation: each pixel minus the mean of its surroundings, over
their deviation. A change of brightness, contrast or gamma leaves it almost as it is. It holds the folds and edges by
which neighbouring slices differ, where plain correlation sees only that both are heads.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from PIL import Image

from edgekd.auditing.views import parts

SIDE = 64  # px of a thumbnail
LARGEST = 256  # px; larger images are reduced before anything is looked for in them
FINE = (0.7, 3.0, 0.08)  # noise filter px, surroundings px, floor of the deviation as a fraction of the whole image's
COARSE = (1.0, 5.0, 0.15)  # the same for the short vector: larger features, which bear a box that is a pixel off
WAVES = 12  # of the discrete cosine transform per axis

Array = np.ndarray


def thumbnails(image: Image.Image) -> Array:
    """[2, SIDE, SIDE] uint8 grey: the whole image, and the box around what is not background stretched to the square.

    The box undoes squeezing, padding and cropping to the content.
    """
    grey = image.convert("L")
    if max(grey.size) > LARGEST:
        scale = LARGEST / max(grey.size)
        size = tuple(max(1, round(side * scale)) for side in grey.size)
        grey = grey.resize((size[0], size[1]), Image.Resampling.BILINEAR, reducing_gap=2.0)
    box = content_box(grey)
    return np.stack(
        [
            np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR)),
            np.asarray(grey.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=box)),
        ]
    )


def content_box(grey: Image.Image) -> tuple[int, int, int, int]:
    """Left, top, right, bottom of what is brighter than the background; the whole image where there is no such thing.

    The threshold lies half-way between background and Otsu's. A row or column counts from 8 % of the fullest ones on, a
    measure that does not change when black is added around the content. Thin lines (a frame, a ruler) are no content.
    """
    histogram = np.array(grey.histogram(), dtype=np.float64)
    pixels = np.asarray(grey)
    share = np.cumsum(histogram) / histogram.sum()
    threshold = (otsu(histogram) + float(np.searchsorted(share, 0.02))) / 2
    mask = pixels > threshold
    spans = []
    for counts, side in ((mask.sum(0), grey.width), (mask.sum(1), grey.height)):
        fullest = np.sort(counts)[-max(1, side // 40)]
        filled = np.flatnonzero(counts > 0.08 * fullest)
        runs = [run for run in np.split(filled, np.flatnonzero(np.diff(filled) > 1) + 1) if len(run) >= 0.03 * side]
        if sum(len(run) for run in runs) < 0.2 * side:
            return (0, 0, grey.width, grey.height)
        spans.append((int(runs[0][0]), int(runs[-1][-1]) + 1))
    return (spans[0][0], spans[1][0], spans[0][1], spans[1][1])


def otsu(histogram: Array) -> float:
    """The grey value that separates a histogram [256] best into two classes.

    Source: Otsu, IEEE Trans. SMC 9(1), 1979.
    """
    share = histogram / histogram.sum()
    below, mean = np.cumsum(share), np.cumsum(share * np.arange(256))
    between = (mean[-1] * below - mean) ** 2 / np.maximum(below * (1 - below), 1e-9)
    return float(between.argmax())


@lru_cache(maxsize=8)
def _blur(sigma: float) -> Array:
    """Gaussian blur along one axis as a matrix [SIDE, SIDE]; each row is normalised, so borders do not darken."""
    index = np.arange(SIDE)
    weights = np.exp(-0.5 * ((index[:, None] - index[None, :]) / sigma) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def structure(thumbs: Array, setting: tuple[float, float, float]) -> Array:
    """Local contrast normalisation of thumbnails [N, SIDE, SIDE] uint8, as float32 pictures of mean 0 and norm 1.

    An image without any structure gives zeros, which resemble nothing.
    """
    noise, surroundings, floor = setting
    pixels = thumbs.astype(np.float32)
    smooth, mean = _blur(noise), _blur(surroundings)
    pixels = smooth @ pixels @ smooth.T
    detail = pixels - mean @ pixels @ mean.T
    # At least one grey value: rounding and the codec's noise in an even image are no structure.
    least = np.maximum(floor * pixels.std(axis=(1, 2), keepdims=True), 1.0)
    detail /= np.sqrt(np.maximum(mean @ (detail * detail) @ mean.T, 0) + least**2)
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    norm = np.sqrt((detail * detail).sum(axis=(1, 2), keepdims=True))
    return np.where(norm > 1.0, detail / np.maximum(norm, 1.0), 0).astype(np.float32)


def fine(thumbs: Array) -> Array:
    """The structure of thumbnails [N, SIDE, SIDE] as it is stored: parts [N, 4, SIDE/2, SIDE/2] int8, scaled to +-127.

    Eight bits cost less than 0.001 of a correlation and a quarter of the memory.
    """
    pictures = parts(structure(thumbs, FINE))
    largest = np.abs(pictures).max(axis=(1, 2, 3), keepdims=True)
    return np.rint(pictures * (127 / np.maximum(largest, 1e-6))).astype(np.int8)


def unit(stored: Array) -> Array:
    """Stored parts as float32 of norm 1, or 0 for an image without structure."""
    values = stored.astype(np.float32)
    norm = np.sqrt(np.einsum("nphw,nphw->n", values, values))
    return values / np.maximum(norm, 1e-6)[:, None, None, None]


@lru_cache(maxsize=1)
def _cosines() -> Array:
    """The first WAVES rows of the orthonormal DCT-II of SIDE points."""
    wave, place = np.arange(WAVES)[:, None], (np.arange(SIDE) + 0.5)[None, :]
    table = np.cos(np.pi * wave * place / SIDE) * np.sqrt(2 / SIDE)
    table[0] /= np.sqrt(2)
    return table.astype(np.float32)


def coarse(thumbs: Array) -> Array:
    """[N, WAVES, WAVES] float32 of norm 1 (or 0): low cosine coefficients of the structure, rows by vertical wave.

    A flip of the image changes the sign of the odd ones along its axis; swapped axes swap the indices.
    """
    table = _cosines()
    waves = table @ structure(thumbs, COARSE) @ table.T
    norm = np.sqrt((waves * waves).sum(axis=(1, 2), keepdims=True))
    return (waves / np.maximum(norm, 1e-6)).astype(np.float32)


def flip_invariant(waves: Array) -> Array:
    """Vectors [N, WAVES * WAVES] that no flip changes: coefficients that are odd along an axis lose their sign.

    The distance of two such vectors is never more than that of the images under the flip that fits best, for
    ||x| - |y|| <= |x ± y|: what lies within a radius is never missed, there are only more candidates to look at.
    """
    odd = np.arange(WAVES) % 2
    either = (odd[:, None] + odd[None, :]) > 0
    return np.where(either, np.abs(waves), waves).reshape(len(waves), -1)
