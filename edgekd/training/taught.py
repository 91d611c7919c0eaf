"""What is trained: the network, and beside it the parameters of the losses, which are never shipped."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.distillation.loss import Loss, Values
from edgekd.explainers.gradcam import twice_differentiable
from edgekd.networks import taps
from edgekd.networks.taps import Outputs


class Taught(nn.Module):
    """A network with the losses that read it, as one module, so that several processes sum the gradients of both."""

    def __init__(self, network: nn.Module, losses: nn.ModuleDict) -> None:
        super().__init__()
        self.network, self.losses = network, losses
        read = [name for loss in self._losses().values() for name in loss.taps(loss.options).student]
        self.names = tuple(dict.fromkeys(read))

    def forward(self, views: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Values]]:
        """Logits [B, K] float32 of pixel views, and by loss what it takes of the student; `targets` [B, K] are soft."""
        with twice_differentiable(any(loss.needs_student_gradient for loss in self._losses().values())):
            found = taps.outputs(self.network, views, self.names)
        features = {name: full(feature) for name, feature in found.features.items()}
        said = Outputs(full(found.logits), features, self.network, views, found.features)
        with torch.autocast(views.device.type, enabled=False):
            return said.logits, {name: loss.of_student(said, targets) for name, loss in self._losses().items()}

    def _losses(self) -> dict[str, Loss]:
        return {name: loss for name, loss in self.losses.items() if isinstance(loss, Loss)}


def full(tensor: Tensor) -> Tensor:
    """In float32 at least: what mixed precision rounds is not compared as it is."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()
