"""What stands still while the rest of a network learns: to the bit, running statistics included."""

from __future__ import annotations

from collections.abc import Set

from torch import nn


class Freezing:
    """Lets parts of `network` learn and keeps the others as they are; what does not learn by itself never does."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network
        self.learnable = {name for name, p in network.named_parameters() if p.requires_grad}
        self._still: list[nn.Module] = []

    def only(self, names: Set[str]) -> None:
        """Let the parameters `names` learn, and no others; gradients of before are forgotten."""
        for name, parameter in self.network.named_parameters():
            parameter.requires_grad_(name in self.learnable and name in names)
            parameter.grad = None
        whole = self.learnable <= names
        self._still = [] if whole else [m for m in self.network.modules() if _has_statistics(m) and not _learns(m)]

    def hold(self) -> None:
        """Keep the running statistics of what stands still; to be called after `train()`, which lets them go."""
        for module in self._still:
            module.eval()


def _has_statistics(module: nn.Module) -> bool:
    return getattr(module, "running_mean", None) is not None


def _learns(module: nn.Module) -> bool:
    return any(p.requires_grad for p in module.parameters(recurse=False))
