"""Squared distance of centred logits (Ba & Caruana, NeurIPS 2014)."""

from __future__ import annotations

from torch import Tensor

from edgekd.distillation.loss import on_logits


def mse(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """1/2 · mean over rows and classes of (z_S − z_T)², z without the mean of its row (Ba & Caruana, NeurIPS 2014).

    That is `kd` for T → ∞ (Hinton et al., 2015, eq. 4): no temperature, and answers that are sure count like all others.
    """
    del targets, temperature
    difference = student - teacher
    return (difference - difference.mean(1, keepdim=True)).square().mean() / 2


LOSS = on_logits(mse)
