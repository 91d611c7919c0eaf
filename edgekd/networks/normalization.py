"""What a network subtracts from pixels and divides them by: its own, as timm's configuration beside the weights says.

Where several networks read one image, each is a branch that normalizes the pixels itself: a network sees what it was
trained on, whatever its neighbours want.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.networks import taps
from edgekd.networks.taps import Outputs
from edgekd.preprocess import IMAGENET_MEAN, IMAGENET_STD

Statistics = tuple[float, float, float]
PIXELS: dict[str, Statistics] = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}  # of a body that takes pixels in 0..1


def statistics(body: nn.Module) -> tuple[Statistics, Statistics]:
    """Mean and standard deviation per channel, in units of pixel / 255; ImageNet's where `body` has no configuration.

    They belong to the architecture's name, so they hold too where the weights come from a file.
    """
    config = getattr(body, "pretrained_cfg", {}) or {}
    return tuple(config.get("mean", IMAGENET_MEAN)), tuple(config.get("std", IMAGENET_STD))


class Branch(nn.Module):
    """A network behind its own normalization: [B, 3, H, W] in 0..1 -> what `body` gives for them.

    The statistics are buffers, so they travel with the weights.
    """

    body: Any  # a module with timm's `forward_features` and `num_features`, which torch's types cannot say
    mean: Tensor
    std: Tensor

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body
        mean, std = statistics(body)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: Tensor) -> Tensor:
        """The network's answer: features where its classifier was taken off, else logits."""
        return self.body(self.normalized(pixels))

    def forward_features(self, pixels: Tensor) -> Tensor:
        """The network's last feature map or tokens."""
        return self.body.forward_features(self.normalized(pixels))

    def tapped(self, pixels: Tensor, names: Sequence[str]) -> Outputs:
        """The network's answer, and its features by name."""
        return taps.outputs(self.body, self.normalized(pixels), names)

    def tap_names(self) -> tuple[str, ...]:
        """The taps of the network."""
        return taps.names_of(self.body)

    def normalized(self, pixels: Tensor) -> Tensor:
        """What the network takes of pixels."""
        return (pixels - self.mean) / self.std
