"""What the speed of distillation is said to be: ratios within rounds, an interval over them, and no claim above 1."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parents[1]


@pytest.fixture
def speed(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("distillation_speed")


def test_a_machine_that_slows_down_changes_no_ratio(speed):
    slower = np.array([50.0, 40.0, 30.0, 5.0])
    assert speed.ratio(0.8 * slower, slower) == {
        "median": pytest.approx(0.8),
        "interval": [pytest.approx(0.8), pytest.approx(0.8)],
    }


def test_the_interval_is_scipys_bootstrap_of_the_median(speed):
    first, second = np.random.default_rng(5).lognormal(0.0, 0.1, (2, 10))
    found = speed.ratio(first, second)
    options = {"confidence_level": 0.95, "n_resamples": 20_000, "method": "percentile", "vectorized": True}
    low, high = stats.bootstrap((first / second,), np.median, **options, rng=1).confidence_interval
    assert found["median"] == np.median(first / second)
    assert found["interval"] == pytest.approx([low, high], abs=0.01)
    assert low < found["median"] < high


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (1.0496, "at least 1.00 of the limit"),
        (1.0, "at least 1.00 of the limit"),
        (0.9999, "at least 0.99 of the limit"),
        (0.951, "at least 0.95 of the limit"),
    ],
)
def test_a_claim_is_the_lower_end_rounded_down_and_never_above_the_limit(speed, low, words):
    assert speed.claim({"median": 1.2, "interval": [low, 1.4]}) == words


def test_the_stored_result_says_what_its_rounds_say(speed):
    if not speed.RESULT.is_file():
        pytest.skip("no speed is stored, and so none may be quoted: python benchmarks/distillation_speed.py")
    found = json.loads(speed.RESULT.read_text(encoding="utf-8"))
    rounds = {len(s) for s in found["images_per_s"].values()}
    assert rounds == {found["rounds"]}
    assert found["rounds"] >= 10
    assert len(found["load_average"]) == found["rounds"] + 1
    for name, (first, second) in speed.PAIRS.items():
        assert speed.ratio(found["images_per_s"][first], found["images_per_s"][second]) == found["ratios"][name]
    assert speed.claim(found["ratios"][speed.OF_THE_LIMIT]) == found["claim"]
