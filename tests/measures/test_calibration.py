"""Calibration against hand-made cases, torchmetrics, scikit-learn and slow simulations."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss
from torchmetrics.classification import MulticlassCalibrationError

from edgekd.measures import calibration as cal


def answers(images, classes, seed=0, scale=2.0):
    """Logits [N, K] and labels that are drawn from softmax(logits): perfectly calibrated at temperature 1."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.normal(size=(images, classes))
    labels = (cal.softmax(logits).cumsum(1) < rng.random((images, 1))).sum(1)
    return logits, np.minimum(labels, classes - 1)


def two(confidences):
    """Probabilities of two classes whose first has these confidences."""
    c = np.asarray(confidences, float)
    return np.stack([c, 1 - c], axis=1)


MEASURES = (cal.nll, cal.brier, cal.ece, cal.adaptive_ece, cal.classwise_ece, cal.debiased_ece, cal.reliability_bins)
GOOD, LABELS = two([0.9, 0.8]), np.array([0, 1])
BAD = {
    "no images": (np.zeros((0, 2)), np.zeros(0, int)),
    "one label too few": (GOOD, LABELS[:1]),
    "labels as a column": (GOOD, LABELS[:, None]),
    "one row": (GOOD[0], LABELS),
    "logits": (np.array([[2.0, -1.0], [0.0, 1.0]]), LABELS),
    "sum 1.002": (GOOD * 1.002, LABELS),
    "NaN": (np.array([[np.nan, 1], [0.5, 0.5]]), LABELS),
    "label too large": (GOOD, np.array([0, 2])),
    "label negative": (GOOD, np.array([0, -1])),
    "labels not integers": (GOOD, np.array([0.0, 1.0])),
}


@pytest.mark.parametrize("measure", MEASURES, ids=lambda m: m.__name__)
@pytest.mark.parametrize("case", BAD)
def test_input_is_checked_not_repaired(measure, case):
    with pytest.raises(ValueError, match="expected"):
        measure(*BAD[case])


def test_rows_may_sum_to_1_within_rounding():
    assert cal.ece(GOOD * 1.0009, LABELS) == pytest.approx(cal.ece(GOOD, LABELS), abs=1e-3)
    assert cal.nll(GOOD.astype(np.float32), LABELS.astype(np.uint8)) == pytest.approx(cal.nll(GOOD, LABELS), rel=1e-6)


def test_softmax():
    assert cal.softmax(np.log([[1, 2, 5]])) == pytest.approx(np.array([[0.125, 0.25, 0.625]]))
    assert cal.softmax(np.log([[1, 4]]), 2.0) == pytest.approx(np.array([[1 / 3, 2 / 3]]))
    assert cal.softmax(np.array([[1000.0, 0.0], [-1000.0, -1000.0]])).tolist() == [[1, 0], [0.5, 0.5]]
    logits, _ = answers(50, 6)
    theirs = torch.softmax(torch.from_numpy(logits) / 3, 1).numpy()
    assert cal.softmax(logits, 3.0) == pytest.approx(theirs, abs=1e-14)


@pytest.mark.parametrize("logits", [[[np.nan, 0]], [[np.inf, 0]], [[-np.inf, 0]], [1.0, 2.0]])
def test_softmax_refuses_what_has_no_probabilities(logits):
    with pytest.raises(ValueError, match="finite logits"):
        cal.softmax(np.array(logits))


@pytest.mark.parametrize("temperature", [0, -1, np.nan, np.inf])
def test_softmax_refuses_impossible_temperatures(temperature):
    with pytest.raises(ValueError, match="positive temperature"):
        cal.softmax(np.zeros((1, 2)), temperature)


