"""Exact intervals against SciPy and by hand; groups are the unit."""

import numpy as np
import pytest
from scipy.stats import binomtest

from edgekd.measures.intervals import exact, has_no_width, members, percentile


@pytest.mark.parametrize(("right", "groups"), [(0, 1), (1, 1), (0, 30), (30, 30), (3, 10), (117, 121)])
def test_exact_is_clopper_and_pearsons(right, groups):
    expected = binomtest(right, groups).proportion_ci(method="exact")
    assert exact(right / groups, groups) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_all_or_none_by_hand():
    assert exact(1.0, 121) == pytest.approx((0.025 ** (1 / 121), 1))
    assert exact(0.0, 121) == pytest.approx((0, 1 - 0.025 ** (1 / 121)))
    assert exact(1.0, 100)[0] == pytest.approx(0.9638, abs=5e-5)  # of tables


def test_a_share_that_is_no_count_lies_between_its_neighbours():
    low, high = exact(0.55, 10)  # x = 5.5
    assert exact(0.5, 10)[0] < low < exact(0.6, 10)[0]
    assert exact(0.5, 10)[1] < high < exact(0.6, 10)[1]


def test_it_covers_the_truth_at_least_19_times_in_20():
    counts = np.random.default_rng(0).binomial(40, 0.97, 2000)
    found = {k: exact(k / 40, 40) for k in set(counts.tolist())}
    assert np.mean([found[k][0] <= 0.97 <= found[k][1] for k in counts.tolist()]) >= 0.95


@pytest.mark.parametrize(("share", "groups"), [(-0.1, 5), (1.1, 5), (0.5, 0), (float("nan"), 5)])
def test_what_is_no_share_is_refused(share, groups):
    with pytest.raises(ValueError, match="share"):
        exact(share, groups)


def test_members_number_the_groups():
    assert members(["b", "a", "b"], 3).tolist() == [1, 0, 1]
    assert members([7, 70, 7], 3).tolist() == [0, 1, 0]
    assert members(None, 3).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="a group for each of 3 images, found 2"):
        members(["a", "b"], 3)


def test_percentiles_leave_out_one_in_twenty():
    assert percentile(np.arange(1001)) == pytest.approx((25, 975))
    assert has_no_width((0.3, 0.1 + 0.2))
    assert not has_no_width((0.3, 0.30001))
