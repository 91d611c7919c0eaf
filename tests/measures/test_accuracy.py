"""Accuracy by hand and against scikit-learn; the bootstrap intervals cover what they claim to."""

import numpy as np
import pytest
from scipy.stats import binom, binomtest
from sklearn.metrics import f1_score, roc_auc_score

from edgekd.measures import accuracy as acc
from edgekd.measures.calibration import softmax

# Answers 0 0 1 1 2 2 for the labels 0 1 1 1 2 0; class 3 never occurs.
PROBS = np.array(
    [
        [0.7, 0.1, 0.1, 0.1],
        [0.6, 0.2, 0.1, 0.1],
        [0.1, 0.7, 0.1, 0.1],
        [0.2, 0.5, 0.2, 0.1],
        [0.1, 0.1, 0.8, 0.0],
        [0.3, 0.1, 0.6, 0.0],
    ]
)
LABELS = np.array([0, 1, 1, 1, 2, 0])


def data(images, classes, seed=0, shift=1.5):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, images)
    logits = rng.normal(size=(images, classes))
    logits[np.arange(images), labels] += shift
    return softmax(logits), labels


def one_hot(right):
    """Probabilities of two classes and labels of the first, right where `right` is."""
    right = np.asarray(right, bool)
    return np.stack([right, ~right], axis=1).astype(float), np.zeros(len(right), int)


def test_scores_by_hand():
    assert acc.accuracy(PROBS, LABELS) == pytest.approx(4 / 6)
    assert acc.per_class(PROBS, LABELS) == {
        "precision": pytest.approx([1 / 2, 1, 1 / 2, 0]),
        "recall": pytest.approx([1 / 2, 2 / 3, 1, 0]),
        "f1": pytest.approx([1 / 2, 4 / 5, 2 / 3, 0]),
        "support": [2, 3, 1, 0],
    }
    f1 = [1 / 2, 4 / 5, 2 / 3, 0]
    assert acc.averages(PROBS, LABELS, "macro") == pytest.approx(
        {"precision": 2 / 4, "recall": (1 / 2 + 2 / 3 + 1) / 4, "f1": sum(f1) / 4}
    )
    assert acc.averages(PROBS, LABELS, "weighted") == pytest.approx(
        {"precision": (2 / 2 + 3 + 1 / 2) / 6, "recall": 4 / 6, "f1": (2 * f1[0] + 3 * f1[1] + f1[2]) / 6}
    )


