"""The script that correlates scores with accuracies: tiny from end to end, and by numbers whose correlation is known."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

ROOT = Path(__file__).parents[1]
TINY = [
    "data.options={train=32, val=16, test=16, size=48}",
    "input.size=32",
    "training={epochs=1, batch_size=16}",
    "teacher.training={epochs=1, batch_size=16}",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "distillation.losses={kd=1.0}",
    "qat.enabled=false",
]


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    found = importlib.import_module("rank_correlation")
    monkeypatch.setattr(found, "RESULTS", tmp_path)
    monkeypatch.setattr(found, "RESAMPLES", 500)
    return found


def test_at_least_eight_students_of_several_families_are_compared(script):
    names = {candidate.settings.network for candidate in script.candidates()}
    assert len(script.CANDIDATES) >= 8
    assert len(names) >= 4


@pytest.mark.slow
def test_from_end_to_end_and_again(script, monkeypatch, tmp_path):
    monkeypatch.setattr(script, "SETTINGS", TINY)
    monkeypatch.setattr(script, "CANDIDATES", ("mobilenetv2:0.1", "mobilenetv2:0.2"))
    monkeypatch.setattr(script, "IMAGES", 4)
    monkeypatch.setattr(script, "DRAWS", 1)
    script.main(["--seeds", "1", "--jobs", "1", "--job", "0"])
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    assert len(trained) == 3
    script.main(["--seeds", "1", "--jobs", "1", "--job", "0"])
    script.main(["--seeds", "1", "--table"])
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")} == trained
    document = json.loads((tmp_path / "rank_correlation.json").read_text())
    assert [row["candidate"] for row in document["rows"]] == list(script.CANDIDATES)
    table = (tmp_path / "rank_correlation.md").read_text()
    assert all(f"| `{name}` |" in table for name in script.CANDIDATES)


def test_correlations_are_spearmans_of_the_mean_accuracy(script):
    rng = np.random.default_rng(3)
    assert script.correlations([]) == {}
    accuracy = np.sort(rng.random(10))
    known = {"score": accuracy**3 - 1, "relation": -accuracy, "semantic": rng.random(10), "macs": rng.random(10)}
    known["parameters"] = known["macs"] + 0.1 * rng.random(10)
    rows = [
        {"accuracies": [a - 0.01, a + 0.01]} | {name: values[i] for name, values in known.items()}
        for i, a in enumerate(accuracy)
    ]
    found = script.correlations(rows)
    assert found["score"]["rho"] == pytest.approx(1)  # any rising function
    assert found["relation"]["rho"] == pytest.approx(-1)
    assert found["score"]["p"] < 0.01
    assert found["semantic"]["rho"] == pytest.approx(spearmanr(known["semantic"], accuracy)[0])
    assert found["parameters"]["over_parameters"] == [0, 0]
    low, high = found["score"]["over_parameters"]
    assert low < 1 - found["parameters"]["rho"] < high
