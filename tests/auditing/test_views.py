"""The eight views: turning arrays and images alike, and all correlations from the stored parts."""

import numpy as np
import pytest
from PIL import Image

from edgekd.auditing.views import VIEWS, correlations, parts, swapped, whole

PICTURES = np.random.default_rng(0).standard_normal((5, 8, 8)).astype(np.float32)


def test_the_eight_views_are_eight():
    grid = np.arange(9).reshape(3, 3)
    assert len({view.apply(grid).tobytes() for view in VIEWS}) == 8


@pytest.mark.parametrize("view", VIEWS, ids=lambda v: v.words)
def test_images_turn_as_arrays_do(view):
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(np.asarray(view.turn(Image.fromarray(pixels))), view.apply(pixels))


@pytest.mark.parametrize(
    ("kind", "turn"),
    [
        ("mirrored", Image.Transpose.FLIP_LEFT_RIGHT),
        ("upside_down", Image.Transpose.FLIP_TOP_BOTTOM),
        ("rotated_180", Image.Transpose.ROTATE_180),
        ("rotated_90", Image.Transpose.ROTATE_90),
        ("rotated_270", Image.Transpose.ROTATE_270),
    ],
)
def test_names_mean_what_pillow_means(kind, turn):
    image = Image.fromarray(np.arange(16, dtype=np.uint8).reshape(4, 4))
    (view,) = [v for v in VIEWS if v.kind == kind]
    assert np.array_equal(np.asarray(view.turn(image)), np.asarray(image.transpose(turn)))


def test_parts_hold_the_whole_picture():
    stored = parts(PICTURES)
    assert np.allclose(whole(stored), PICTURES, atol=1e-6)
    assert np.allclose(whole(swapped(stored)), PICTURES.swapaxes(1, 2), atol=1e-6)


def test_correlations_from_parts_equal_those_of_turned_pictures():
    a, b = PICTURES, PICTURES[::-1]
    fast = correlations(parts(a), parts(b))
    plain = np.stack([(a * view.apply(b)).sum((1, 2)) for view in VIEWS], 1)
    assert np.allclose(fast, plain, atol=1e-4), np.abs(fast - plain).max()
