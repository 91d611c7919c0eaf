"""What is kept of an image: brightness and contrast leave it, margins leave its content box, a flip its short vector."""

import numpy as np
import pytest
from PIL import Image

from edgekd.auditing.descriptors import (
    COARSE,
    FINE,
    coarse,
    content_box,
    fine,
    flip_invariant,
    otsu,
    structure,
    thumbnails,
    unit,
)
from edgekd.auditing.views import VIEWS, whole


def test_structure_hardly_changes_with_brightness_and_contrast(slices):
    pixels = np.stack([np.asarray(s.resize((64, 64))) for s in slices[:8]]).astype(np.float32)
    edited = np.clip(pixels * 0.6 + 30, 0, 255).astype(np.uint8)
    a, b = structure(pixels.astype(np.uint8), FINE), structure(edited, FINE)
    assert (a * b).sum((1, 2)).min() > 0.98


@pytest.mark.parametrize("image", [np.full((64, 64), 90), np.zeros((64, 64))])
def test_an_image_without_structure_resembles_nothing(image):
    thumbs = image.astype(np.uint8)[None]
    assert not structure(thumbs, FINE).any()
    assert not coarse(thumbs).any()
    assert not unit(fine(thumbs)).any()


def test_eight_bits_are_enough(slices):
    thumbs = np.stack([thumbnails(s)[0] for s in slices])
    exact, stored = structure(thumbs, FINE), whole(unit(fine(thumbs)))
    assert (exact * stored).sum((1, 2)).min() > 0.999


def test_the_content_box_finds_a_head_that_was_moved(slices):
    page = Image.new("L", (300, 300))
    page.paste(slices[0], (20, 100))
    left, top, right, bottom = content_box(slices[0])
    found = content_box(page)
    assert np.abs(np.subtract(found, (left + 20, top + 100, right + 20, bottom + 100))).max() <= 2


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_odd_sizes_are_no_problem(size):
    assert thumbnails(Image.new("RGB", size, (9, 99, 199))).shape == (2, 64, 64)


def test_an_empty_page_is_its_own_content():
    assert content_box(Image.new("L", (50, 40), 7)) == (0, 0, 50, 40)


def test_otsu_separates_two_peaks():
    histogram = np.zeros(256)
    histogram[[20, 21, 180, 181]] = 10
    assert 21 <= otsu(histogram) < 180


def test_the_short_vector_never_lengthens_a_distance(slices):
    thumbs = np.stack([thumbnails(s)[0] for s in slices[:16]])
    waves = coarse(thumbs)
    short = np.linalg.norm(flip_invariant(waves)[:, None] - flip_invariant(waves)[None], axis=2)
    flips = [VIEWS[i].apply(structure(thumbs, COARSE)) for i in range(4)]
    real = np.min([np.linalg.norm((waves[:, None] - _waves(f)[None]).reshape(16, 16, -1), axis=2) for f in flips], 0)
    assert (short <= real + 1e-4).all()


def _waves(pictures):
    from edgekd.auditing.descriptors import _cosines

    found = _cosines() @ pictures @ _cosines().T
    return found / np.linalg.norm(found, axis=(1, 2), keepdims=True)
