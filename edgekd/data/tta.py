"""Test-time augmentation: the plain view and four light changes, whose probabilities are averaged.

Pillow on uint8 pixels, so that it serves every runtime, also where torch is not installed.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

TURN_DEG = 5.0
ENLARGE = 1.05


def tta_views(pixels: np.ndarray) -> list[np.ndarray]:
    """Five views of pixels [B, S, S, 3] uint8, each of the same shape: plain, mirrored, turned both ways, enlarged."""
    turned = [_affine(pixels, angle, 1.0) for angle in (-TURN_DEG, TURN_DEG)]
    return [pixels, np.ascontiguousarray(pixels[:, :, ::-1]), *turned, _affine(pixels, 0.0, ENLARGE)]


def _affine(pixels: np.ndarray, angle_deg: float, scale: float) -> np.ndarray:
    """Each image turned and enlarged about its centre, bilinear, black outside."""
    size = pixels.shape[1]
    cos, sin = (f(math.radians(angle_deg)) / scale for f in (math.cos, math.sin))
    centre = size / 2
    offset_x = centre - cos * centre - sin * centre
    offset_y = centre + sin * centre - cos * centre
    matrix = (cos, sin, offset_x, -sin, cos, offset_y)
    changed = [
        Image.fromarray(p).transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
        for p in pixels
    ]
    return np.stack([np.asarray(c) for c in changed])
