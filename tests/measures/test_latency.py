"""Latency statistics against samples made by hand."""

import pytest

from edgekd.measures.latency import CORTEX, ZEN_3, ZEN_4, ZEN_5, core, limit_ms, spread, summarize


def test_a_summary_of_known_samples():
    found = summarize([float(v) for v in range(1, 101)])
    assert (found.count, found.median_ms, found.mean_ms) == (100, 50.5, 50.5)
    assert found.p90_ms == pytest.approx(90.1)
    assert found.p99_ms == pytest.approx(99.01)
    assert found.std_ms == pytest.approx(29.01149)


def test_an_outlier_moves_the_mean_and_not_the_median():
    found = summarize([2.0] * 99 + [1000.0])
    assert (found.median_ms, found.p90_ms) == (2.0, 2.0)
    assert found.mean_ms == pytest.approx(11.98)
    assert found.p99_ms == pytest.approx(11.98)


def test_one_sample_has_no_spread():
    found = summarize([3.0])
    assert (found.median_ms, found.p99_ms, found.std_ms) == (3.0, 3.0, 0.0)


@pytest.mark.parametrize("samples", [[], [float("nan")], [1.0, float("inf")], [-1.0], [[1.0]]])
def test_what_are_no_times_is_refused(samples):
    with pytest.raises(ValueError, match="finite times"):
        summarize(samples)


def test_spread_of_rounds():
    assert spread([4.0, 5.0, 4.5]) == pytest.approx(0.25)
    assert spread([4.0]) == 0.0


@pytest.mark.parametrize(
    ("cpu", "features", "expected"),
    [
        ("Cortex-A76", ["asimddp"], CORTEX["Cortex-A76"]),
        ("Cortex-A55 + Cortex-A76", ["asimddp"], None),
        ("AMD EPYC 9B14 (family 25, model 17)", ["avx2", "avx512f", "avx512_vnni"], ZEN_4),
        ("AMD EPYC (family 26, model 2)", ["avx2", "avx512f", "avx512_vnni", "avx_vnni"], ZEN_5),
        ("AMD Ryzen 5 5600X (family 25, model 33)", ["avx2"], ZEN_3),
        ("Intel(R) Xeon(R) (family 6, model 143)", ["avx2", "avx512f", "avx512_vnni"], None),
        ("", [], None),
    ],
)
def test_cores(cpu, features, expected):
    assert core(cpu, features) == expected


def test_the_arithmetic_limit():
    """MobileNetV2 on one core of 3.24 GHz with AVX2: 5.8 ms in float32, half of it in int8."""
    assert limit_ms(ZEN_3, 299_500_000, 3240.0, 1, is_int8=False) == pytest.approx(5.78, abs=0.01)
    assert limit_ms(ZEN_3, 299_500_000, 3240.0, 1, is_int8=True) == pytest.approx(2.89, abs=0.01)
    assert limit_ms(ZEN_3, 299_500_000, 3240.0, 2, is_int8=True) == pytest.approx(1.445, abs=0.005)
