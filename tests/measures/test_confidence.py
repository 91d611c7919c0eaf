"""The confidence from which on answers count."""

import numpy as np
import pytest

from edgekd.measures.confidence import isotonic, threshold


def answers(confidences, is_right):
    """Probabilities [N, 3] and labels [N] of answers with class 1."""
    c = np.array(confidences)[:, None]
    probs = np.hstack([(1 - c) / 2, c, (1 - c) / 2])
    return probs, np.where(is_right, 1, 2)


def test_the_threshold_is_where_answers_become_right():
    probs, labels = answers([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [0, 0, 0, 1, 1, 1])
    found = threshold(probs, labels, 0.9)
    assert found.confidence == pytest.approx(0.7)
    assert (found.images, found.share, found.accuracy_below, found.accuracy_above) == (6, 0.5, 0.0, 1.0)


def test_one_wrong_answer_among_sure_ones_is_averaged_with_what_lies_below():
    probs, labels = answers([0.4, 0.5, 0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1, 0, 1])  # r: 0, 3/4 four times, 1
    assert threshold(probs, labels, 0.75).confidence == pytest.approx(0.5)
    assert threshold(probs, labels, 0.76).confidence == pytest.approx(0.9)


def test_equal_confidences_are_one_point():
    probs, labels = answers([0.5, 0.5, 0.9], [1, 0, 1])
    assert threshold(probs, labels, 0.9).confidence == pytest.approx(0.9)
    assert threshold(*answers([0.5, 0.5, 0.9], [0, 1, 1]), 0.5).confidence == pytest.approx(0.5)


def test_always_right_and_never_right():
    assert threshold(*answers([0.5, 0.6], [1, 1]), 0.9).confidence == pytest.approx(0.5)
    assert threshold(*answers([0.5, 0.6], [1, 1]), 0.9).accuracy_below is None
    never = threshold(*answers([0.5, 0.6], [0, 0]), 0.9)
    assert (never.confidence, never.share, never.accuracy_above) == (1.0, 1.0, None)


def test_isotonic_regression_is_scikit_learns():
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(4)
    for _ in range(20):
        weights = rng.integers(1, 6, 50)
        sums = rng.integers(0, weights + 1)
        expected = IsotonicRegression().fit_transform(np.arange(50), sums / weights, sample_weight=weights)
        np.testing.assert_allclose(isotonic(sums, weights), expected, atol=1e-12)


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        threshold(np.array([[0.5, 0.6]]), np.array([0]), 0.9)
    with pytest.raises(ValueError, match="N > 0"):
        threshold(np.zeros((0, 3)), np.zeros(0, int), 0.9)