def test_confusion_has_labels_in_rows_and_all_classes():
    assert acc.confusion(PROBS, LABELS) == [[1, 0, 1, 0], [1, 2, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_auc_is_the_share_of_pairs_in_order_and_none_for_an_absent_class():
    found = acc.one_vs_rest_auc(PROBS, LABELS)
    positive, negative = PROBS[LABELS == 0, 0], PROBS[LABELS != 0, 0]
    pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
    assert found[0] == pytest.approx(np.mean(pairs))
    assert found[2] == 1
    assert found[3] is None
    assert acc.one_vs_rest_auc(PROBS[:1], LABELS[:1]) == [None] * 4  # no rest either
    probs, labels = data(300, 3)
    macro = roc_auc_score(labels, probs, multi_class="ovr", average="macro")
    assert np.mean(acc.one_vs_rest_auc(probs, labels)) == pytest.approx(macro)


@pytest.mark.parametrize(
    "measure",
    [acc.accuracy, acc.per_class, acc.one_vs_rest_auc, acc.confusion, acc.bootstrap_intervals],
    ids=lambda m: m.__name__,
)
def test_input_is_checked(measure):
    for probs, labels in ((PROBS[:0], LABELS[:0]), (PROBS, LABELS[:3]), (PROBS * 2, LABELS), (PROBS, LABELS + 2)):
        with pytest.raises(ValueError, match="expected"):
            measure(probs, labels)


@pytest.mark.parametrize("groups", [None, "pairs"])
def test_intervals_are_those_of_a_plain_bootstrap(groups):
    probs, labels = data(240, 4)
    labels[labels == 3] = 2  # class 3 is answered but never right
    ids = np.arange(240) // 2 if groups else np.arange(240)
    found = acc.bootstrap_intervals(probs, labels, [f"p{i}" for i in ids] if groups else None)
    rng, accuracies, f1 = np.random.default_rng(7), [], []
    for _ in range(250):
        drawn = rng.integers(0, ids.max() + 1, ids.max() + 1)
        i = np.concatenate([np.flatnonzero(ids == g) for g in drawn])
        accuracies.append((probs[i].argmax(1) == labels[i]).mean())
        f1.append(f1_score(labels[i], probs[i].argmax(1), labels=range(4), average="macro", zero_division=0))
    assert found["accuracy"] == pytest.approx(np.quantile(accuracies, [0.025, 0.975]), abs=0.012)
    assert found["macro_f1"] == pytest.approx(np.quantile(f1, [0.025, 0.975]), abs=0.012)
    low, high = found["macro_f1"]
    assert low < f1_score(labels, probs.argmax(1), labels=range(4), average="macro", zero_division=0) < high


def test_the_interval_of_accuracy_holds_95_percent_of_a_binomial():
    right = np.arange(2000) < 1600
    found = acc.bootstrap_intervals(*one_hot(right))["accuracy"]
    assert 2000 * np.array(found) == pytest.approx(binom.ppf([0.025, 0.975], 2000, 0.8), abs=4)  # 90 % would be 6 off


def test_intervals_cover_the_truth_19_times_in_20():
    rng, hits = np.random.default_rng(0), 0
    for seed in range(300):
        low, high = acc.bootstrap_intervals(*one_hot(rng.random(200) < 0.8), seed=seed)["accuracy"]
        hits += low <= 0.8 <= high
    assert 0.91 <= hits / 300 <= 0.98  # 0.95 +- 3 standard errors, and a percentile interval is a little narrow


def test_intervals_by_group_cover_the_truth_where_those_by_image_do_not():
    # 60 patients with 8 slices each; a patient's slices are all right or all wrong: 60 independent answers, not 480.
    rng, by_group, by_image = np.random.default_rng(1), 0, 0
    groups = [f"p{i}" for i in np.repeat(np.arange(60), 8)]
    for seed in range(80):
        probs, labels = one_hot(np.repeat(rng.random(60) < 0.8, 8))
        low, high = acc.bootstrap_intervals(probs, labels, groups, seed)["accuracy"]
        by_group += low <= 0.8 <= high
        low, high = acc.bootstrap_intervals(probs, labels, None, seed)["accuracy"]
        by_image += low <= 0.8 <= high
    assert by_group / 80 > 0.88
    assert by_image / 80 < 0.7


def test_groups_of_one_image_change_nothing_but_the_draw():
    probs, labels = data(300, 3)
    alone = acc.bootstrap_intervals(probs, labels)
    single = acc.bootstrap_intervals(probs, labels, [str(i) for i in range(300)])
    assert single["accuracy"] == pytest.approx(alone["accuracy"], abs=0.008)
    assert single["macro_f1"] == pytest.approx(alone["macro_f1"], abs=0.008)


def test_intervals_are_repeatable_and_depend_on_the_seed():
    probs, labels = data(500, 4)
    assert acc.bootstrap_intervals(probs, labels, seed=3) == acc.bootstrap_intervals(probs, labels, seed=3)
    assert acc.bootstrap_intervals(probs, labels, seed=3) != acc.bootstrap_intervals(probs, labels, seed=4)


def test_all_right_is_no_certainty():
    probs, labels = one_hot([True] * 40)
    clopper = binomtest(40, 40).proportion_ci(method="exact")
    found = acc.bootstrap_intervals(probs, labels)
    assert found["accuracy"] == pytest.approx((clopper.low, 1))
    assert found["accuracy"][0] == pytest.approx(0.025 ** (1 / 40))
    assert found["macro_f1"] == pytest.approx(
        (clopper.low / 2, 1 / 2)
    )  # the other of two classes has no image, and F1 0
    by_group = acc.bootstrap_intervals(probs, labels, [f"p{i % 8}" for i in range(40)])
    assert by_group["accuracy"] == pytest.approx((0.025 ** (1 / 8), 1))  # 8 patients, not 40 images


def test_none_right_is_no_certainty():
    found = acc.bootstrap_intervals(*one_hot([False] * 9), groups=["a", "b", "c"] * 3)
    assert found["accuracy"] == pytest.approx((0, 1 - 0.025 ** (1 / 3)))
    assert found["macro_f1"] == pytest.approx((0, (1 - 0.025 ** (1 / 3)) / 2))


def test_each_class_counts_its_own_groups():
    labels = np.array([0] * 20 + [1] * 4)
    groups = [f"p{i // 2}" for i in range(20)] + ["q"] * 4  # ten patients of the one class, one of the other
    found = acc.bootstrap_intervals(np.eye(2)[labels], labels, groups)
    assert found["accuracy"] == pytest.approx((0.025 ** (1 / 11), 1))
    assert found["macro_f1"] == pytest.approx(((0.025 ** (1 / 10) + 0.025) / 2, 1))


def test_groups_that_are_all_alike_are_no_certainty():
    """Of every patient one of two images is right: resamples are all alike."""
    found = acc.bootstrap_intervals(*one_hot([True, False] * 10), groups=[f"p{i // 2}" for i in range(20)])
    expected = binomtest(5, 10).proportion_ci(method="exact")
    assert found["accuracy"] == pytest.approx((expected.low, expected.high))


def test_one_patient_says_little():
    for right in ([True, False, True], [True] * 3, [False] * 3):
        low, high = acc.bootstrap_intervals(*one_hot(right), groups=["a"] * 3)["accuracy"]
        assert high - low >= 0.975 - 1e-9


@pytest.mark.parametrize("groups", [["a"], [], np.array(["a", "b"])])
def test_groups_are_one_per_image(groups):
    with pytest.raises(ValueError, match="a group for each of 6 images"):
        acc.bootstrap_intervals(PROBS, LABELS, groups)


def test_many_classes_and_images_take_little_memory_and_time():
    probs, labels = data(3000, 100, shift=3.0)
    low, high = acc.bootstrap_intervals(probs, labels)["accuracy"]
    assert low < acc.accuracy(probs, labels) < high
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 3000), rel=0.25)


def test_a_missing_package_names_the_install_command(monkeypatch):
    import sys

    from edgekd.errors import EdgekdError

    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[train\]"'):
        acc.confusion(PROBS, LABELS)