def test_nll_and_brier_by_hand():
    probs, labels = np.array([[0.5, 0.25, 0.25], [0.2, 0.2, 0.6]]), np.array([0, 1])
    assert cal.nll(probs, labels) == pytest.approx((np.log(2) + np.log(5)) / 2)
    assert cal.brier(probs, labels) == pytest.approx(((0.25 + 0.0625 * 2) + (0.04 + 0.64 + 0.36)) / 2)
    assert cal.brier(two([1, 1]), np.array([1, 1])) == 2  # the worst
    assert cal.nll(two([1, 1]), np.array([0, 1])) == pytest.approx(-np.log(1e-12) / 2)  # finite where p is 0


def test_nll_and_brier_are_sklearns():
    from sklearn.metrics import brier_score_loss

    logits, labels = answers(400, 5)
    probs = cal.softmax(logits)
    assert cal.nll(probs, labels) == pytest.approx(log_loss(labels, probs, labels=range(5)), rel=1e-12)
    binary, right = two(probs[:, 0]), (labels != 0).astype(int)
    assert cal.brier(binary, right) == pytest.approx(2 * brier_score_loss(right, binary[:, 1]), rel=1e-12)


def test_ece_by_hand():
    # Bins of a fifth: (0.4, 0.6] holds 0.6 right and 0.55 wrong; (0.8, 1] holds 0.9 right.
    probs, labels = two([0.6, 0.55, 0.9]), np.array([0, 1, 0])
    assert cal.ece(probs, labels, 5) == pytest.approx((abs(1 - 1.15) + abs(1 - 0.9)) / 3)
    assert cal.ece(probs, labels, 1) == pytest.approx(abs(2 - 2.05) / 3)
    assert cal.ece(two([1, 1]), np.array([0, 0])) == 0
    assert cal.ece(two([1, 1]), np.array([1, 1])) == 1


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("classes", [2, 4, 10])
def test_ece_is_torchmetrics(bins, classes):
    logits, labels = answers(800, classes, seed=classes)
    probs = cal.softmax(logits, 0.6)
    theirs = MulticlassCalibrationError(classes, n_bins=bins, norm="l1")(
        torch.from_numpy(probs), torch.from_numpy(labels)
    )
    assert cal.ece(probs, labels, bins) == pytest.approx(float(theirs), abs=1e-6)
    assert cal.ece(probs, labels, bins) > 0.02  # there is something to agree on


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    edge = np.linspace(0, 1, 6)[3]  # 0.6
    found = cal.reliability_bins(two([edge, np.nextafter(edge, 1), 0.8, 1.0, 0.5]), np.array([0, 0, 1, 0, 0]), 5)
    assert [b.count for b in found] == [0, 0, 2, 2, 1]
    assert (found[3].low, found[3].high) == pytest.approx((0.6, 0.8))
    assert (found[3].confidence, found[3].accuracy) == pytest.approx((0.7, 0.5))
    assert (found[0].confidence, found[0].accuracy) == (0, 0)


@pytest.mark.parametrize("bins", [3, 7, 10, 15, 49])
def test_every_edge_goes_to_the_bin_that_reports_it_as_high(bins):
    # ceil(c * bins) puts several of these one bin too high, for example 7/15.
    edges = np.linspace(0, 1, bins + 1)
    assert cal.bin_index(edges[1:], bins).tolist() == list(range(bins))
    assert cal.bin_index(np.nextafter(edges[:-1], 2), bins).tolist() == list(range(bins))
    assert cal.bin_index(np.array([0.0, 1.0005]), bins).tolist() == [0, bins - 1]


def test_reliability_bins_add_up_to_the_ece():
    logits, labels = answers(500, 3)
    probs = cal.softmax(logits, 0.5)
    found = cal.reliability_bins(probs, labels)
    assert len(found) == 15
    assert sum(b.count for b in found) == 500
    assert sum(b.count * abs(b.accuracy - b.confidence) for b in found) / 500 == pytest.approx(cal.ece(probs, labels))


@pytest.mark.parametrize("measure", [cal.ece, cal.adaptive_ece, cal.classwise_ece, cal.debiased_ece, cal.noise_floor])
def test_there_is_at_least_one_bin(measure):
    with pytest.raises(ValueError, match="at least 1 bin"):
        measure(GOOD, bins=0) if measure is cal.noise_floor else measure(GOOD, LABELS, 0)


