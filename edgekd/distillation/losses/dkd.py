"""Decoupled knowledge distillation (Zhao et al., CVPR 2022)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgekd.distillation.loss import on_logits
from edgekd.distillation.losses.kd import divergence


def dkd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · [1 · KL(target vs rest) + 8 · KL(among the rest)] (Zhao et al., CVPR 2022, their α = 1, β = 8).

    The target is the largest soft target of each row.
    """
    alpha, beta = 1.0, 8.0
    target = functional.one_hot(targets.argmax(1), targets.shape[1]).bool()
    log_s = functional.log_softmax(student / temperature, dim=1)
    log_t = functional.log_softmax(teacher / temperature, dim=1)
    binary = divergence(_target_or_rest(log_s, target), _target_or_rest(log_t, target))
    classes = targets.shape[1] - 1
    rest_s = functional.log_softmax((student / temperature)[~target].view(-1, classes), dim=1)
    rest_t = functional.log_softmax((teacher / temperature)[~target].view(-1, classes), dim=1)
    return temperature**2 * (alpha * binary + beta * divergence(rest_s, rest_t))


def _target_or_rest(log_p: Tensor, target: Tensor) -> Tensor:
    """Log-probabilities [B, 2] of the target class and of all others together."""
    others = torch.logsumexp(log_p.masked_fill(target, -torch.inf), dim=1)
    return torch.stack([log_p[target], others], dim=1)


LOSS = on_logits(dkd)
