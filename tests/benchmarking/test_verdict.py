"""The headline: a sentence that the numbers alone decide."""

import re

import numpy as np
import pytest

from edgekd.benchmarking.verdict import change_words, headline, judge


@pytest.fixture
def made(hand_made):
    """A report of tflite and tflite-int8 on this machine: wrong and right answers of int8, and its time."""

    def make(wrong=0, right=0, int8_ms=10.0, **other):
        h = hand_made
        rows = [
            h.row("local", "tflite", h.hardware(10.0, seed=1)),
            h.row("local", "tflite-int8", h.hardware(int8_ms, seed=2), h.answers(wrong, right)),
        ]
        return h.report(rows, **other)

    return make


def test_smaller_and_no_faster(made):
    found = judge(made(wrong=2, right=1))
    assert found.outcome == "ship"
    assert found.format == "tflite-int8"
    assert found.sentence.startswith("ship tflite-int8: −0.5 pp (not significant)")
    assert "ECE 0.0" in found.sentence
    assert "3.3× smaller than tflite" in found.sentence
    assert found.sentence.endswith("; on this CPU not faster than tflite")


@pytest.mark.parametrize(
    ("int8_ms", "words"),
    [
        (5.0, "on this CPU 2.0× faster than tflite"),
        (20.0, "on this CPU not faster than tflite, 2.0× its time"),
        (10.0, "on this CPU not faster than tflite"),
    ],
)
def test_speed_is_told_with_its_error(made, int8_ms, words):
    assert headline(made(int8_ms=int8_ms)).endswith(words)


def test_noise_is_not_called_a_result(hand_made):
    h = hand_made
    noisy = h.hardware(10.0)
    rounds = tuple(tuple(ms * times for ms in noisy.latency.samples_ms[0]) for times in (0.5, 1.0, 2.0))
    noisy = noisy.model_copy(update={"latency": noisy.latency.model_copy(update={"samples_ms": rounds})})
    sentence = headline(h.report([h.row("local", "tflite", h.hardware(10.0)), h.row("local", "tflite-int8", noisy)]))
    assert re.search(r"on this CPU too noisy to tell whether it is faster than tflite \(0\.5 to 2\.0 times", sentence)


def test_a_significant_loss_is_not_shipped(made):
    found = judge(made(wrong=8))
    assert (found.outcome, found.format) == ("ship", "tflite")
    assert found.sentence.startswith("ship tflite: no answer changed")
    assert "smaller" not in found.sentence


def test_by_group_a_loss_of_two_patients_is_not_significant(hand_made):
    h = hand_made
    wrong = h.answers(8)
    at = np.flatnonzero((wrong != h.answers()).any(1))
    groups = [f"p{0 if i in at[:4] else 1 if i in at else i}" for i in range(h.IMAGES)]
    row = h.row("local", "tflite-int8", h.hardware(), wrong, groups=groups)
    found = row.numerics.drift
    assert found.mcnemar_p == pytest.approx(2 * 0.5**8)
    assert (found.p, found.is_significant) == (pytest.approx(2 / 4), False)
    assert change_words(found) == "−4.0 pp (not significant)"


def test_an_older_report_is_judged_by_the_test_that_it_holds(hand_made):
    found = hand_made.row("local", "tflite-int8", hand_made.hardware(), hand_made.answers(8)).numerics.drift
    older = found.model_dump(exclude={"p", "groups", "interval_pp"})
    read = type(found).model_validate(older)
    assert (read.p, read.tested_p, read.is_significant) == (None, found.mcnemar_p, True)
    assert change_words(read) == "−4.0 pp (significant, p = 0.0078)"


def test_a_large_loss_is_not_shipped_though_too_few_images_call_it_noise(made):
    assert judge(made(wrong=3)).format == "tflite"  # 1.5 pp of 200 images, p = 0.25


def test_where_all_lose_the_best_is_named(hand_made):
    h = hand_made
    rows = [h.row("local", f, h.hardware(), h.answers(n)) for f, n in (("tflite-int8", 12), ("onnx-int8", 9))]
    found = judge(h.report(rows))
    assert found.outcome == "wait"
    assert found.sentence.startswith("ship nothing yet: even onnx-int8 loses, −4.5 pp (significant, p = 0.0039)")
    assert "recall of " in found.sentence


