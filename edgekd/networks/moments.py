"""Mean and variance per channel of a batch that several processes hold together."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def moments(x: Tensor) -> tuple[Tensor, Tensor, float]:
    """Mean [C] and biased variance [C] of x [B, C, ...] over all processes, and the number of values behind each of them.

    In float32 at least; differentiable, twice too. Every process has to ask, with a part of the same shape.
    """
    values = x if x.dtype == torch.float64 else x.float()
    count = float(x.numel() // x.shape[1]) * (dist.get_world_size() if dist.is_initialized() else 1)
    others = (0, *range(2, x.ndim))
    mean = _sum_over_processes(values.sum(others)) / count
    squares = (values - mean.view(-1, *[1] * (x.ndim - 2))).square().sum(others)
    return mean, _sum_over_processes(squares) / count, count


class _Sum(torch.autograd.Function):
    """The sum over processes; the gradient of a sum that all processes use is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _sum_over_processes(gradient)  # which can be differentiated again


def _sum_over_processes(own: Tensor) -> Tensor:
    return _Sum.apply(own) if dist.is_initialized() else own
