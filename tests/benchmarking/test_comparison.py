"""Two reports: what changed, what is significant, and when a --limit is exceeded."""

import json
import re

import numpy as np
import pytest
from rich.console import Console
from safetensors.numpy import save_file

from edgekd import benchmark
from edgekd.benchmarking import comparison
from edgekd.errors import EdgekdError


@pytest.fixture
def console():
    return Console(width=80, record=True)


@pytest.fixture
def pair(hand_made, tmp_path):
    """Writes two reports of one row each: wrong answers more, and so much slower."""

    def write(wrong=0, times=1.0, *, after=None, **settings):
        h = hand_made
        before = h.report([h.row("local", "tflite-int8", h.hardware(10.0, seed=1))])
        answers = h.answers(wrong)
        row = h.row("local", "tflite-int8", h.hardware(10.0 * times, seed=2), answers)
        second = h.report([row], **settings) if after is None else after
        return h.save(before, tmp_path / "a"), h.save(second, tmp_path / "b", {row.key: answers})

    return write


def test_nothing_changed(pair, console):
    found = comparison.compare(*pair())
    (change,) = found.changes
    assert change.accuracy.change_pp == 0
    assert change.accuracy.images == 200
    assert not change.accuracy.is_significant
    assert not change.latency.is_significant
    assert change.latency.rounds == 3
    assert found.notes == found.lost == found.new == ()


def test_a_paired_loss_of_accuracy_is_found_where_intervals_overlap(pair):
    (change,) = comparison.compare(*pair(wrong=7)).changes
    assert change.accuracy.change_pp == pytest.approx(-3.5)
    assert change.accuracy.flips == 7
    assert change.accuracy.mcnemar_p == pytest.approx(2 * 0.5**7)
    assert change.accuracy.is_significant


def test_five_flips_are_no_significant_loss(pair):
    assert not comparison.compare(*pair(wrong=5)).changes[0].accuracy.is_significant


@pytest.mark.parametrize(
    ("wrong", "times", "limits", "exceeded"),
    [
        (0, 1.0, {"accuracy_drop_pp": 1, "latency_ratio": 1.2}, []),
        (3, 1.0, {"accuracy_drop_pp": 1, "latency_ratio": 1.2}, ["accuracy_drop_pp"]),
        (3, 1.3, {"accuracy_drop_pp": 1, "latency_ratio": 1.2}, ["accuracy_drop_pp", "latency_ratio"]),
        (0, 1.3, {"latency_ratio_low": 1.2}, ["latency_ratio_low"]),
        (7, 1.0, {"significant_drop_pp": 0}, ["significant_drop_pp"]),
        (5, 1.0, {"significant_drop_pp": 0}, []),
        (3, 1.0, {"recall_drop_pp": 2, "flips": 3}, ["recall_drop_pp"]),
        (0, 1.0, {"size_ratio": 1, "memory_ratio": 1, "ece_rise": 0, "flips": 0, "rows_lost": 0}, []),
        (0, 1.0, {"flips": -1, "rows_lost": -1}, ["flips", "rows_lost"]),
        (9, 9.0, {}, []),
    ],
)
def test_what_goes_beyond_a_limit_decides_the_exit_code(pair, console, wrong, times, limits, exceeded):
    folders = pair(wrong, times)
    assert [e.name for e in comparison.judge(*folders, limits).exceeded] == exceeded
    assert benchmark.compare(*folders, limits, console) == (4 if exceeded else 0)


