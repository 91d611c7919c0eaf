"""Paired drift by hand; what its tests are is in test_paired.py."""

import numpy as np
import pytest
import scipy.stats

from edgekd.measures.clustered import ratio_interval
from edgekd.measures.drift import Drift, drift


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
        groups=None,
        flips=(1, 2, 4, 7),
        only_a_right=1,
        only_b_right=2,
        accuracy_change_pp=pytest.approx(100 / 8),
        interval_pp=found.interval_pp,
        nll_change=pytest.approx(-np.log(8) / 8),  # 0.8 where right, 0.1 where not: two gain ln 8, one loses it
        nll_interval=found.nll_interval,
        p=1.0,
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


def test_the_change_of_nll_has_the_interval_of_a_ratio_over_groups(clustered):
    *answers, groups = clustered
    found = drift(*answers, groups)
    step = np.log(0.8 / 0.1)  # what an answer that turns wrong costs
    sums, sizes = np.array([5, -1, 0, 0]) * step, np.array([5, 1, 3, 3])
    assert found.nll_change == pytest.approx(4 * step / 12)
    assert found.nll_interval == pytest.approx(ratio_interval(sums, sizes))
    alone = drift(*answers)
    assert alone.nll_interval == pytest.approx(mean_by_t(np.repeat(sums / sizes, sizes)), rel=0.1)
    assert alone.nll_words.startswith("+0.6931 [")


def mean_by_t(values):
    return scipy.stats.t.interval(0.95, len(values) - 1, values.mean(), values.std(ddof=1) / len(values) ** 0.5)


def test_no_change():
    same = drift(answering([0, 1]), answering([0, 1]) * 0.9 + 0.1 / 3, np.array([0, 2]))
    assert (same.flips, same.mcnemar_p, same.accuracy_change_pp) == ((), 1, 0)


@pytest.fixture
def clustered():
    """Twelve images of four patients: one patient's five images all get worse, another's single one better."""
    labels, groups = np.zeros(12, int), ["p10"] * 5 + ["p2"] + ["p3"] * 3 + ["p1"] * 3
    return answering([0] * 5 + [1] + [0] * 6), answering([1] * 5 + [0] * 7), labels, groups


def test_by_group_a_patient_counts_once(clustered):
    *answers, groups = clustered
    alone, found = drift(*answers), drift(*answers, groups)
    assert (alone.groups, found.groups) == (None, 4)
    assert alone.p == alone.mcnemar_p == found.mcnemar_p == pytest.approx(2 * 7 / 64)
    assert found.p == 1.0  # sums -4, 6, -6, 4: all are as far as -4
    assert found.accuracy_change_pp == alone.accuracy_change_pp
    low, high = found.interval_pp
    assert low == pytest.approx(-100, abs=20)  # draws of the first patient alone are rare, not of mostly it
    assert high > 0
    assert alone.interval_pp[0] > low


def test_six_to_none_is_the_smallest_significant_drift():
    probs = answering([0] * 1311)
    assert drift(probs, probs, np.zeros(1311, int)).smallest_significant_pp == pytest.approx(0.46, abs=0.005)
    six = drift(probs, np.concatenate([answering([1] * 6), probs[6:]]), np.zeros(1311, int))
    assert six.is_significant
    assert -six.accuracy_change_pp == pytest.approx(six.smallest_significant_pp)
    assert not drift(probs, np.concatenate([answering([1] * 5), probs[5:]]), np.zeros(1311, int)).is_significant


@pytest.mark.parametrize(("patients", "possible"), [(5, False), (6, True)])
def test_of_fewer_than_six_groups_nothing_is_significant(patients, possible):
    groups = [f"p{i}" for i in np.repeat(np.arange(patients), 20)]
    labels = np.zeros(len(groups), int)
    found = drift(answering(labels), answering(labels + 1), labels, groups)
    assert found.accuracy_change_pp == -100
    assert found.is_significant is possible
    assert found.smallest_significant_pp == (pytest.approx(100 * 6 / 120) if possible else None)
    assert found.mcnemar_p < 1e-20


def test_in_words(clustered):
    *answers, groups = clustered
    low, high = drift(*answers, groups).interval_pp
    assert str(drift(*answers, groups)) == (
        f"-33.33 pp [{low:.1f}, {high:.1f}], p = 1.000 by 4 groups, McNemar p = 0.219, 12 images"
    )
    assert "by" not in str(drift(*answers))
    same = drift(answers[0], answers[0], answers[2], groups)
    assert str(same).startswith("+0.00 pp [-60.2, 60.2], p = 1.000")  # 1 - 0.025^(1/4)
    assert same.facts["p"] == 1.0


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


def test_groups_are_one_per_image():
    with pytest.raises(ValueError, match="a group for each of 2 images"):
        drift(answering([0, 1]), answering([0, 1]), np.array([0, 1]), ["a"])
