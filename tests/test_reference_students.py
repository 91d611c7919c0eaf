"""The tables of the reference students: what they say is what the committed bundles say of themselves."""

import importlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from edgekd.bundle import Bundle
from edgekd.measures.evaluation import Evaluation

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
NAMES = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return importlib.import_module("reference_students")


@pytest.fixture
def stored():
    return json.loads((RESULTS / "reference_students.json").read_text(encoding="utf-8"))


def test_the_readme_quotes_the_tables(script, stored):
    latency = json.loads((RESULTS / "student_latency.json").read_text(encoding="utf-8"))["table"]
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")
    made = script.tables(stored, latency)
    assert [table for table in made if table not in readme] == []
    assert (RESULTS / "reference_students.md").read_text(encoding="utf-8") == "\n\n".join(made) + "\n"


def test_the_readme_quotes_the_other_processor(script):
    table = json.loads((RESULTS / "student_latency_xeon.json").read_text(encoding="utf-8"))["table"]
    ratios = [table[f"{name} tflite-int8"] for name in NAMES]
    told = ["{times_as_fast:.1f} [{interval[0]:.1f}, {interval[1]:.1f}]".format(**ratio) for ratio in ratios]
    assert f"gives {told[0]}, {told[1]} and {told[2]} times" in (ROOT / "models/README.md").read_text(encoding="utf-8")
    assert f"{ratios[2]['times_as_fast']:.1f} times on an Intel Xeon" in (ROOT / "README.md").read_text(
        encoding="utf-8"
    )


@pytest.mark.parametrize("name", NAMES)
def test_the_results_are_those_of_the_bundles(stored, name):
    bundle, found = Bundle.open(ROOT / "models" / name), stored[name]
    rows = {row["role"]: row for row in found["rows"]}
    compared = json.loads(bundle.file("comparison.json").read_text())
    for role, told in (("committee", "teacher"), ("control", "control"), ("student", "student")):
        theirs = compared["networks"][told]
        assert {key: rows[role][key] for key in theirs.keys() & rows[role].keys()} == {
            key: theirs[key] for key in theirs.keys() & rows[role].keys()
        }
    assert rows["student"]["accuracy"] == Evaluation.load(bundle.file("evaluation/test.json")).accuracy
    assert found["gain"] == {key: compared["gain"][key] for key in found["gain"]}
    assert str(found["seed"]) in found["seeds"]
    assert found["seed"] == bundle.manifest.recipe["seed"]


def test_the_median_of_three_seeds_ships(stored):
    for name, found in stored.items():
        own = found["seeds"][str(found["seed"])]
        shipped = Evaluation.load(ROOT / "models" / name / "evaluation/val.json")
        assert (own["val_accuracy"], own["val_nll"]) == (shipped.accuracy, shipped.nll)
        for accuracy in ("val_accuracy", "student"):  # on validation, and on test, which decides nothing
            accuracies = sorted(one[accuracy] for one in found["seeds"].values())
            if len(accuracies) % 2:
                assert own[accuracy] == accuracies[len(accuracies) // 2]


def test_the_readme_quotes_how_far_seeds_move_a_student(stored):
    readme = (ROOT / "models/README.md").read_text(encoding="utf-8")

    def told(name, accuracy):
        found = [100 * one[accuracy] for one in stored[name]["seeds"].values() if accuracy in one]
        return min(found), max(found)

    front = (ROOT / "README.md").read_text(encoding="utf-8")
    whole, half = (" to ".join(f"{one:.2f}" for one in told(name, "student")) for name in (NAMES[0], NAMES[2]))
    assert f"MobileNetV2 has {whole} % and the small one {half} % in float32" in front
    low, high = told(NAMES[0], "student")
    assert f"(three seeds: {low:.2f} to {high:.2f})" in readme
    assert f"move a student by {high - low:.1f} pp on test" in readme
    low, high = told(NAMES[0], "control")
    assert f"its control by {high - low:.1f} pp" in readme
    (low, high), (low_val, high_val) = (told(NAMES[2], accuracy) for accuracy in ("student", "val_accuracy"))
    assert f"from {low:.2f} to {high:.2f} % on test and from {low_val:.2f} to {high_val:.2f} % on validation" in readme


def test_a_run_is_read_from_its_bundles(script, tmp_path):
    for part in ("", "control", "teacher"):
        shutil.copytree(ROOT / "models" / NAMES[0], tmp_path / "run" / part, dirs_exist_ok=True)
    shutil.copytree(tmp_path / "run/teacher", tmp_path / "run/teacher/members/one")
    found = script.of_run(tmp_path / "run")
    assert [row["role"] for row in found["rows"]] == ["teacher", "committee", "control", "student"]
    assert found["gain"]["accuracy_change_pp"] == found["gain"]["nll_change"] == 0
    rows = [script.network_row(row).split(" | ") for row in found["rows"]]
    assert rows[0][1:] == rows[1][1:]
    assert rows[1][0] == "| committee of both"


def test_a_seed_may_have_its_teacher_elsewhere_and_no_control(script, tmp_path):
    for part in ("run", "elsewhere"):
        shutil.copytree(ROOT / "models" / NAMES[0], tmp_path / part)
    path = tmp_path / "run/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["recipe"]["teacher"]["bundle"] = str(tmp_path / "elsewhere")
    path.write_text(json.dumps(manifest), encoding="utf-8")
    found = script.of_seed(script.of_run(tmp_path / "run"))
    assert (found["gain"], "control" in found) == (None, False)
    row = script.seed_row("name", "7", found).split(" | ")
    assert row[:2] == ["| `name`", "7"]
    assert row[4] == "–"
    assert row[6:] == ["–", "–", "– |"]


def test_a_committee_that_was_trained_once_more_has_rows_of_its_own(script, stored):
    shared = dict.fromkeys(("one", "two"), stored[NAMES[0]])
    apart = shared | {"two": json.loads(json.dumps(stored[NAMES[0]]))}
    for row in apart["two"]["rows"]:
        row["seconds"] += 1
    assert script.tables(apart, {}) == script.tables(shared, {})
    apart["two"]["rows"][0]["accuracy"] = 0.5
    more = script.tables(apart, {})[0].splitlines()
    assert [line for line in script.tables(shared, {})[0].splitlines() if line not in more] == []
    again = [n for n, line in enumerate(more) if "trained once more for the next" in line]
    assert again == [8, 9, 10]  # after head, rule, three that teach, control, student and file
    assert " | 50.00 [" in more[8]


def test_a_ratio_is_of_the_same_turn_and_its_interval_of_rounds(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    table = importlib.import_module("student_latency").table
    rounds = [
        {"files": {"a": {"wall_ms": 4.0, "processor_ms": 4.0, "times_as_fast": ratio, "size_bytes": 7}}}
        for ratio in (7.0, 8.0, 12.0)
    ]
    found = table(rounds)["a"]
    assert (found["wall_ms"], found["times_as_fast"], found["size_bytes"]) == (4.0, 8.0, 7)
    medians = {float(np.median([a, b, c])) for a in (7, 8, 12) for b in (7, 8, 12) for c in (7, 8, 12)}
    assert set(found["interval"]) <= medians
    assert found["interval"][0] <= 8.0 <= found["interval"][1]
