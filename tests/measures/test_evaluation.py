"""One document with everything measured: consistent, plain JSON, whole on disk; edge rooms import no training framework."""

import json
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

from edgekd.errors import EdgekdError
from edgekd.measures import accuracy, calibration
from edgekd.measures.evaluation import Evaluation, evaluate
from edgekd.reports.evaluation import show, show_comparison

NAMES = ("glioma", "no tumour", "Größe")


def data(images=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, images)
    logits = rng.normal(size=(images, 3))
    logits[np.arange(images), labels] += 2
    return calibration.softmax(logits), labels


@pytest.fixture(scope="module")
def made():
    return evaluate(*data(), NAMES)


def test_it_holds_what_the_measures_say(made):
    probs, labels = data()
    assert made.images == 200
    assert made.accuracy == accuracy.accuracy(probs, labels)
    assert made.accuracy_interval == accuracy.bootstrap_intervals(probs, labels)["accuracy"]
    assert made.macro_f1_interval == accuracy.bootstrap_intervals(probs, labels)["macro_f1"]
    assert (made.ece_noise_floor, made.ece_noise_p95) == calibration.noise_floor(probs)
    for name in ("ece", "adaptive_ece", "classwise_ece", "debiased_ece", "nll", "brier"):
        assert getattr(made, name) == getattr(calibration, name)(probs, labels)
    assert made.macro.model_dump() == accuracy.averages(probs, labels, "macro")
    assert made.weighted.model_dump() == accuracy.averages(probs, labels, "weighted")
    assert made.macro_auc == pytest.approx(np.mean(accuracy.one_vs_rest_auc(probs, labels)))


def test_its_parts_agree_with_each_other(made):
    table = np.array(made.confusion)
    assert np.trace(table) / table.sum() == pytest.approx(made.accuracy)
    assert [c.images for c in made.classes] == table.sum(1).tolist()
    assert [c.recall for c in made.classes] == pytest.approx(np.diag(table) / table.sum(1))
    assert [c.precision for c in made.classes] == pytest.approx(np.diag(table) / table.sum(0))
    assert tuple(c.label_name for c in made.classes) == NAMES
    assert made.macro.f1 == pytest.approx(np.mean([c.f1 for c in made.classes]))
    assert sum(b.count for b in made.reliability) == 200
    assert made.accuracy_interval[0] < made.accuracy < made.accuracy_interval[1]


def test_groups_widen_the_intervals_and_are_counted():
    # Four copies of every image are no more evidence than one.
    probs, labels = (np.repeat(a, 4, axis=0) for a in data(100))
    plain = evaluate(probs, labels, NAMES)
    grouped = evaluate(probs, labels, NAMES, groups=np.repeat(np.arange(100), 4))
    assert (plain.groups, grouped.groups) == (None, 100)
    widths = [high - low for low, high in (plain.accuracy_interval, grouped.accuracy_interval)]
    assert widths[1] == pytest.approx(2 * widths[0], rel=0.25)  # in steps of 0.01
    assert grouped.accuracy == plain.accuracy


def test_an_absent_class_is_said_to_have_no_auc():
    probs, labels = data(60)
    labels[labels == 2] = 1
    found = evaluate(probs, labels, NAMES)
    assert found.classes[2].auc is None
    assert found.classes[2].images == 0
    assert found.macro_auc == pytest.approx(np.mean([found.classes[0].auc, found.classes[1].auc]))
    assert evaluate(probs[:1], labels[:1], NAMES).macro_auc is None


@pytest.mark.parametrize("names", [NAMES[:2], (*NAMES, "one more"), ()])
def test_every_class_has_one_name(names):
    with pytest.raises(ValueError, match="expected 3 label names"):
        evaluate(*data(), names)


def test_no_images_and_bad_rows_are_refused():
    probs, labels = data()
    for p, y in ((probs[:0], labels[:0]), (probs * 1.1, labels), (probs, labels[1:])):
        with pytest.raises(ValueError, match="expected"):
            evaluate(p, y, NAMES)


def test_saved_and_loaded_it_is_the_same(made, tmp_path):
    made.save(tmp_path / "new" / "evaluation.json")
    assert Evaluation.load(tmp_path / "new" / "evaluation.json") == made
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["evaluation.json"]
    text = (tmp_path / "new" / "evaluation.json").read_text(encoding="utf-8")
    assert "Größe" in text  # readable, not escaped
    assert json.loads(text)["schema"] == "edgekd.evaluation/1"


