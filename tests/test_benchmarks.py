"""The README quotes the stored results of the audit's benchmarks, and they reach what is promised."""

import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ["audit_planted", "audit_scaling"])
def test_the_readme_quotes_the_measured_figures(name, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    benchmark = importlib.import_module(name)
    results = json.loads((ROOT / "benchmarks" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    assert "\n".join(benchmark.readme_rows(results)) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("images", ["phantom", "mri4"])
def test_every_kind_of_planted_copy_was_found(images):
    stored = (ROOT / "benchmarks" / "results" / "audit_planted.json").read_text(encoding="utf-8")
    kinds = json.loads(stored)["sets"][images]["methods"]["edgekd"]["kinds"]
    assert {kind: found for kind, found in kinds.items() if min(found["recall"], found["precision"]) < 0.98} == {}