def test_of_sizes_that_are_alike_the_fastest(hand_made):
    h = hand_made
    rows = [h.row("local", f, h.hardware(ms)) for f, ms in (("tflite-int8", 9.0), ("onnx-int8", 3.0), ("onnx", 1.0))]
    assert judge(h.report(rows)).format == "onnx-int8"


def test_of_those_as_fast_the_one_that_needs_least_memory(hand_made):
    h = hand_made
    lean = h.hardware(9.0, seed=1)
    lean = lean.model_copy(update={"memory": lean.memory.model_copy(update={"increase_mib": 3.0})})
    rows = [h.row("local", "tflite-int8", lean), h.row("local", "onnx-int8", h.hardware(8.99, seed=2))]
    assert judge(h.report(rows)).format == "tflite-int8"


def test_a_few_emulated_images_do_not_stop_what_many_support(made, hand_made):
    h, report = hand_made, made(wrong=1)
    few = h.row("a76", "tflite-int8", h.emulated(), h.answers(1)[:24])
    both = report.model_copy(update={"rows": (*report.rows, few), "devices": h.devices(a76=h.a76())})
    assert few.numerics.drift.accuracy_change_pp < -1
    assert headline(both) == headline(report)


def test_a_significant_loss_on_one_device_stops(made, hand_made):
    h, report = hand_made, made()
    bad = h.row("pi5", "tflite-int8", h.hardware(), h.answers(20))
    devices = h.devices(pi5=h.devices()["local"].model_copy(update={"kind": "ssh"}))
    assert judge(report.model_copy(update={"rows": (*report.rows, bad), "devices": devices})).format == "tflite"


def test_emulation_alone_says_nothing_of_speed(hand_made):
    h = hand_made
    rows = [h.row("a76", f, h.emulated()) for f in ("tflite", "tflite-int8")]
    sentence = headline(h.report(rows, {"a76": h.a76()}))
    assert sentence.startswith("ship tflite-int8: no answer changed")
    assert sentence.endswith("its speed is not known: no hardware ran it")
    assert " ms" not in sentence


def test_several_devices_each_have_their_say(made, hand_made):
    h, report = hand_made, made(int8_ms=10.0)
    record = h.devices()["local"].model_copy(update={"kind": "ssh"})
    rows = [h.row("pi5", "tflite", h.hardware(60.0)), h.row("pi5", "tflite-int8", h.hardware(20.0))]
    both = report.model_copy(update={"rows": (*report.rows, *rows), "devices": h.devices(pi5=record)})
    assert headline(both).endswith("; on this CPU not faster than tflite, on pi5 3.0× faster than tflite")


def test_without_a_baseline_the_time_itself(hand_made):
    h = hand_made
    assert headline(h.report([h.row("local", "tflite", h.hardware(4.0))])).endswith(" ms")


def test_without_a_reference_the_accuracy_itself(hand_made):
    h = hand_made
    row = h.row("local", "tflite", h.hardware())
    row = row.model_copy(update={"numerics": row.numerics.model_copy(update={"drift": None})})
    assert headline(h.report([row], reference=False)).startswith("ship tflite: accuracy 95.0 %, ECE ")


def test_nothing_measured_says_why(hand_made):
    h = hand_made
    gone = h.devices()["local"].model_copy(update={"failure": "no link"})
    found = judge(h.report([], {"pi5": gone}))
    assert (found.outcome, found.sentence) == ("nothing", "nothing was measured: pi5: no link")
    assert judge(h.report([], {})).sentence == "nothing was measured: no artefact met a device"


def test_calibration_above_its_noise_is_said(made):
    report = made()
    rows = [
        r.model_copy(
            update={
                "numerics": r.numerics.model_copy(
                    update={"evaluation": r.numerics.evaluation.model_copy(update={"ece": 0.2, "ece_noise_p95": 0.05})}
                )
            }
        )
        for r in report.rows
    ]
    assert "ECE 0.200, above its noise" in headline(report.model_copy(update={"rows": tuple(rows)}))
