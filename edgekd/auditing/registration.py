"""Laying one picture over another: scale and shift along both axes, found by Gauss-Newton steps for many pairs at once.

A content box that is found a few pixels off (a brighter background, a caption, a squeezed copy) must not hide a copy.
Only what a box can get wrong is adjusted; a neighbouring slice does not become the same slice.
Source: Baker and Matthews, IJCV 56(3), 2004 (the gradient of the fixed picture stands for that of the moved one).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

STEPS = ((2.0, 4), (0.0, 3))  # (blur px, steps): first the large features, then all of them
MOST_SCALE, MOST_SHIFT = 0.2, 0.2  # of the side
DAMPING = 1e-3

Array = np.ndarray


def aligned(fixed: Array, moved: Array) -> tuple[Array, Array]:
    """The pictures `moved` [N, S, S] as they lie best over `fixed` [N, S, S], and where they cover it [N, S, S] in [0, 1].

    Pictures are structures of mean about 0. A pair for which the steps run away is given back unmoved.
    """
    side = fixed.shape[-1]
    place = np.linspace(-1, 1, side, dtype=np.float32)
    change = np.zeros((len(fixed), 4), np.float32)  # shift x, scale x, shift y, scale y; in half sides
    for blur, steps in STEPS:
        a, b = (_blurred(p, blur) for p in (fixed, moved))
        gy, gx = np.gradient(a, 2 / (side - 1), axis=(1, 2))
        slopes = np.stack([gx, gx * place, gy, gy * place[:, None]], 1).reshape(len(a), 4, -1)
        normal = slopes @ slopes.transpose(0, 2, 1)
        trace = np.einsum("nii->n", normal)[:, None, None]
        normal += (DAMPING * trace + 1e-9) * np.eye(4, dtype=np.float32)
        for _ in range(steps):
            moved_b, _ = _warp(b, change, place)
            gradient = slopes @ (a - moved_b).reshape(len(a), -1, 1)
            change = change + np.linalg.solve(normal, gradient)[:, :, 0]
            change = np.clip(change, -2 * MOST_SHIFT, 2 * MOST_SHIFT)
    far = (np.abs(change[:, [1, 3]]) > MOST_SCALE).any(1) | (np.abs(change[:, [0, 2]]) > 2 * MOST_SHIFT * 0.99).any(1)
    change[far] = 0
    return _warp(moved, change, place)


def _warp(pictures: Array, change: Array, place: Array) -> tuple[Array, Array]:
    """Pictures at place * (1 + scale) + shift, linearly interpolated, 0 outside; and the cover."""
    columns = _taps(change[:, 0], change[:, 1], place)
    rows = _taps(change[:, 2], change[:, 3], place)
    cover = rows.sum(2)[:, :, None] * columns.sum(2)[:, None, :]
    return rows @ pictures @ columns.transpose(0, 2, 1), cover


def _taps(shift: Array, scale: Array, place: Array) -> Array:
    """Weights [N, S, S] of linear interpolation along one axis: row = where to, column = where from."""
    side = len(place)
    source = (place[None, :] * (1 + scale[:, None]) + shift[:, None] + 1) * ((side - 1) / 2)
    index = np.arange(side, dtype=np.float32)
    return np.maximum(1 - np.abs(source[:, :, None] - index), 0)


@lru_cache(maxsize=4)
def _kernel(side: int, sigma: float) -> Array:
    index = np.arange(side)
    weights = np.exp(-0.5 * ((index[:, None] - index[None, :]) / sigma) ** 2)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _blurred(pictures: Array, sigma: float) -> Array:
    if sigma == 0:
        return pictures
    kernel = _kernel(pictures.shape[-1], sigma)
    return kernel @ pictures @ kernel.T
