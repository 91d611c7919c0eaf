"""Pointing game, mass and rank by hand."""

import numpy as np
import pytest

from edgekd.measures.localisation import Localisation, baselines, localisation

MASK = np.array([[True, True, False, False]])


@pytest.mark.parametrize(
    ("relevance", "pointing", "mass", "rank"),
    [
        ([4, 3, 2, 1], 1, 0.7, 1),
        ([1, 2, 3, 4], 0, 0.3, 0),
        ([1, 5, 3, 1], 1, 0.6, 0.5),
        ([-3, 2, 2, -1], 0.5, 0.5, 0.5),  # negative relevance counts for nothing
        ([3, 1, 1, 1], 1, 4 / 6, (1 + 1 / 3) / 2),  # one of three equal pixels is the second strongest
        ([0, 0, 0, 0], 0.5, 0.5, 0.5),  # no map: what chance gives
        ([-1, -2, -3, -4], 1, 0.5, 1),
    ],
)
def test_by_hand(relevance, pointing, mass, rank):
    found = localisation(np.array([relevance], np.float32), MASK)
    assert found == Localisation(pytest.approx(pointing), pytest.approx(mass), pytest.approx(rank), 0.5)


def test_what_cannot_be_measured():
    with pytest.raises(ValueError, match="mask"):
        localisation(np.zeros((1, 4)), np.zeros((1, 4), bool))
    with pytest.raises(ValueError, match="mask"):
        localisation(np.zeros((2, 4)), MASK)


def test_baselines_ask_no_network():
    pixels = np.zeros((5, 5, 3), np.uint8)
    pixels[1, 3] = 200
    found = baselines(pixels)
    assert np.unravel_index(found["brightest"].argmax(), (5, 5)) == (1, 3)
    assert np.unravel_index(found["centre"].argmax(), (5, 5)) == (2, 2)
    assert found["centre"].min() == 0
