"""The modes of a network's modules, training or evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import nn


@contextlib.contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """In eval mode for a while; then every module has the mode again that it had."""
    training = [module for module in network.modules() if module.training]
    network.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


@contextlib.contextmanager
def batch_statistics(network: nn.Module, only_training: bool = False) -> Iterator[None]:
    """In eval mode for a while, but for batch normalization, which takes each batch's own statistics and keeps none.

    With `only_training`, modules that are in eval mode before go on with their running statistics.
    """
    normalizing = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    normalizing = [m for m in normalizing if m.training or not only_training]
    tracked = [m.track_running_stats for m in normalizing]
    kept = [(m.running_mean, m.running_var) for m in normalizing]
    with evaluating(network):
        for module in normalizing:
            module.track_running_stats, module.running_mean, module.running_var = False, None, None
        try:
            yield
        finally:
            for module, tracks, (mean, variance) in zip(normalizing, tracked, kept, strict=True):
                module.track_running_stats, module.running_mean, module.running_var = tracks, mean, variance
