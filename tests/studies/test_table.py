"""Rows by hand: which answers are paired, what is summed by patient, what is the mean over seeds."""

import numpy as np
import pytest

from edgekd.measures import calibration
from edgekd.measures.clustered import gain_interval, ratio_interval, share_interval
from edgekd.measures.paired import sign_flip_p
from edgekd.studies import result as results
from edgekd.studies.comparison import compare
from edgekd.studies.table import with_table

GROUPS = [0, 0, 0, 1, 1, 2]
RIGHT = {
    "control": {0: [1, 0, 0, 1, 0, 0], 7: [0, 0, 0, 1, 1, 1]},
    "kd": {0: [1, 1, 1, 1, 0, 0], 7: [1, 1, 0, 1, 0, 1]},
}


def test_sums_by_patient_over_seeds_by_hand(by_hand):
    control, kd = with_table(by_hand(RIGHT, GROUPS)).table
    assert (control.variant, control.is_control, control.gain) == ("control", True, None)
    assert (kd.runs, kd.of_runs, kd.images, kd.groups, kd.seconds) == (2, 2, 6, 3, 4.0)
    assert control.accuracy == pytest.approx(5 / 12)
    assert kd.accuracy == pytest.approx(8 / 12)
    d, n = np.array([4, -1, 0]), np.array([6, 4, 2])  # patient 0: 2 + 2, patient 1: 0 - 1
    low, high = gain_interval(d, n)
    assert kd.gain.change_pp == pytest.approx(100 * 3 / 12)
    assert kd.gain.interval_pp == pytest.approx((100 * low, 100 * high))
    assert kd.gain.p == sign_flip_p(d) == kd.gain.p_holm == 1.0  # 5, 3, -3, -5: all are as far as 3
    assert kd.interval == pytest.approx(share_interval(np.array([5, 2, 1]), n))
    assert kd.recalls == pytest.approx((3 / 6, 5 / 6))  # class 0: images 0, 2, 4
    assert (kd.gain.answers, kd.gain.groups) == (12, 3)
    # Answers differ by 2 in the logits, so that a wrong one costs 2 nats more than a right one.
    assert kd.gain.nll_change == pytest.approx(-2 * 3 / 12)
    assert kd.gain.nll_interval == pytest.approx(ratio_interval(-2 * d, n))


def test_only_answers_of_one_image_and_seed_are_paired(by_hand):
    right = {"control": {0: [1, 0, None, None, 0, 0], 7: [None] * 6}, "kd": RIGHT["kd"]}
    control, kd = with_table(by_hand(right, GROUPS)).table
    assert (control.runs, control.of_runs, control.images) == (1, 2, 4)
    assert (kd.gain.answers, kd.gain.change_pp) == (4, 25.0)  # only image 1 changed
    assert kd.accuracy == pytest.approx(8 / 12)


def test_calibration_is_the_mean_over_seeds_of_all_folds_together(by_hand):
    found = with_table(by_hand(RIGHT, GROUPS))
    kd, labels = found.table[1], np.array([0, 1] * 3)
    by_seed = []
    for told in RIGHT["kd"].values():
        answer = np.where(np.array(told) == 1, labels, 1 - labels)
        probs = calibration.softmax(2.0 * np.eye(2)[answer])
        by_seed.append([calibration.nll(probs, labels), calibration.ece(probs, labels)])
    assert (kd.nll, kd.ece) == pytest.approx(tuple(np.mean(by_seed, axis=0)))


def test_several_variants_are_held_against_one_control_by_holm(by_hand):
    groups = list(range(12))
    right = {
        "control": {0: [0] * 12},
        "most": {0: [1] * 10 + [0, 0]},
        "some": {0: [1] * 6 + [0] * 6},
        "none": {0: [0] * 12},
    }
    rows = {row.variant: row for row in with_table(by_hand(right, groups)).table}
    p = {name: rows[name].gain.p for name in ("most", "some", "none")}
    assert p == pytest.approx({"most": 2 / 2**10, "some": 2 / 2**6, "none": 1.0})
    held = {name: rows[name].gain.p_holm for name in p}
    assert held == pytest.approx({"most": 6 / 2**10, "some": 4 / 2**6, "none": 1.0})


def test_without_groups_each_image_is_its_own(by_hand):
    kd = with_table(by_hand(RIGHT, [None] * 6)).table[1]
    assert (kd.groups, kd.gain.groups) == (None, 6)
    assert kd.gain.p == sign_flip_p(np.array([1, 2, 1, 0, -1, 0]))


def test_a_variant_without_an_answer_is_a_row_and_without_a_control_nothing_is_tested(by_hand):
    row = with_table(by_hand({"kd": {0: [None] * 6}}, GROUPS)).table[0]
    assert (row.runs, row.of_runs, row.accuracy, row.gain) == (0, 1, None, None)
    assert with_table(by_hand({"kd": RIGHT["kd"]}, GROUPS)).table[0].gain is None


def test_a_result_is_read_as_it_was_written(by_hand, tmp_path):
    made = with_table(by_hand(RIGHT, GROUPS))
    made.save(tmp_path / results.NAME)
    assert results.load(tmp_path) == results.load(tmp_path / results.NAME) == made


def test_two_studies_are_paired_by_variant_seed_and_image_name(by_hand):
    before = by_hand({"kd": {0: [1, 0, 0, 1], 7: [0, 0, 0, 1]}, "a": {0: [1] * 4, 7: [1] * 4}}, [0, 0, 1, 1])
    after = by_hand({"kd": {7: [1, 1, 0, 0, 1], 9: [1] * 5}, "b": {7: [1] * 5, 9: [1] * 5}}, [0, 0, 1, 1, 2])
    found = compare(before, after)
    (kd,) = found.changes
    assert (found.images, found.groups, found.seeds) == (4, 2, (7,))
    assert (found.only_before, found.only_after) == (("a",), ("b",))
    assert (kd.variant, kd.before, kd.after) == ("kd", 0.25, 0.5)
    assert (kd.gain.change_pp, kd.gain.p) == (25.0, sign_flip_p(np.array([2, -1])))


def test_studies_that_share_nothing_are_an_error(by_hand):
    from edgekd.errors import EdgekdError

    one = by_hand({"kd": {0: [1, 0]}}, [0, 1])
    for other, message in (
        (by_hand({"kd": {1: [1, 0]}}, [0, 1]), "seeds in common"),
        (by_hand({"ab": {0: [1, 0]}}, [0, 1]), "variants in common"),
        (by_hand({"kd": {0: [1, 0]}}, [0, 1], labels=[1, 1]), "another label"),
        (by_hand({"kd": {0: [None, None]}}, [0, 1]), "runs of one variant"),
    ):
        with pytest.raises(EdgekdError, match=message):
            compare(one, other)