def test_the_same_input_gives_the_same_file(made, tmp_path):
    made.save(tmp_path / "a")
    evaluate(*data(), NAMES).save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "edgekd.evaluation/2"}, "schema"),
        ({"acuracy": 0.5}, "did you mean 'accuracy'"),
        ({"accuracy": "0.5"}, "accuracy"),
        ({"accuracy_interval": [0.1]}, "accuracy_interval"),
    ],
)
def test_a_file_that_is_not_ours_is_an_error(made, tmp_path, change, message):
    made.save(tmp_path / "a")
    values = json.loads((tmp_path / "a").read_text(encoding="utf-8"))
    (tmp_path / "a").write_text(json.dumps(values | change))
    with pytest.raises(EdgekdError, match=message):
        Evaluation.load(tmp_path / "a")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, None])
def test_a_broken_or_missing_file_is_an_error_that_names_it(tmp_path, content):
    if content is not None:
        (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(EdgekdError, match=r"a\.json"):
        Evaluation.load(tmp_path / "a.json")


def test_it_cannot_be_changed(made):
    with pytest.raises(ValueError, match="frozen"):
        made.accuracy = 1.0


def screen(draw, *arguments, width=100):
    console = Console(width=width, force_terminal=False)
    with console.capture() as captured:
        draw(*arguments, console) if draw is show else draw(*arguments, console, "title")
    return captured.get()


def test_the_screen_shows_every_headline_number(made):
    text = screen(show, made)
    low, high = made.accuracy_interval
    assert f"{100 * made.accuracy:.2f} % [{100 * low:.2f}, {100 * high:.2f}]" in text
    for value in (made.macro_auc, made.ece, made.ece_noise_floor, made.ece_noise_p95, made.nll, made.brier):
        assert f"{value:.4f}" in text
    assert f"{100 * made.macro.f1:.2f} %" in text
    row = next(line for line in text.splitlines() if "glioma" in line)
    c = made.classes[0]
    assert row.replace("│", " ").replace("%", " ").split()[1:] == [
        str(c.images), f"{100 * c.precision:.2f}", f"{100 * c.recall:.2f}", f"{100 * c.f1:.2f}", f"{c.auc:.4f}",
    ]  # fmt: skip
    for count in np.ravel(made.confusion):
        assert str(count) in text


def test_names_are_text_not_markup():
    names = ("[red]a", "[/b]", "\\[x]")
    found = evaluate(*data(), names)
    text = screen(show, found)
    assert all(text.count(name) >= 3 for name in names)  # of the class, a row and a column
    assert "[/b]" in screen(show_comparison, {"[/b]": found}, {"[/b]": {"[/i]": "[/u]"}})


def test_the_comparison_has_one_value_under_every_header(made):
    other = evaluate(*data(90, seed=1), NAMES)
    text = screen(show_comparison, {"teacher": made, "student": other}, {"student": {"params": "2.2 M", "time": "9 s"}})
    header = next(line for line in text.splitlines() if "network" in line)
    row = next(line for line in text.splitlines() if "student" in line)
    for name, value in (("params", "2.2 M"), ("time", "9 s"), ("NLL", f"{other.nll:.4f}")):
        assert row[: header.index(name) + len(name)].endswith(value), name
    assert f"{made.ece:.4f} ({made.ece_noise_floor:.4f})" in text


MODULES = [f"edgekd.measures.{m}" for m in ("accuracy", "calibration", "drift", "evaluation")]
MODULES += ["edgekd.files", "edgekd.reports.evaluation", "edgekd.reports.pictures"]
FRESH = """
import importlib, sys
for name in {modules}:
    importlib.import_module(name)
heavy = {{"torch", "tensorflow", "timm", "sklearn", "scipy", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
import numpy as np
from edgekd.measures.evaluation import evaluate
evaluate(np.array([[0.9, 0.1], [0.2, 0.8]]), np.array([0, 1]), ["a", "b"])
heavy = {{"torch", "tensorflow", "timm"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_measures_and_reports_import_no_training_framework():
    done = subprocess.run([sys.executable, "-c", FRESH.format(modules=MODULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
