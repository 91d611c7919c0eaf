"""Alignment: finds scale and shift, gives back what does not fit."""

import numpy as np

from edgekd.auditing.descriptors import FINE, structure, thumbnails
from edgekd.auditing.registration import aligned


def test_a_shifted_and_stretched_picture_is_laid_back(slices):
    fixed, moved = [], []
    for image in slices[:6]:
        fixed.append(thumbnails(image)[0])
        moved.append(thumbnails(image.crop((5, 3, 125, 126)).resize(image.size))[0])
    a, b = structure(np.stack(fixed), FINE), structure(np.stack(moved), FINE)
    laid, cover = aligned(a, b)
    before = (a * b).sum((1, 2))
    after = (a * laid).sum((1, 2)) / np.linalg.norm(laid, axis=(1, 2)) / np.linalg.norm(a * cover, axis=(1, 2))
    assert before.max() < 0.7
    assert after.min() > 0.9
    assert (cover >= 0).all()
    assert cover.max() <= 1 + 1e-5


def test_what_runs_away_comes_back_unmoved():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 20, 64, 64)).astype(np.float32)
    laid, _ = aligned(a, b)
    assert np.isfinite(laid).all()
    flat = np.zeros((1, 64, 64), np.float32)
    assert np.array_equal(aligned(flat, flat)[0], flat)
