"""The representative set: training rows only, the same share of every class."""

import numpy as np

from edgekd.data.dataset import NO_LABEL
from edgekd.quantization.representative import choose


def test_equal_shares_of_training_rows_only():
    labels = np.repeat([0, 1, 2], [50, 500, 7])
    rows = np.flatnonzero(np.arange(len(labels)) % 2 == 0)
    chosen = choose(labels, rows, 12, seed=3)
    assert len(set(chosen)) == 12
    assert set(chosen) <= set(rows)
    assert np.bincount(labels[chosen]).tolist() == [4, 4, 4]


def test_a_small_class_is_used_up_and_the_rest_filled():
    labels = np.repeat([0, 1], [100, 3])
    chosen = choose(labels, np.arange(103), 20, seed=0)
    assert np.bincount(labels[chosen]).tolist() == [17, 3]
    assert len(choose(labels, np.arange(103), 500, seed=0)) == 103


def test_unlabelled_images_are_passed_over_and_change_nothing():
    labels = np.repeat([0, 1], 50)
    more = np.append(labels, np.full(900, NO_LABEL))
    expected = choose(labels, np.arange(100), 30, seed=1)
    assert np.array_equal(choose(more, np.arange(1000), 30, seed=1), expected)


def test_a_function_of_the_seed():
    labels = np.repeat([0, 1], 50)
    a, b, c = (choose(labels, np.arange(100), 10, seed) for seed in (1, 1, 2))
    assert np.array_equal(a, b)
    assert not np.array_equal(a, c)
