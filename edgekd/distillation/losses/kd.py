"""Knowledge distillation on logits (Hinton et al., 2015)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgekd.distillation.loss import on_logits


def kd(student: Tensor, teacher: Tensor, targets: Tensor, temperature: float) -> Tensor:
    """T² · KL(p_T ‖ p_S), batch mean; 0 when both agree (Hinton et al., 2015)."""
    del targets
    log_student = functional.log_softmax(student / temperature, dim=1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=1)
    return temperature**2 * divergence(log_student, log_teacher)


def divergence(log_student: Tensor, log_teacher: Tensor) -> Tensor:
    """KL(p_T ‖ p_S), batch mean, of log-probabilities [B, K]."""
    return functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)


LOSS = on_logits(kd)
