"""Ranges from observed values, against brute force."""

import numpy as np
import pytest
import torch

from edgekd.quantization.ranges import BINS, Extremes, Histograms, least_squares, percentile


def histogram(values):
    extremes = Extremes()
    extremes("x", values)
    found = Histograms(extremes.found)
    found("x", values)
    return found.middles("x"), found.counts["x"]


def test_extremes_over_batches():
    extremes = Extremes()
    extremes("x", torch.tensor([-1.0, 2.0]))
    extremes("x", torch.tensor([-0.5, 3.0]))
    assert extremes.found == {"x": (-1.0, 3.0)}


def test_running_extremes_by_hand():
    extremes = Extremes(0.25)
    for low, high in ((-4.0, 8.0), (0.0, 4.0), (-2.0, 0.0)):
        extremes("x", torch.tensor([low, high]))
    # -4 -> -4 + 0.25 * 4 = -3 -> -3 + 0.25 * 1 = -2.75; 8 -> 7 -> 5.25
    assert extremes.found["x"] == (-2.75, 5.25)


def test_percentile_leaves_out_the_outermost():
    values = torch.cat([torch.linspace(0, 1, 100_000), torch.tensor([50.0])])
    low, high = percentile(*histogram(values), kept=0.999)
    assert low == pytest.approx(0, abs=50 / BINS)
    assert high == pytest.approx(1, abs=50 / BINS)


def test_least_squares_is_the_best_of_all_shares():
    values = torch.from_numpy(np.random.default_rng(0).laplace(size=200_000)).float()
    low, high = least_squares(*histogram(values))

    def error(a, b):
        scale = (b - a) / 255
        zero = round(-128 - a / scale)
        rounded = (torch.clamp(torch.round(values / scale) + zero, -128, 127) - zero) * scale
        return float(((rounded - values) ** 2).mean())

    full = (float(values.min()), float(values.max()))
    errors = [error(s * full[0], s * full[1]) for s in np.linspace(0.05, 1, 96)]
    assert error(low, high) <= 1.03 * min(errors)
    assert error(low, high) < error(*full)


def test_values_of_one_sign_keep_zero_at_the_edge():
    low, high = least_squares(*histogram(torch.linspace(2, 3, 1000)))
    assert low == 0
    assert 2.9 < high <= 3.01
