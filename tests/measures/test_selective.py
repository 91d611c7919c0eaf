"""Risk-coverage by hand, conformal sets by hand and against MAPIE."""

import numpy as np
import pytest

from edgekd.measures.evaluation import evaluate
from edgekd.measures.selective import fit, one_of_each, risk_coverage, score, selective, sets

NAMES = ("a", "b", "c")


def drawn(count, seed=0, classes=3):
    """Probabilities, and labels drawn from them: a perfectly calibrated network."""
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(classes, 0.5), count)
    return probs, np.array([rng.choice(classes, p=p) for p in probs])


def two(confidence):
    return np.stack([confidence, 1 - np.asarray(confidence)], 1)


def test_risk_grows_as_the_unsure_are_asked():
    probs, labels = two([0.9, 0.6, 0.8, 0.7]), np.array([0, 1, 0, 1])  # wrong: the one of 0.6, the one of 0.7
    assert risk_coverage(probs, labels).tolist() == [0, 0, 1 / 3, 0.5]
    found = selective(probs, labels)
    assert found.aurc == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert found.accuracy_at == {"80": 0.5, "90": 0.5, "95": 0.5}  # of four images, 80 % are four


def test_coverage_is_rounded_up_but_not_by_a_bit_of_a_float():
    probs = two(np.linspace(0.99, 0.6, 20))
    labels = np.array([0] * 16 + [1] * 4)  # 0.8 · 20 is 16, 0.9 · 20 is 18, 0.95 · 20 is 19
    assert selective(probs, labels).accuracy_at == pytest.approx({"80": 1, "90": 16 / 18, "95": 16 / 19})


def test_equally_sure_answers_have_no_order():
    probs = two([0.9, 0.9, 0.6])
    for labels in ([0, 1, 0], [1, 0, 0]):
        assert risk_coverage(probs, np.array(labels)) == pytest.approx([0.5, 0.5, 1 / 3])


def test_the_quantile_by_hand():
    probs = two(np.arange(1, 10) / 10)  # p of class 0: 0.1 … 0.9
    found = fit(probs, np.zeros(9, int), alpha=0.2)
    assert found.quantile == pytest.approx(0.8)  # scores 0.1 … 0.9; the ⌈10 · 0.8⌉ = 8th smallest
    assert (found.drawn, found.by_group) == (9, False)
    assert fit(probs, np.zeros(9, int), alpha=0.1).quantile == pytest.approx(0.9)
    assert fit(probs[:8], np.zeros(8, int), alpha=0.1).quantile == 1  # 9 · 0.9 = 8.1: the ninth of eight
    assert sets(np.array([[0.2, 0.8], [0.19, 0.81], [0.5, 0.5]]), 0.8).tolist() == [
        [True, True],
        [False, True],
        [True, True],
    ]


def test_mapie_has_the_same_sets():
    mapie = pytest.importorskip("mapie.classification")
    from sklearn.base import BaseEstimator, ClassifierMixin

    class Given(ClassifierMixin, BaseEstimator):
        """Its inputs are the probabilities."""

        def fit(self, x, y):
            self.classes_ = np.arange(x.shape[1])
            return self

        def predict_proba(self, x):
            return x

        def predict(self, x):
            return x.argmax(1)

    probs, labels = drawn(301)
    new, _ = drawn(500, seed=1)
    theirs = mapie.SplitConformalClassifier(
        Given().fit(probs, labels), confidence_level=0.9, conformity_score="lac", prefit=True
    )
    _, expected = theirs.conformalize(probs, labels).predict_set(new)
    assert np.array_equal(sets(new, fit(probs, labels).quantile), expected[..., 0])


def test_one_image_of_each_group_is_drawn():
    member = np.repeat(np.arange(40), np.arange(1, 41))
    found = one_of_each(member)
    assert sorted(member[found]) == list(range(40))
    assert not np.array_equal(np.sort(found), np.unique(member, return_index=True)[1])  # not always the first
    probs, labels = drawn(len(member))
    grouped = fit(probs, labels, member)
    assert (grouped.drawn, grouped.by_group) == (40, True)
    assert grouped.quantile == fit(probs[found], labels[found]).quantile


def test_sets_of_new_images_hold_the_right_class_as_often_as_promised():
    covered = []
    for seed in range(200):
        probs, labels = drawn(60, seed)
        new, right = drawn(60, 1000 + seed)
        covered.append(sets(new, fit(probs, labels).quantile)[np.arange(60), right].mean())
    # The chance is between 1 - alpha and that plus 1/(n + 1); the standard error of the mean is below 0.004.
    assert 0.9 - 0.012 < np.mean(covered) < 0.9 + 1 / 61 + 0.012


def test_scores_by_hand():
    probs = np.array([[0.6, 0.3, 0.1], [0.6, 0.3, 0.1], [0.4, 0.35, 0.25], [0.98, 0.01, 0.01]])
    labels = np.array([0, 2, 1, 0])
    record = fit(*drawn(50)).model_copy(update={"quantile": 0.7})
    found = score(probs, labels, NAMES, record)  # sets: {a, b}, {a, b}, {a, b}, {a}
    assert found.sizes == (0, 1, 3, 0)
    assert found.all.coverage == 0.75
    assert found.all.mean_size == 1.75
    assert {name: s.coverage for name, s in found.classes.items()} == {"a": 1, "b": 1, "c": 0}
    assert found.classes["a"].coverage_interval == pytest.approx((0.025**0.5, 1))  # two of two
    assert found.classes["a"].mean_size == 1.5
    assert found.unsure == 0
    nothing = score(probs, labels, NAMES, record.model_copy(update={"quantile": 0.1}))
    assert nothing.sizes == (3, 1, 0, 0)
    assert nothing.unsure == 0.75


def test_a_group_counts_once_by_hand():
    probs = np.array([[0.9, 0.1], [0.9, 0.1], [0.9, 0.1], [0.1, 0.9]])
    labels, groups = np.array([0, 0, 1, 0]), np.array(["a", "a", "a", "b"])
    record = fit(*drawn(50)).model_copy(update={"quantile": 0.5})  # each set holds the answer alone
    found = score(probs, labels, ("x", "y"), record, groups)
    assert found.all.coverage == 0.5  # two of four images
    assert (found.by_group.groups, found.by_group.coverage) == (2, pytest.approx(1 / 3))  # (2/3 + 0) / 2
    low, high = found.by_group.coverage_interval
    assert low == pytest.approx(0)
    assert high == pytest.approx(2 / 3)
    assert score(probs, labels, ("x", "y"), record).by_group is None


def test_an_evaluation_holds_both():
    probs, labels = drawn(80)
    plain = evaluate(probs, labels, NAMES)
    assert plain.selective == selective(probs, labels)
    assert plain.sets is None
    groups = np.repeat(np.arange(20), 4)
    found = evaluate(probs, labels, NAMES, groups=groups, conformal=fit(probs, labels, groups))
    assert found.sets.all.images == 80
    low, high = found.sets.all.coverage_interval
    assert low < found.sets.all.coverage < high
    assert found.sets.by_group.coverage == pytest.approx(found.sets.all.coverage)  # of equal size


def test_an_alpha_that_is_none():
    with pytest.raises(ValueError, match="alpha"):
        fit(*drawn(5), alpha=1.0)