def test_by_group_seven_slices_of_two_patients_are_no_significant_loss(hand_made, tmp_path, console):
    h = hand_made
    wrong = h.answers(7)
    at = np.flatnonzero((wrong != h.answers()).any(1))
    groups = tuple(f"p{0 if i in at[:4] else 1 if i in at else i}" for i in range(h.IMAGES))
    folders = []
    for name, answers in (("a", h.answers()), ("b", wrong)):
        row = h.row("local", "tflite-int8", h.hardware(), answers)
        found = h.report([row])
        found = found.model_copy(update={"data": found.data.model_copy(update={"groups": groups})})
        folders.append(h.save(found, tmp_path / name, {row.key: answers}))
    found = comparison.judge(*folders, {"accuracy_drop_pp": 3, "significant_drop_pp": 0})
    accuracy = found.changes[0].accuracy
    assert accuracy.mcnemar_p == pytest.approx(2 * 0.5**7)
    assert accuracy.p == pytest.approx(2 / 4)  # two patients, both worse
    assert accuracy.groups == len(set(groups))
    assert accuracy.interval_pp[0] < -3.5 < accuracy.interval_pp[1]
    assert not accuracy.is_significant
    assert [str(e) for e in found.exceeded] == ["accuracy_drop_pp 3.5 > 3: tflite-int8 on local, 1 thread"]
    benchmark.compare(*folders, {}, console)
    assert "p by group; accuracy changed in 0" in console.export_text()


def test_every_name_has_a_value_for_a_row_from_hardware(pair):
    change = comparison.compare(*pair(wrong=2)).changes[0]
    assert list(comparison.NAMES) == [*comparison.values_of(change), "rows_lost"]
    assert None not in comparison.values_of(change).values()


def test_an_emulated_row_has_no_latency_and_a_limit_on_it_is_an_error(hand_made, tmp_path, console):
    h = hand_made
    found = h.report([h.row("a76", "tflite", h.emulated())], {"a76": h.a76()})
    a, b = h.save(found, tmp_path / "a"), h.save(found, tmp_path / "b")
    (change,) = comparison.compare(a, b).changes
    assert change.latency is None
    assert change.peak_rss_mib is None
    assert benchmark.compare(a, b, {"accuracy_drop_pp": 1}, console) == 0
    with pytest.raises(EdgekdError, match="latency_ratio: no row that both reports have has a value"):
        benchmark.compare(a, b, {"accuracy_drop_pp": 1, "latency_ratio": 1.2}, console)


def test_beside_a_row_that_has_latency_an_emulated_one_exceeds_no_limit_on_it(hand_made, tmp_path, console):
    h = hand_made
    rows = [h.row("a76", "tflite", h.emulated()), h.row("local", "tflite", h.hardware())]
    found = h.report(rows, h.devices(a76=h.a76()))
    a, b = h.save(found, tmp_path / "a"), h.save(found, tmp_path / "b")
    assert benchmark.compare(a, b, {"latency_ratio": 2}, console) == 0
    exceeded = comparison.judge(a, b, {"latency_ratio": 0.5}).exceeded
    assert [e.row for e in exceeded] == ["tflite on local, 1 thread"]


def test_rows_of_one_report_alone_are_named_and_can_fail(hand_made, tmp_path, console):
    h = hand_made
    rows = [h.row("local", name, h.hardware()) for name in ("tflite", "onnx")]
    a, b = h.save(h.report(rows), tmp_path / "a"), h.save(h.report(rows[:1]), tmp_path / "b")
    assert benchmark.compare(a, b, {"rows_lost": 0}, console) == 4
    text = console.export_text()
    assert "only before: onnx on local, 1 thread" in text
    assert "over the limit: rows_lost 1 > 0: the whole report" in text
    assert comparison.compare(b, a).new == ("onnx on local, 1 thread",)


def test_nothing_in_common_is_an_error(hand_made, tmp_path):
    h = hand_made
    a = h.save(h.report([h.row("local", "tflite", h.hardware())]), tmp_path / "a")
    b = h.save(h.report([h.row("local", "onnx", h.hardware())]), tmp_path / "b")
    with pytest.raises(EdgekdError, match="a row that both have"):
        comparison.compare(a, b)