def test_adaptive_ece_by_hand():
    # Two bins of two: (0.6 right, 0.7 wrong) and (0.8 right, 0.9 right).
    probs, labels = two([0.9, 0.6, 0.8, 0.7]), np.array([0, 0, 0, 1])
    assert cal.adaptive_ece(probs, labels, 2) == pytest.approx((abs(1 - 1.3) + abs(2 - 1.7)) / 4)
    assert cal.adaptive_ece(probs, labels, 99) == pytest.approx((0.1 + 0.4 + 0.2 + 0.7) / 4)  # one image per bin


def test_bins_of_equal_mass_are_equal():
    confidence = np.random.default_rng(0).permutation(np.linspace(0.5, 1, 60))
    index = cal.mass_index(confidence, 15)
    assert np.bincount(index).tolist() == [4] * 15
    assert (np.diff(index[np.argsort(confidence)]) >= 0).all()


@pytest.mark.parametrize("measure", [cal.adaptive_ece, cal.debiased_ece])
def test_the_order_of_images_does_not_matter(measure):
    # Datasets are listed class by class, and saturated confidences tie: a sort that splits ties sees the order.
    probs = two([0.8] * 100 + [1.0] * 100)
    labels = np.array([0] * 80 + [1] * 20 + [0] * 90 + [1] * 10)
    order = np.random.default_rng(0).permutation(200)
    assert measure(probs[order], labels[order]) == pytest.approx(measure(probs, labels), abs=1e-12)
    assert cal.adaptive_ece(probs, labels) == pytest.approx(0.05)  # 0 for the first half, 0.1 for the second


def test_classwise_ece_by_hand_and_by_the_binary_ece_of_torchmetrics():
    probs, labels = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]]), np.array([0, 2])
    by_hand = [(0.3 + 0.1) / 2, (0.2 + 0.6) / 2, (0.1 + 0.7) / 2]
    assert cal.classwise_ece(probs, labels) == pytest.approx(np.mean(by_hand))
    from torchmetrics.functional.classification import binary_calibration_error

    logits, labels = answers(600, 4)
    probs = cal.softmax(logits, 0.7)
    theirs = [
        float(
            binary_calibration_error(
                torch.from_numpy(probs[:, k].copy()), torch.from_numpy(labels == k).int(), n_bins=15
            )
        )
        for k in range(4)
    ]
    assert cal.classwise_ece(probs, labels) == pytest.approx(np.mean(theirs), abs=1e-6)


def test_debiased_ece_by_hand():
    # One bin: confidence 0.9, accuracy 1/2 of 4 -> 0.4² - 0.25 / 3.
    probs, labels = two([0.9] * 4), np.array([0, 0, 1, 1])
    assert cal.debiased_ece(probs, labels, 1) == pytest.approx(np.sqrt(0.16 - 0.25 / 3))
    assert cal.debiased_ece(two([0.6] * 4), labels, 1) == 0  # 0.01 - 0.0833 is negative
    assert cal.debiased_ece(two([0.9]), np.array([1])) == 0  # one image has no variance
    # A bin of 3 and a bin of 1, which counts to N but adds nothing.
    assert cal.debiased_ece(two([0.7, 0.7, 0.7, 1.0]), np.array([1, 1, 1, 0]), 2) == pytest.approx(np.sqrt(0.75 * 0.49))


def test_debiasing_removes_the_bias_of_a_calibrated_model():
    squares, plain = [], []
    for seed in range(60):
        logits, labels = answers(300, 4, seed)
        squares.append(cal.debiased_ece(cal.softmax(logits), labels))
        plain.append(cal.adaptive_ece(cal.softmax(logits), labels))
    assert np.mean(plain) > 0.05  # of a perfect model: pure bias
    assert np.mean(squares) < 0.5 * np.mean(plain)


