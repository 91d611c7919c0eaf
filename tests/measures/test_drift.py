"""Paired drift by hand and against SciPy."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest

from edgekd.measures.drift import Drift, drift, mcnemar, smallest_significant_flips


def answering(answers, classes=3):
    return np.eye(classes)[answers] * 0.7 + 0.1 * np.ones((len(answers), classes))


def test_by_hand():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2])
    a = answering([0, 0, 1, 1, 0, 2, 2, 0])
    b = answering([0, 1, 0, 1, 1, 2, 2, 1])
    found = drift(a, b, labels)
    # 1: right -> wrong; 2, 4: wrong -> right; 7: wrong -> another wrong.
    assert found == Drift(
        images=8,
        flips=(1, 2, 4, 7),
        only_a_right=1,
        only_b_right=2,
        accuracy_change_pp=pytest.approx(100 / 8),
        mcnemar_p=1.0,
        recall_change_pp=(0, pytest.approx(50), 0),
        smallest_significant_pp=pytest.approx(75),
    )


def test_the_change_is_from_a_to_b():
    labels = np.zeros(10, int)
    worse = drift(answering([0] * 10), answering([0] * 4 + [1] * 6), labels)
    assert worse.accuracy_change_pp == pytest.approx(-60)
    assert worse.recall_change_pp == (pytest.approx(-60), None, None)  # None: no image of the class
    assert (worse.only_a_right, worse.only_b_right) == (6, 0)
    assert worse.mcnemar_p == pytest.approx(2 / 2**6)


def test_no_change():
    same = drift(answering([0, 1]), answering([0, 1]) * 0.9 + 0.1 / 3, np.array([0, 2]))
    assert (same.flips, same.mcnemar_p, same.accuracy_change_pp) == ((), 1, 0)


def test_six_to_none_is_the_smallest_significant_drift():
    assert mcnemar(6, 0) == pytest.approx(0.03125)
    assert mcnemar(5, 0) == pytest.approx(0.0625)
    assert smallest_significant_flips() == 6
    probs = answering([0] * 1311)
    assert drift(probs, probs, np.zeros(1311, int)).smallest_significant_pp == pytest.approx(0.46, abs=0.005)


@pytest.mark.parametrize("level", [0.5, 0.1, 0.05, 0.0625, 0.01, 0.001])
def test_smallest_significant_flips_agree_with_the_test_itself(level):
    flips = smallest_significant_flips(level)
    assert mcnemar(flips, 0) < level <= mcnemar(flips - 1, 0)


@pytest.mark.parametrize("level", [0, -1, 2])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="level"):
        smallest_significant_flips(level)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (3, 9), (9, 3), (17, 2), (40, 60), (1, 0)])
def test_mcnemar_is_scipys_and_twice_the_smaller_tail(a, b):
    assert mcnemar(a, b) == pytest.approx(mcnemar(b, a))
    if a + b:
        assert mcnemar(a, b) == pytest.approx(binomtest(a, a + b).pvalue)
    assert mcnemar(a, b) == pytest.approx(min(1, 2 * binom.cdf(min(a, b), a + b, 0.5)))


def test_where_nothing_changed_p_is_below_level_no_more_often_than_that():
    rng = np.random.default_rng(0)
    p = np.array([mcnemar(k, 30 - k) for k in range(31)])
    assert 0.02 < np.mean(p[rng.binomial(30, 0.5, 20_000)] < 0.05) < 0.055  # exact tests are conservative


def test_input_is_checked():
    probs, labels = answering([0, 1]), np.array([0, 1])
    bad = [
        (probs[:0], probs[:0], labels[:0]),
        (probs, probs[:1], labels),
        (probs, answering([0, 1], 4) / 1.1, labels),
        (probs, probs * np.nan, labels),
        (probs, probs + 0.01, labels),
    ]
    for a, b, y in bad:
        with pytest.raises(ValueError, match="expected"):
            drift(a, b, y)
