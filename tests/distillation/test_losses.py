"""Each loss against numbers worked out by hand or by an independent formula in float64 NumPy."""

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax
from torch.nn import functional

from edgekd.distillation import losses
from edgekd.distillation.losses.dist import dist
from edgekd.distillation.losses.dkd import dkd
from edgekd.distillation.losses.kd import kd
from edgekd.distillation.losses.logit_std import logit_std
from edgekd.distillation.losses.mse import mse
from edgekd.errors import EdgekdError

ON_LOGITS = {"kd": kd, "dkd": dkd, "dist": dist, "logit_std": logit_std, "mse": mse}
RNG = np.random.default_rng(7)
S, T = RNG.normal(size=(16, 5)) * 3, RNG.normal(size=(16, 5)) * 3
LABELS = RNG.integers(0, 5, 16)
TARGETS = functional.one_hot(torch.tensor(LABELS), 5).double()


def call(loss, temperature, s=S, t=T):
    return loss(torch.tensor(s), torch.tensor(t), TARGETS[: len(s)], temperature).item()


def numpy_kl(log_p, log_q):
    return (np.exp(log_p) * (log_p - log_q)).sum(1).mean()


def test_kd_by_hand():
    """Two classes, p_T = (3/4, 1/4), p_S = (1/2, 1/2), T = 1: KL = 3/4 ln(3/2) + 1/4 ln(1/2)."""
    value = kd(torch.zeros(1, 2), torch.tensor([[np.log(3.0), 0.0]], dtype=torch.float32), torch.zeros(1, 2), 1.0)
    assert value.item() == pytest.approx(0.75 * np.log(1.5) + 0.25 * np.log(0.5), abs=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 5.0])
def test_kd_has_the_square_of_the_temperature(temperature):
    expected = temperature**2 * numpy_kl(log_softmax(T / temperature, 1), log_softmax(S / temperature, 1))
    assert call(kd, temperature) == pytest.approx(expected, rel=1e-12)


def test_dkd_target_and_rest_parts():
    """alpha * KL(target vs rest) + beta * KL(rest renormalised), with alpha 1 and beta 8."""
    temperature, rows = 2.0, np.arange(16)
    p, q = softmax(T / temperature, 1), softmax(S / temperature, 1)
    pt, qt = p[rows, LABELS], q[rows, LABELS]
    binary = (pt * np.log(pt / qt) + (1 - pt) * np.log((1 - pt) / (1 - qt))).mean()
    keep = ~np.eye(5, dtype=bool)[LABELS]
    pr, qr = p[keep].reshape(16, 4), q[keep].reshape(16, 4)
    pr, qr = pr / pr.sum(1, keepdims=True), qr / qr.sum(1, keepdims=True)
    rest = (pr * np.log(pr / qr)).sum(1).mean()
    assert call(dkd, temperature) == pytest.approx(4 * (binary + 8 * rest), rel=1e-9)


def test_dkd_with_beta_equal_to_the_rest_mass_is_kd():
    """KD = KL(binary) + (1 - p_target) KL(rest) (Zhao 2022, eq. 3); with one row the weights can be compared."""
    s, t, target = S[:1], T[:1], TARGETS[:1]
    p = softmax(t, 1)[0, LABELS[0]]
    with_both = dkd(torch.tensor(s), torch.tensor(t), target, 1.0).item()
    plain = call(kd, 1.0, s, t)
    pt, qt = p, softmax(s, 1)[0, LABELS[0]]
    binary = pt * np.log(pt / qt) + (1 - pt) * np.log((1 - pt) / (1 - qt))
    rest = (with_both - binary) / 8
    assert plain == pytest.approx(binary + (1 - p) * rest, rel=1e-9)


def test_dist_is_pearson_over_rows_and_columns():
    temperature = 3.0
    p, q = softmax(T / temperature, 1), softmax(S / temperature, 1)
    inter = np.mean([1 - np.corrcoef(p[i], q[i])[0, 1] for i in range(16)])
    intra = np.mean([1 - np.corrcoef(p[:, j], q[:, j])[0, 1] for j in range(5)])
    assert call(dist, temperature) == pytest.approx(9 * (inter + intra), rel=1e-6)


def test_logit_std_ignores_scale_and_shift():
    assert call(logit_std, 2.0) == pytest.approx(call(logit_std, 2.0, S * 4 + 1, T * 0.5 - 3), rel=1e-5)
    z = [(x - x.mean(1, keepdims=True)) / (x.std(1, ddof=1, keepdims=True) + 1e-7) / 2 for x in (S, T)]
    assert call(logit_std, 2.0) == pytest.approx(4 * numpy_kl(log_softmax(z[1], 1), log_softmax(z[0], 1)), rel=1e-6)


def test_mse_by_hand_is_kd_without_a_limit_of_temperature():
    """Differences 3, 0, 0 less their mean: 2, -1, -1; half of (4 + 1 + 1) / 3."""
    assert call(mse, 1.0, np.array([[3.0, 1.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])) == pytest.approx(1.0)
    assert call(mse, 1.0) == pytest.approx(call(kd, 1e4), rel=1e-3)
    assert call(mse, 1.0) == pytest.approx(call(mse, 9.0, S + 5, T), rel=1e-12)


@pytest.mark.parametrize("name", ON_LOGITS)
def test_zero_when_student_is_teacher_and_positive_else(name):
    assert call(ON_LOGITS[name], 4.0, T, T) == pytest.approx(0.0, abs=1e-6)
    assert call(ON_LOGITS[name], 4.0) > 0.01


@pytest.mark.parametrize("name", ON_LOGITS)
def test_gradients_are_finite_even_for_constant_logits(name):
    s = torch.zeros(4, 5, requires_grad=True)
    ON_LOGITS[name](s, torch.tensor(T[:4]).float(), TARGETS[:4].float(), 4.0).backward()
    assert torch.isfinite(s.grad).all()


@pytest.mark.parametrize("name", ["kd", "dkd", "logit_std", "mse"])
def test_gradient_agrees_with_finite_differences(name):
    s = torch.tensor(S[:3], requires_grad=True)
    t, target = torch.tensor(T[:3]), TARGETS[:3]
    assert torch.autograd.gradcheck(lambda x: ON_LOGITS[name](x, t, target, 2.0), (s,))


def test_unknown_loss_names_the_nearest():
    with pytest.raises(EdgekdError, match="did you mean 'logit_std'"):
        losses.resolve({"logit_sdt": 1.0})