def test_noise_floor_is_that_of_a_slow_simulation():
    probs = cal.softmax(answers(200, 3, seed=5)[0])
    rng, found = np.random.default_rng(99), []
    for _ in range(1000):
        labels = (probs.cumsum(1) < rng.random((200, 1))).sum(1)
        found.append(cal.ece(probs, np.minimum(labels, 2)))
    mean, p95 = cal.noise_floor(probs, draws=1000)
    assert mean == pytest.approx(np.mean(found), rel=0.05)
    assert p95 == pytest.approx(np.quantile(found, 0.95), rel=0.07)
    assert p95 > mean > 0.02


def test_noise_floor_is_repeatable_falls_with_n_and_does_not_depend_on_pieces(monkeypatch):
    probs = cal.softmax(answers(400, 3)[0])
    assert cal.noise_floor(probs) == cal.noise_floor(probs)
    assert cal.noise_floor(probs) != cal.noise_floor(probs, seed=1)
    assert cal.noise_floor(probs)[0] < 0.8 * cal.noise_floor(probs[:100])[0]
    assert cal.noise_floor(two([1.0] * 50)) == (0, 0)  # certain and right: no noise
    whole = cal.noise_floor(probs, draws=37)
    monkeypatch.setattr(cal, "CHUNK", 1000)
    assert cal.noise_floor(probs, draws=37) == pytest.approx(whole, abs=1e-15)
    with pytest.raises(ValueError, match="1 draw"):
        cal.noise_floor(probs, draws=0)
    with pytest.raises(ValueError, match="N > 0"):
        cal.noise_floor(probs[:0])


@pytest.mark.parametrize("true", [0.3, 1.0, 2.5, 8.0])
def test_temperature_recovers_a_known_one(true):
    logits, labels = answers(20_000, 4, seed=1)
    assert cal.fit_temperature(logits * true, labels) == pytest.approx(true, rel=0.03)


def test_temperature_is_the_minimum_of_a_fine_search_and_repeatable():
    logits, labels = answers(300, 5, seed=2, scale=6.0)
    labels[:60] = (labels[:60] + 1) % 5
    found = cal.fit_temperature(logits, labels)
    grid = np.exp(np.linspace(np.log(0.05), np.log(20), 1001))
    best = grid[np.argmin([cal.nll(cal.softmax(logits, t), labels) for t in grid])]
    assert found == pytest.approx(best, rel=7e-3)
    assert found == cal.fit_temperature(logits, labels)


def test_temperature_of_large_logits_is_not_lost_on_a_plateau():
    # At most temperatures every probability is 0 or 1: an NLL that clips them is flat there.
    logits, labels = answers(2000, 4, seed=3, scale=0.5)
    assert cal.fit_temperature(logits * 15, labels) == pytest.approx(15, rel=0.2)
    few = np.array([[2000.0, 0.0]] * 3)  # saturated even at the upper end, yet that is where the NLL is least
    assert cal.fit_temperature(few, np.array([0, 0, 1])) == pytest.approx(20)


def test_temperature_of_extreme_data_stays_in_its_range():
    logits = 3 * np.eye(4)
    assert cal.fit_temperature(logits, np.arange(4)) == pytest.approx(0.05)  # all right
    assert cal.fit_temperature(logits, (np.arange(4) + 1) % 4) == pytest.approx(20)  # all wrong
    assert cal.fit_temperature(np.zeros((5, 4)), np.arange(5) % 4) == 1  # nothing to tell
    assert cal.fit_temperature(np.array([[0.5, 0.1]]), np.array([0])) == pytest.approx(0.05)  # one image


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        (np.zeros((0, 3)), np.zeros(0, int)),
        (np.zeros((2, 3)), np.array([0])),
        (np.zeros((2, 3)), np.array([0, 3])),
        (np.full((2, 3), np.nan), np.array([0, 1])),
        (np.zeros(3), np.array([0])),
    ],
)
def test_temperature_checks_its_input(logits, labels):
    with pytest.raises(ValueError, match="expected"):
        cal.fit_temperature(logits, labels)
