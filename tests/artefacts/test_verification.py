"""The checks that stand between a file and its name, by numbers that were made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from edgekd.artefacts import verification
from edgekd.artefacts.validation import Validation
from edgekd.artefacts.verification import Limits, Operator
from edgekd.measures.calibration import softmax
from edgekd.quantization.graph import Graph
from edgekd.runtimes import find, tflite

LOGITS = np.array([[3.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, -1.0]])
INT8, FP32, FP16 = (find(name)[0] for name in ("tflite-int8", "tflite", "tflite-fp16"))


def validation(labels):
    count = len(labels)
    return Validation(np.zeros((count, 2, 2, 3), np.uint8), np.array(labels), ("",) * count, np.zeros((count, 3)))


def answers(labels):
    """Probabilities that name these labels."""
    return softmax(5.0 * np.eye(3)[labels])


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_logits_come_back_from_probabilities(temperature):
    found = verification.logits_of(softmax(LOGITS, temperature), temperature)
    assert found == pytest.approx(LOGITS - LOGITS.mean(1, keepdims=True))


def test_logits_of_a_certain_answer_are_finite():
    assert np.isfinite(verification.logits_of(np.array([[1.0, 0.0, 0.0]], np.float32), 1.0)).all()


def test_an_equal_file_has_perfect_parity():
    found = verification.parity(softmax(LOGITS, 2.0), LOGITS, 2.0, step=0.1)
    assert (found.images, found.top1_agreement, found.lost_lead) == (4, 1.0, 0.0)
    assert (found.mean_steps, found.largest_steps) == pytest.approx((0, 0), abs=1e-9)
    assert found.largest_probability_change == pytest.approx(0, abs=1e-12)
    assert all(verification.parity_problems(found, format) == [] for format in (INT8, FP32, FP16))


@pytest.mark.parametrize("temperature", [0.05, 20.0])
def test_an_extreme_temperature_hides_no_parity(temperature):
    """Where every validation image is right the temperature is 0.05, and most of a file's float32 probabilities are 0 or 1."""
    found = verification.parity(softmax(5 * LOGITS, temperature).astype(np.float32), 5 * LOGITS, temperature, step=0.02)
    assert found.largest_steps < 0.01
    assert verification.parity_problems(found, INT8) == []


def test_parity_counts_in_steps_of_the_grid():
    changed = LOGITS.copy()
    changed[0] += (0.4, 0.0, -0.4)  # keeps the mean
    found = verification.parity(softmax(changed), LOGITS, 1.0, step=0.2)
    assert found.largest_steps == pytest.approx(2.0)
    assert found.mean_steps == pytest.approx(4 / 12)
    assert verification.parity(softmax(changed), LOGITS, 1.0, None).largest_steps == 0


def test_another_answer_and_far_logits_are_problems():
    wrong = LOGITS[:, ::-1]
    found = verification.parity(softmax(wrong), LOGITS, 1.0, step=0.01)
    words = " ".join(verification.parity_problems(found, INT8))
    assert found.top1_agreement == 0.25
    assert found.lost_lead == 300  # the first answer led by 3.0, in steps of 0.01
    assert "another answer where the reference leads by 300 steps" in words
    assert "steps from the reference's on average" in words


@pytest.mark.parametrize(("lead", "passes"), [(0, True), (1, True), (2, True), (3, False), (50, False)])
def test_an_int8_file_may_answer_otherwise_where_one_step_of_each_logit_makes_a_tie(lead, passes):
    scale = float(np.float32(0.0224))
    reference = (np.array([[40, 40 - lead, 0], [90, 0, 0]]) * np.float32(scale)).astype(np.float32)
    logits = reference[:, [1, 0, 2]].astype(np.float64)  # another answer to the first, if it is no tie
    logits[0, 0] -= scale / 4  # and to the tie too
    logits[1] = reference[1]
    found = verification.parity(softmax(logits, 1.3), reference, 1.3, scale)
    assert (found.top1_agreement, found.lost_lead) == (0.5, lead)
    found = found.model_copy(update={"mean_steps": 0.0})
    assert (verification.parity_problems(found, INT8) == []) is passes


@pytest.mark.parametrize(("format", "lead", "passes"), [(FP32, 5e-5, True), (FP32, 2e-4, False), (FP16, 0.01, True)])
def test_a_float_file_may_answer_otherwise_only_where_rounding_makes_a_tie(format, lead, passes):
    expected = np.array([[0.4 + lead / 2, 0.4 - lead / 2, 0.2]] * 2)
    probs = expected[:, [1, 0, 2]]
    found = verification.parity(probs, np.log(expected), 1.0, None)
    assert (found.top1_agreement, found.lost_lead) == (0.0, pytest.approx(lead))
    assert (verification.parity_problems(found, format) == []) is passes  # however many they are: each is a tie