@pytest.mark.parametrize("damage", ["missing", "broken"])
def test_without_answers_there_is_no_paired_test(pair, damage):
    a, b = pair(wrong=7)
    if damage == "missing":
        (b / "answers.safetensors").unlink()
    else:
        (b / "answers.safetensors").write_bytes(b"\xff" * 40)
    found = comparison.compare(a, b)
    assert found.changes[0].accuracy.change_pp == pytest.approx(-3.5)
    assert found.changes[0].accuracy.p is None
    with pytest.raises(EdgekdError, match="significant_drop_pp"):
        comparison.judge(a, b, {"significant_drop_pp": 0})
    assert "not paired" in found.notes[0]


@pytest.mark.parametrize("damage", ["too few", "no probabilities", "no times"])
def test_what_contradicts_itself_is_an_error(pair, hand_made, damage):
    a, b = pair()
    answers = hand_made.truth()[1].astype(np.float32)
    if damage == "no times":
        report = json.loads((b / "report.json").read_text())
        report["rows"][0]["measurement"]["latency"]["samples_ms"] = []
        (b / "report.json").write_text(json.dumps(report))
    else:
        tensors = {"local-tflite-int8-1": answers[:9] if damage == "too few" else answers * 3}
        save_file(tensors, b / "answers.safetensors")
    with pytest.raises(EdgekdError, match="consistent numbers"):
        comparison.compare(a, b)


def test_images_of_another_listing_are_paired_by_name_and_label(pair, hand_made):
    h = hand_made
    row = h.row("local", "tflite-int8", h.hardware())
    second = h.report([row])
    data = second.data.model_copy(
        update={"listing_sha256": "f" * 64, "image_names": ("x", *second.data.image_names[1:])}
    )
    found = comparison.compare(*pair(after=second.model_copy(update={"data": data})))
    assert found.changes[0].accuracy.images == 199
    assert "199 are in both" in found.notes[0]


def test_other_label_names_are_not_paired(pair, hand_made):
    names = ("a", "b", "c", "d")
    row = hand_made.row("local", "tflite-int8", hand_made.hardware(), label_names=names)
    found = comparison.compare(*pair(after=hand_made.report([row], label_names=names)))
    assert found.notes == ("not paired: the label names differ",)


def test_fewer_images_on_one_side_are_paired_on_those(hand_made, tmp_path):
    h = hand_made
    a = h.save(h.report([h.row("a76", "tflite", h.emulated())], {"a76": h.a76()}), tmp_path / "a")
    few = h.row("a76", "tflite", h.emulated(), h.answers()[:30])
    b = h.save(h.report([few], {"a76": h.a76()}), tmp_path / "b")
    assert comparison.compare(a, b).changes[0].accuracy.images == 30


def test_json_and_screen(pair, console, tmp_path):
    folders = pair(wrong=7, times=1.5)
    assert benchmark.compare(*folders, {"latency_ratio": 1.2}, console, tmp_path / "c.json") == 4
    document = json.loads((tmp_path / "c.json").read_text())
    assert comparison.Comparison.model_validate_json((tmp_path / "c.json").read_text()).changes
    assert document["schema"] == "edgekd.benchmark_comparison/2"
    assert document["exceeded"][0]["row"] == "tflite-int8 on local, 1 thread"
    text = console.export_text()
    assert max(len(line) for line in text.splitlines() if "│" not in line) <= 80
    for words in ("-3.50 (0.02)*", "over the limit: latency_ratio 1."):
        assert words in text
    assert re.search(r" 1\.(49|5\d) \[1\.\d\d, 1\.\d\d\]\* ", text)


def test_hostile_names_are_only_text(hand_made, tmp_path, console):
    h = hand_made
    name = "[red]x[/nope] <script>"
    device = h.devices()["local"]
    found = h.report([h.row(name, "tflite", h.hardware())], {name: device})
    benchmark.compare(h.save(found, tmp_path / "a"), h.save(found, tmp_path / "b"), {}, console)
    assert "[red]" in console.export_text()
