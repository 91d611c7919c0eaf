"""Exponential moving average of weights: the network that is evaluated and shipped."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A copy of `network` that follows it: w <- d w + (1 - d) w_network, with d = min(decay, (1 + n) / (10 + n)).

    The early, smaller d forgets the random start (as tf.train.ExponentialMovingAverage does). Integer buffers are copied.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network, self.decay, self.updates = copy.deepcopy(network).eval(), decay, 0
        self.network.requires_grad_(False)

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Take one step towards `network`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        own, new = self.network.state_dict(), network.state_dict()
        floats = [n for n in own if own[n].is_floating_point()]
        torch._foreach_lerp_([own[n] for n in floats], [new[n] for n in floats], 1 - decay)
        for name in own.keys() - set(floats):
            own[name].copy_(new[name])
