"""Marked answers: shares with exact intervals, calibration that needs no true class, sets and silence."""

import numpy as np
import pytest
from scipy.stats import binomtest

from edgekd.measures import calibration
from edgekd.measures.field import UNKNOWN, Proportion, score

NAMES = ("a", "b", "c")


def cases(count, seed=0):
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet([0.6] * 3, count)
    labels = np.array([rng.choice(3, p=row) for row in probs])
    return probs, labels, probs.max(1) < 0.5, [list(np.flatnonzero(row > 0.2)) for row in probs]


def test_what_is_known_of_every_image_gives_what_evaluate_measures():
    probs, labels, unsure, sets = cases(400)
    is_right = probs.argmax(1) == labels
    found = score(probs, is_right, unsure, labels, sets, NAMES)
    assert found.accuracy == Proportion(int(is_right.sum()), 400)
    assert found.accuracy.interval == pytest.approx(binomtest(int(is_right.sum()), 400).proportion_ci(method="exact"))
    assert found.ece == pytest.approx(calibration.ece(probs, labels), abs=1e-12)
    assert found.reliability == tuple(calibration.reliability_bins(probs, labels))
    assert (found.ece_noise_floor, found.ece_noise_p95) == calibration.noise_floor(probs)
    assert found.unsure == Proportion(int(unsure.sum()), 400)
    assert found.sure_accuracy == Proportion(int(is_right[~unsure].sum()), int((~unsure).sum()))
    assert found.set_coverage.count == sum(k in s for k, s in zip(labels, sets, strict=True))
    for k, row in enumerate(found.classes):
        assert (row.recall.of, row.precision.of) == ((labels == k).sum(), (probs.argmax(1) == k).sum())
        assert row.recall.count == row.precision.count == ((labels == k) & is_right).sum()


def test_wrong_answers_whose_class_nobody_named_count_as_wrong():
    probs = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.9, 0.05, 0.05]])
    is_right, labels = np.array([True, False, False]), np.array([0, UNKNOWN, 1])
    found = score(probs, is_right, np.array([False, True, False]), labels, [[0], None, []], NAMES)
    assert found.accuracy == Proportion(1, 3)
    assert found.set_coverage == Proportion(1, 2)  # of those with a set and a true class
    assert found.ece == pytest.approx((abs(0.8 - 1) + 0.7 + 0.9) / 3)
    assert [c.recall for c in found.classes] == [Proportion(1, 1), Proportion(0, 1), None]
    assert [c.precision for c in found.classes] == [Proportion(1, 2), Proportion(0, 1), None]


def test_a_log_without_sets_or_sure_answers_has_no_such_share():
    probs = np.array([[0.4, 0.3, 0.3]])
    found = score(probs, np.array([True]), np.array([True]), np.array([0]), [None], NAMES)
    assert found.set_coverage is None
    assert found.sure_accuracy is None
    assert found.accuracy.interval == (pytest.approx(0.025), 1.0)
