"""Paired tests by hand, against SciPy, and by simulation: who cries wolf where patients repeat?"""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from edgekd.measures.paired import fewest_groups, holm, mcnemar, sign_flip_p


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([3, 1], 1 / 2),  # of 4, 2, -2, -4 two are as far as 4
        ([3, -1], 1.0),
        ([5, 1, 1], 2 / 8),
        ([2, 2, -1], 4 / 8),  # 5 3 1 -1 1 -1 -3 -5: four are as far as 3
        ([1] * 6, 2 / 64),
        ([9, 1, 1, 1, 1], 2 / 32),  # five groups cannot be enough
        ([4, -4, 7, -7], 1.0),
        ([0, 0], 1.0),
        ([], 1.0),
    ],
)
def test_sign_flips_by_hand(differences, p):
    assert sign_flip_p(np.array(differences, int)) == pytest.approx(p, abs=1e-15)


@pytest.mark.parametrize("seed", range(12))
def test_every_sign_is_counted(seed):
    """Against all 2^G signs, in fractions."""
    rng = np.random.default_rng(seed)
    d = rng.integers(-6, 7, rng.integers(1, 13))
    reached = [
        abs(sum(s * v for s, v in zip(signs, d, strict=True))) for signs in itertools.product((-1, 1), repeat=len(d))
    ]
    expected = Fraction(sum(value >= abs(d.sum()) for value in reached), len(reached))
    assert sign_flip_p(d) == pytest.approx(float(expected), rel=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_sign_flips_are_scipys_permutation_test(seed):
    d = np.random.default_rng(seed).integers(-3, 6, 11)
    found = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False)
    assert sign_flip_p(d) == pytest.approx(found.pvalue, rel=1e-9)


def test_many_groups_are_exact_too():
    """Where signs cannot all be drawn, SciPy draws some: within its error, and the normal approximation is near."""
    d = np.random.default_rng(3).integers(-9, 11, 200)
    drawn = stats.permutation_test((d,), np.sum, permutation_type="samples", n_resamples=20_000, rng=1, axis=0)
    exact = sign_flip_p(d)
    assert 0.01 < exact < 0.5
    assert exact == pytest.approx(drawn.pvalue, abs=4 * np.sqrt(exact / 20_000))
    assert exact == pytest.approx(2 * stats.norm.sf((abs(d.sum()) - 0.5) / np.sqrt((d**2).sum())), rel=0.05)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (3, 9), (9, 3), (17, 2), (40, 60), (1, 0), (300, 371)])
def test_with_an_image_a_group_sign_flips_are_mcnemar(a, b):
    d = np.array([-1] * a + [1] * b + [0] * 5, int)
    assert sign_flip_p(d) == pytest.approx(mcnemar(a, b), rel=1e-9)
    if a + b:
        assert sign_flip_p(d) == pytest.approx(stats.binomtest(a, a + b).pvalue, rel=1e-9)


def test_p_is_never_0():
    assert 0 < sign_flip_p(np.ones(3000, int)) < 1e-300


@pytest.mark.parametrize("differences", [np.array([0.5, 1.0]), np.array([[1], [2]]), np.array([np.nan])])
def test_what_are_no_whole_numbers_is_refused(differences):
    with pytest.raises(ValueError, match="whole numbers"):
        sign_flip_p(differences)


@pytest.mark.parametrize(("a", "b"), [(0, 0), (1, 1), (3, 9), (9, 3), (17, 2), (40, 60), (1, 0)])
def test_mcnemar_is_scipys_and_twice_the_smaller_tail(a, b):
    assert mcnemar(a, b) == pytest.approx(mcnemar(b, a))
    if a + b:
        assert mcnemar(a, b) == pytest.approx(stats.binomtest(a, a + b).pvalue)
    assert mcnemar(a, b) == pytest.approx(min(1, 2 * stats.binom.cdf(min(a, b), a + b, 0.5)))


def patients(rng, sizes):
    """Differences of one trial in which A and B are alike: a patient's images mostly change together, this way or that."""
    lean = rng.choice([0.05, 0.95], len(sizes))  # the chance that a changed image is one that B answers rightly
    changed = rng.binomial(sizes, 0.3)
    better = rng.binomial(changed, lean)
    return better, changed - better


def test_where_nothing_changed_the_group_test_keeps_its_level_and_mcnemar_cries_wolf():
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 31, 60)
    trials = [patients(rng, sizes) for _ in range(1000)]
    by_group = np.mean([sign_flip_p(better - worse) < 0.05 for better, worse in trials])
    by_image = np.mean([mcnemar(int(worse.sum()), int(better.sum())) < 0.05 for better, worse in trials])
    assert 0.03 <= by_group <= 0.07
    assert by_image > 0.3


def test_where_images_are_independent_mcnemar_keeps_its_level():
    rng = np.random.default_rng(0)
    p = np.array([mcnemar(k, 30 - k) for k in range(31)])
    assert 0.02 < np.mean(p[rng.binomial(30, 0.5, 20_000)] < 0.05) < 0.055  # exact tests are conservative


@pytest.mark.parametrize("level", [0.5, 0.1, 0.05, 0.0625, 0.01, 0.001])
def test_the_fewest_groups_agree_with_the_test_itself(level):
    groups = fewest_groups(level)
    assert sign_flip_p(np.full(groups, 7)) < level <= sign_flip_p(np.full(groups - 1, 7))


def test_no_smaller_change_than_that_of_the_fewest_groups_is_significant():
    for count in range(1, 9):
        for d in itertools.combinations_with_replacement((-3, -2, -1, 1, 2, 3), count):
            if abs(sum(d)) < fewest_groups():
                assert sign_flip_p(np.array(d)) >= 0.05, d


@pytest.mark.parametrize("level", [0, -1, 2])
def test_impossible_levels_are_refused(level):
    with pytest.raises(ValueError, match="level"):
        fewest_groups(level)


def test_holm_by_hand_and_against_the_step_down_rule():
    assert holm([]) == []
    assert holm([0.03]) == [0.03]
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8, 0.0]) == pytest.approx([1.0, 1.0, 0.0])
    rng = np.random.default_rng(0)
    values = rng.random(9) ** 3
    for level in (0.01, 0.05, 0.3):  # the rule itself: go on rejecting while p_(i) <= level / (m - i)
        order, rejected = np.argsort(values), set()
        for rank, i in enumerate(order):
            if values[i] > level / (9 - rank):
                break
            rejected.add(int(i))
        assert {i for i, p in enumerate(holm(values)) if p <= level} == rejected
