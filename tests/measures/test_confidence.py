"""The confidence from which on answers count."""

import sys

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.measures.confidence import threshold


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


@pytest.mark.parametrize("share", [(1, 3), (2, 3), (9, 10), (7, 10), (1, 7), (6, 7)])
def test_a_block_whose_mean_is_just_the_accuracy_counts(share):
    """Pooled by hand: wrong answers at the surer end of a block make it one block, whose mean is exactly `right / images`."""
    right, images = share
    confidences = np.linspace(0.5, 0.9, 3 * images)
    is_right = np.tile(np.arange(images) < right, 3)  # each third falls, so that all are pooled
    assert threshold(*answers(confidences, is_right), right / images).confidence == pytest.approx(0.5)
    assert threshold(*answers(confidences, is_right), right / images + 1e-6).confidence == 1.0


def test_many_answers_against_pooling_by_hand():
    """The rising means are the largest of smallest block means: r(i) = max over a <= i of min over b >= i of mean(a..b)."""
    rng = np.random.default_rng(4)
    confidences = np.sort(rng.uniform(0.34, 1, 40))
    is_right = rng.random(40) < confidences
    means = {(a, b): is_right[a : b + 1].mean() for a in range(40) for b in range(a, 40)}
    fitted = [max(min(means[a, b] for b in range(i, 40)) for a in range(i + 1)) for i in range(40)]
    for accuracy in (0.3, 0.5, 0.6, 0.75, 0.9, 0.95):
        expected = next((c for c, r in zip(confidences, fitted, strict=True) if r >= accuracy), 1.0)
        assert threshold(*answers(confidences, is_right), accuracy).confidence == pytest.approx(expected)


def test_without_scikit_learn_the_error_names_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.isotonic", None)
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[export\]"'):
        threshold(*answers([0.5], [1]), 0.9)


def test_what_are_no_probabilities_is_refused():
    with pytest.raises(ValueError, match="sum to 1"):
        threshold(np.array([[0.5, 0.6]]), np.array([0]), 0.9)
    with pytest.raises(ValueError, match="N > 0"):
        threshold(np.zeros((0, 3)), np.zeros(0, int), 0.9)