@pytest.mark.parametrize(("format", "change", "passes"), [(FP32, 5e-4, True), (FP32, 5e-3, False), (FP16, 5e-3, True)])
def test_float_files_may_differ_as_far_as_their_weights_allow(format, change, passes):
    probs = softmax(LOGITS)
    probs[0] += (-change, change, 0)
    found = verification.parity(probs, LOGITS, 1.0, None)
    assert (verification.parity_problems(found, format) == []) is passes


@pytest.mark.parametrize("format", [INT8, FP32, FP16])
def test_numbers_that_are_none_never_pass(format):
    probs = softmax(LOGITS)
    probs[1, 0] = math.nan
    found = verification.parity(probs, LOGITS, 1.0, step=0.1)
    assert verification.parity_problems(found, format)


def test_operators_of_a_true_file_are_exact_and_of_another_are_named(int8_graph, facts, pixels, tmp_path):
    path = tmp_path / "tiny.tflite"
    tflite.write(int8_graph, INT8, facts, path)
    found = verification.operators(int8_graph, INT8, path, pixels)
    assert [o.node for o in found] == [n.name for n in int8_graph.nodes[1:]]
    assert max(o.largest for o in found) <= 1
    arrays = int8_graph.arrays | {"wide.bias": int8_graph.arrays["wide.bias"] + 5000}
    changed = verification.operators(Graph(int8_graph.nodes, arrays), INT8, path, pixels)
    sizes = {o.node: 2 * math.prod(int8_graph.shapes[o.node]) for o in changed}
    problems = verification.operator_problems(changed, sizes)
    assert problems[0].startswith("wide: codes differ by up to")


@pytest.mark.parametrize(
    ("differing", "largest", "problems"),
    [(0.0, 0, 0), (1e-4, 1, 0), (1e-3, 1, 1), (1e-4, 2, 1), (1e-3, 3, 2)],
)
def test_few_codes_may_differ_by_one(differing, largest, problems):
    found = [Operator(node="a", differing=0.0, largest=0), Operator(node="b", differing=differing, largest=largest)]
    assert len(verification.operator_problems(found, {"a": 0, "b": 20000})) == problems


def test_one_differing_code_of_few_is_no_problem():
    found = [Operator(node="a", differing=0.1, largest=1)]
    assert verification.operator_problems(found, {"a": 10}) == []
    assert verification.operator_problems([], {}) == []


def test_the_gate_is_silent_without_a_loss_and_at_its_limit():
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    right = answers(labels)
    assert verification.gate(right, validation(labels), right, Limits())[1] == []
    one_wrong = answers([1, *labels[1:]])
    limits = Limits(max_drop_pp=10.01, max_class_drop_pp=25.01)  # one of ten, one of four
    assert verification.gate(one_wrong, validation(labels), right, limits)[1] == []


def test_the_gate_names_the_fall_and_the_class():
    labels = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    found, problems = verification.gate(
        answers([1, *labels[1:]]), validation(labels), answers(labels), Limits(max_drop_pp=9.0, max_class_drop_pp=24.0)
    )
    assert found.flips == (0,)
    assert len(problems) == 2
    assert "accuracy falls by 10.00 pp" in problems[0]
    assert "recall of class 0 falls by 25.00 pp" in problems[1]


def test_a_gain_passes_and_a_class_may_not_pay_for_it():
    labels = [0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    float_probs = answers([0, 0, 0, 0, 0, 0, 2, 2, 2, 2])
    better = answers([0, 1, 1, 1, 1, 1, 2, 2, 2, 2])
    found, problems = verification.gate(better, validation(labels), float_probs, Limits())
    assert found.accuracy_change_pp == pytest.approx(30)
    assert problems == ["recall of class 0 falls by 50.00 pp (limit 3.0 pp)"]


def test_the_drift_is_tested_by_patient_where_patients_are_known():
    labels = [0] * 18
    wrong = answers([1] * 9 + [0] * 9)
    alone = validation(labels)
    patients = replace(alone, groups=tuple(f"p{i // 3}" for i in range(18)))
    found = [verification.gate(wrong, of, answers(labels), Limits())[0] for of in (alone, patients)]
    assert [f.p for f in found] == pytest.approx([2 * 0.5**9, 2 * 0.5**3])
    assert [f.groups for f in found] == [None, 6]


def test_the_temperature_is_measured_before_and_after():
    labels = np.array([0, 1, 2, 0])
    found = verification.calibration(10 * LOGITS, labels, 10.0)
    assert found.nll_before == pytest.approx(-np.log(softmax(10 * LOGITS)[np.arange(4), labels]).mean())
    assert found.nll == pytest.approx(-np.log(softmax(LOGITS)[np.arange(4), labels]).mean())
    assert found.ece_before < found.ece  # these answers are right, and were surer before
