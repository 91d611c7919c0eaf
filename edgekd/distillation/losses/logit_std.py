"""Knowledge distillation on standardized logits (Sun et al., CVPR 2024)."""

from __future__ import annotations

from torch import Tensor

from edgekd.distillation.loss import on_logits
from edgekd.distillation.losses.kd import kd


def logit_std(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """`kd` on logits standardized per row, z → (z − mean) / (std + 1e-7) (Sun et al., CVPR 2024; there T = 2, weight 9)."""
    return kd(_standardize(student), _standardize(teacher), targets, temperature)


def _standardize(logits: Tensor) -> Tensor:
    centred = logits - logits.mean(1, keepdim=True)
    # The gradient of sqrt at 0 is infinite: a row of equal logits would turn the weights into NaN without the floor.
    variance = centred.square().sum(1, keepdim=True) / (logits.shape[1] - 1)
    return centred / (variance.clamp_min(1e-14).sqrt() + 1e-7)


LOSS = on_logits(logit_std)
