"""Relations within rows and columns of the answers (Huang et al., NeurIPS 2022)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from edgekd.distillation.loss import on_logits


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


LOSS = on_logits(dist)
