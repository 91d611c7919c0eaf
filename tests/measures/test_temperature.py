"""Calibration before and after a temperature: by hand, against a plain bootstrap, and the claims that it decides."""

import numpy as np
import pytest

from edgekd.measures.calibration import ece, softmax
from edgekd.measures.temperature import Answers, Change, calibration, ece_difference, tempered


def answers(name="teacher", network="vit", scale=1.0, temperature=1.0, images=600, seed=0, groups=None):
    """Three classes; labels are drawn from softmax(logits / scale): at `scale` the network is perfectly calibrated."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (images, 3)) * scale
    probs = softmax(logits, scale)
    labels = (probs.cumsum(1) > rng.random(images)[:, None]).argmax(1)
    return Answers(name, network, temperature, logits, labels, groups)


def test_by_hand():
    logits = np.log([[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    found = tempered(Answers("student", "net", 1e-2, logits, np.array([0, 1, 1, 0])))
    assert found.before.ece == pytest.approx((abs(0.9 + 0.9 - 1) + 0.2 + 0.4) / 4)
    assert found.before.gap.value == pytest.approx((0.9 + 0.9 + 0.8 + 0.6) / 4 - 0.75)
    assert found.after.ece == found.after.gap.value == pytest.approx(0.25)  # all are sure, one is wrong
    assert found.ece_change.value == pytest.approx(found.after.ece - found.before.ece)
    assert found.nll_change.value == pytest.approx(found.after.nll - found.before.nll)
    assert found.before.nll == pytest.approx(-np.log([0.9, 0.1, 0.8, 0.6]).mean())


def test_the_interval_of_the_ece_is_that_of_a_plain_bootstrap_of_groups():
    groups = np.repeat(np.arange(100), 6)
    a, b = (answers(scale=s, temperature=1.0, groups=groups) for s in (1.0, 2.0))
    b = Answers("b", "net", 1.0, b.logits, a.labels, groups)
    found = ece_difference(a, b)
    rng, drawn = np.random.default_rng(7), []
    for _ in range(1000):
        rows = np.concatenate([np.flatnonzero(groups == g) for g in rng.integers(0, 100, 100)])
        drawn.append(np.subtract(*(ece(softmax(n.logits)[rows], n.labels[rows]) for n in (b, a))))
    assert found.value == pytest.approx(ece(softmax(b.logits), b.labels) - ece(softmax(a.logits), a.labels))
    assert found.interval == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.006)


def test_the_claims_hold_or_not_as_the_network_is_made():
    over = calibration([answers(scale=3.0, temperature=3.0)])
    assert [f.verdict for f in over.findings] == ["holds", "holds"]
    under = calibration([answers(scale=0.4, temperature=1.5)])
    assert [f.verdict for f in under.findings] == ["does not hold", "does not hold"]
    right = calibration([answers(scale=1.0, temperature=1.0, seed=1)])
    assert [f.verdict for f in right.findings] == ["cannot be told", "cannot be told"]
    assert calibration([answers("student", "mobilenetv2")]).findings == ()


def test_two_students_are_compared_in_pairs():
    good = answers("a student", "mobilenetv2", images=3000)
    bad = Answers("b student", "efficientnet_lite0", 0.3, good.logits, good.labels)
    for order in ((good, bad), (bad, good)):
        (finding,) = calibration(order).findings
        assert finding.verdict == "holds"
        assert finding.change.value < 0
    with pytest.raises(ValueError, match="different images"):
        ece_difference(good, answers(seed=3, images=3000))


@pytest.mark.parametrize(("interval", "sign"), [((0.1, 0.2), 1), ((-0.1, 0.2), 0), ((-0.2, -0.1), -1), ((0.0, 0.1), 0)])
def test_an_interval_decides_where_it_leaves_0_out(interval, sign):
    assert Change(value=0.0, interval=interval).sign == sign
