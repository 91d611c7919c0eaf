"""Distillation losses on logits: one pure function per loss, summed by weight.

Each takes student logits [B, K], teacher logits [B, K], soft targets [B, K] and the temperature, and gives a scalar. The
factor T² is explicit, so that a change of T leaves the gradients' size alone (Hinton et al. 2015). A loss joins by being
decorated; recipes name it in `distillation.losses`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from edgekd.errors import EdgekdError, nearest

Loss = Callable[[Tensor, Tensor, Tensor, float], Tensor]
LOSSES: dict[str, Loss] = {}


def loss(function: Loss) -> Loss:
    """Make a loss known under its function's name."""
    LOSSES[function.__name__] = function
    return function


def resolve(weights: dict[str, float]) -> dict[str, tuple[float, Loss]]:
    """Name -> (weight, function) for the recipe's losses.

    Raises: EdgekdError for an unknown name.
    """
    for name in weights:
        if name not in LOSSES:
            raise EdgekdError(f"distillation.losses.{name}", "a known loss", todo=nearest(name, LOSSES))
    return {name: (weight, LOSSES[name]) for name, weight in weights.items()}


@loss
def kd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · KL(p_T ‖ p_S), batch mean; 0 when both agree (Hinton et al., 2015)."""
    del targets
    log_student = functional.log_softmax(student / temperature, dim=1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * _kl(log_student, log_teacher)


def _kl(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """KL(p_T ‖ p_S), batch mean, of log-probabilities [B, K]."""
    return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


@loss
def dkd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · [1 · KL(target vs rest) + 8 · KL(among the rest)] (Zhao et al., CVPR 2022, their α = 1, β = 8).

    The target is the largest soft target of each row.
    """
    alpha, beta = 1.0, 8.0
    target = functional.one_hot(targets.argmax(1), targets.shape[1]).bool()
    log_s = functional.log_softmax(student / temperature, dim=1)
    log_t = functional.log_softmax(teacher / temperature, dim=1)
    binary = _kl(_target_or_rest(log_s, target), _target_or_rest(log_t, target))
    classes = targets.shape[1] - 1
    rest_s = functional.log_softmax((student / temperature)[~target].view(-1, classes), dim=1)
    rest_t = functional.log_softmax((teacher / temperature)[~target].view(-1, classes), dim=1)
    return temperature**2 * (alpha * binary + beta * _kl(rest_s, rest_t))


def _target_or_rest(log_p: Tensor, target: Tensor) -> Tensor:
    """Log-probabilities [B, 2] of the target class and of all others together."""
    others = torch.logsumexp(log_p.masked_fill(target, -torch.inf), dim=1)
    return torch.stack([log_p[target], others], dim=1)


@loss
def dist(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · [(1 − ρ over rows) + (1 − ρ over columns)] on softmax, ρ Pearson (Huang et al., NeurIPS 2022, β = γ = 1)."""
    del targets
    p_s = functional.softmax(student / temperature, dim=1)
    p_t = functional.softmax(teacher / temperature, dim=1)
    inter, intra = 1 - _pearson(p_s, p_t).mean(), 1 - _pearson(p_s.t(), p_t.t()).mean()
    return temperature**2 * (inter + intra)


def _pearson(a: Tensor, b: Tensor) -> Tensor:
    a, b = a - a.mean(1, keepdim=True), b - b.mean(1, keepdim=True)
    return functional.cosine_similarity(a, b, dim=1, eps=1e-8)


@loss
def logit_std(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """`kd` on logits standardized per row, z → (z − mean) / (std + 1e-7) (Sun et al., CVPR 2024; there T = 2, weight 9)."""
    return kd(_standardize(student), _standardize(teacher), targets, temperature)


def _standardize(logits: Tensor) -> Tensor:
    centred = logits - logits.mean(1, keepdim=True)
    # The gradient of sqrt at 0 is infinite: a row of equal logits would turn the weights into NaN without the floor.
    variance = centred.square().sum(1, keepdim=True) / (logits.shape[1] - 1)
    return centred / (variance.clamp_min(1e-14).sqrt() + 1e-7)


@loss
def mse(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """1/2 · mean over rows and classes of (z_S − z_T)², z without the mean of its row (Ba & Caruana, NeurIPS 2014).

    That is `kd` for T → ∞ (Hinton et al., 2015, eq. 4): no temperature, and answers that are sure count like all others.
    """
    del targets, temperature
    difference = student - teacher
    return (difference - difference.mean(1, keepdim=True)).square().mean() / 2
