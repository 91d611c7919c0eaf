"""Insertion and deletion by hand, on a network that is a mean of pixels."""

import numpy as np
import pytest

from edgekd.measures import faithfulness
from edgekd.measures.faithfulness import DELETION, INSERTION, TO_BLACK, auc, between, blurred, curves, order_of


class Mean:
    """Class 1 is the mean brightness."""

    def probs(self, pixels):
        bright = (pixels / 255).mean((1, 2, 3)).astype(np.float32)
        return np.stack([1 - bright, bright], 1)


def test_the_area_is_the_trapezoids():
    assert auc(np.array([0.0, 1.0])) == 0.5
    assert auc(np.array([0.2, 0.4, 0.9])) == pytest.approx((0.3 + 0.65) / 2)
    points = np.random.default_rng(0).random(51)
    assert auc(points) == pytest.approx(np.trapezoid(points, dx=1 / 50))


def test_pictures_go_from_one_to_the_other_in_order():
    start, end = np.zeros((2, 2, 3), np.uint8), np.full((2, 2, 3), 9, np.uint8)
    found = [p[..., 0].ravel().tolist() for p in between(start, end, np.array([2, 0, 3, 1]), 2)]
    assert found == [[0, 0, 0, 0], [9, 0, 9, 0], [9, 9, 9, 9]]
    assert not start.any()


def test_the_most_relevant_come_first_and_equal_ones_in_any_order():
    assert order_of(np.array([[1.0, 3.0], [2.0, -1.0]])).tolist() == [1, 2, 0, 3]
    flat = order_of(np.zeros((20, 20)))
    assert sorted(flat) == list(range(400))
    assert abs(np.corrcoef(flat, np.arange(400))[0, 1]) < 0.2
    assert np.array_equal(flat, order_of(np.zeros((20, 20))))


def test_deletion_to_black_of_a_half_white_picture():
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4] = 255
    best = curves(Mean(), pixels, order_of(pixels.mean(2)), 1, steps=8)
    worst = curves(Mean(), pixels, order_of(-pixels.mean(2)), 1, steps=8)
    # White goes first: 1/2 falls to 0 in half the steps, an area of 1/8; last: 1/2 stays that long, and 1/4 more.
    assert best[TO_BLACK] == pytest.approx([0.5, 0.375, 0.25, 0.125, 0, 0, 0, 0, 0])
    assert auc(best[TO_BLACK]) == pytest.approx(1 / 8)
    assert auc(worst[TO_BLACK]) == pytest.approx(3 / 8)
    for found in (best, worst):
        assert found[INSERTION][-1] == pytest.approx(0.5)
        assert found[DELETION][-1] == pytest.approx(found[INSERTION][0])
    assert auc(best[INSERTION]) > auc(worst[INSERTION])
    assert auc(best[DELETION]) < auc(worst[DELETION])


def test_the_blur_is_a_gaussian_of_eleven_pixels():
    pixels = np.zeros((31, 31, 3), np.uint8)
    pixels[15, 15] = 255
    kernel = np.exp(-(np.arange(-5, 6) ** 2) / 50)
    kernel /= kernel.sum()
    found = blurred(pixels)[..., 0]
    expected = np.zeros((31, 31))
    expected[10:21, 10:21] = 255 * np.outer(kernel, kernel)
    assert np.abs(found - expected).max() <= 0.5 + 1e-4
    assert np.array_equal(blurred(np.full((9, 9, 3), 77, np.uint8)), np.full((9, 9, 3), 77, np.uint8))


def test_every_curve_has_its_points():
    found = curves(Mean(), np.zeros((8, 8, 3), np.uint8), np.arange(64), 0)
    assert {name: len(points) for name, points in found.items()} == dict.fromkeys(faithfulness.CURVES, 51)
