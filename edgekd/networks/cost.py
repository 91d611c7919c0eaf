"""Real parameter and multiply-accumulate counts of a network."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(network: nn.Module) -> int:
    """The number of learnt values."""
    return sum(p.numel() for p in network.parameters())


def macs(network: nn.Module, size: int) -> int:
    """Multiply-accumulates of one square RGB image of `size` px: convolutions, linear layers and attention products."""
    was_training = network.training
    network.eval()
    device = next(network.parameters()).device
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, size, size, device=device))
    network.train(was_training)
    return counter.get_total_flops() // 2
