"""The ratio of latencies: its interval holds the truth as often as it says, also where processes differ."""

import numpy as np
import pytest

from edgekd.measures.latency_ratio import SMALLEST_MS, _resampled_medians, median, ratio


def rounds(rng, median_ms, count=3, between=0.0, runs=200):
    return [median_ms * (1 + rng.normal(0, between)) * (1 + rng.gamma(1.5, 0.05, runs)) for _ in range(count)]


def test_a_clear_change_is_significant_and_its_size_is_found():
    rng = np.random.default_rng(0)
    found = ratio(rounds(rng, 10), rounds(rng, 13))
    assert found.value == pytest.approx(1.3, rel=0.02)
    assert found.low < found.value < found.high
    assert found.is_significant


def test_processes_that_differ_are_no_change():
    """Times within a process are close together, medians of processes 5 % apart: a plain bootstrap would cry wolf."""
    rng = np.random.default_rng(1)
    pairs = [(rounds(rng, 10, 5, between=0.05), rounds(rng, 10, 5, between=0.05)) for _ in range(60)]
    false = sum(ratio(a, b).is_significant for a, b in pairs)
    pooled = sum(ratio([np.concatenate(a)], [np.concatenate(b)]).is_significant for a, b in pairs)
    assert false <= 9
    assert pooled > 2 * max(false, 6)


def test_one_number_per_median_does_as_well_as_drawing_all():
    rng = np.random.default_rng(2)
    times = rng.gamma(4, 2, 101)
    quick = _resampled_medians([times], rng)
    slow = np.median(rng.choice(times, (4000, 101)), axis=1)
    assert np.quantile(quick, [0.025, 0.5, 0.975]) == pytest.approx(np.quantile(slow, [0.025, 0.5, 0.975]), rel=0.05)


def test_the_same_seed_gives_the_same_interval():
    rng = np.random.default_rng(3)
    a, b = rounds(rng, 5), rounds(rng, 6)
    assert ratio(a, b) == ratio(a, b)


def test_a_clock_that_stood_still_gives_no_infinity():
    assert median([[0.0]]) == SMALLEST_MS
    assert np.isfinite(ratio([[0.0, 0.0]], [[1.0]]).high)


@pytest.mark.parametrize("empty", [[], [[]], [[1.0], []]])
def test_a_side_without_times_is_refused(empty):
    with pytest.raises(ValueError, match="at least one"):
        ratio([[1.0]], empty)
