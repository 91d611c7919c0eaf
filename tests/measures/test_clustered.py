"""Intervals over patients by hand, against formulas of others, and by simulation: do they hold what they promise?"""

import numpy as np
import pytest
from scipy import stats

from edgekd.measures.clustered import gain_interval, ratio_interval, share_interval
from edgekd.measures.paired import sign_flip_p


def test_equal_groups_have_students_t_interval_of_their_mean():
    d = np.array([3, -1, 2, 0, 4, 1, -2, 5])
    low, high = ratio_interval(d, np.full(8, 10))
    expected = stats.ttest_1samp(d / 10, 0).confidence_interval(0.95)
    assert (low, high) == pytest.approx((expected.low, expected.high), rel=1e-12)


def test_unequal_groups_by_leaving_each_out_by_hand():
    d, n = np.array([4, -1, 0]), np.array([10, 5, 1])
    whole = 3 / 16
    without = [(3 - x) / (16 - m) for x, m in zip(d, n, strict=True)]
    error = np.sqrt(2 / 3 * sum((t - whole) ** 2 for t in without))
    reach = error * stats.t.ppf(0.975, 16**2 / (100 + 25 + 1) - 1)
    assert ratio_interval(d, n) == pytest.approx((whole - reach, whole + reach), rel=1e-12)


def test_where_nothing_varies_the_interval_is_the_exact_one():
    assert gain_interval(np.zeros(20, int), np.full(20, 6)) == pytest.approx((-(1 - 0.025**0.05), 1 - 0.025**0.05))
    assert share_interval(np.array([3, 3, 5]), np.array([3, 3, 5])) == pytest.approx((0.025 ** (1 / 3), 1))
    low, high = gain_interval(np.array([2]), np.array([4]))
    assert -1 <= low < 0.5 < high <= 1


def test_many_groups_have_the_interval_of_a_plain_bootstrap():
    rng = np.random.default_rng(5)
    images = rng.integers(1, 20, 400)
    d = rng.binomial(images, 0.15) - rng.binomial(images, 0.1)
    chosen = rng.integers(0, 400, (4000, 400))
    expected = np.quantile(d[chosen].sum(1) / images[chosen].sum(1), [0.025, 0.975])
    assert gain_interval(d, images) == pytest.approx(expected, abs=0.001)


def test_where_all_were_wrong_before_and_right_after():
    low, high = gain_interval(np.ones(30, int), np.ones(30, int))
    assert (low, high) == (pytest.approx(1 - 2 * (1 - 0.025 ** (1 / 30))), pytest.approx(1))


def test_it_stays_within_what_a_share_can_be():
    assert share_interval(np.array([30, 1]), np.array([30, 3])) == (pytest.approx(0, abs=1), 1.0)
    low, high = gain_interval(np.array([9, -9]), np.array([9, 9]))
    assert (low, high) == (-1.0, 1.0)


def answers(rng, groups, gain, seeds=2):
    """Gained answers and answers of patients of 1 to 80 slices over two seeds; some gain more than others."""
    slices = np.minimum(1 + rng.geometric(0.08, groups), 80)
    before = rng.beta(6, 2, groups).clip(0.1, 0.9)
    after = (before + gain + rng.choice([-0.08, 0.08], groups)).clip(0, 1)
    n = slices * seeds
    return rng.binomial(n, after) - rng.binomial(n, before), n, after - before


@pytest.mark.parametrize("groups", [25, 120])
@pytest.mark.parametrize("gain", [0.0, 0.03])
def test_it_covers_a_known_gain_in_95_of_100_trials(groups, gain):
    rng = np.random.default_rng(groups)
    _, n, change = answers(rng, 2_000_000, gain)
    truth = (change * n).sum() / n.sum()
    trials = (gain_interval(*answers(rng, groups, gain)[:2]) for _ in range(1000))
    covered = np.mean([low <= truth <= high for low, high in trials])
    assert 0.93 <= covered <= 0.97


@pytest.mark.parametrize("groups", [25, 120])
def test_the_test_rejects_no_gain_in_5_of_100_trials(groups):
    """Both answers are drawn with the same chances: whichever is better is better by chance."""
    rng, least = np.random.default_rng(5), 0.04 if groups > 25 else 0.03  # exact, so with few groups rather too seldom

    def p():
        slices = np.minimum(1 + rng.geometric(0.08, groups), 80) * 2
        right = rng.beta(6, 2, groups)
        return sign_flip_p(rng.binomial(slices, right) - rng.binomial(slices, right))

    rejected = np.mean([p() < 0.05 for _ in range(3000)])
    assert least <= rejected <= 0.06
