"""A convolutional backbone whose last map is pooled twice, by mean and by maximum, under a small dense head."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.networks import taps
from edgekd.networks.normalization import statistics
from edgekd.networks.published import published
from edgekd.networks.taps import Outputs

L2 = 1e-4  # of the dense layer's weights


class DualPool(nn.Module):
    """Mean and maximum of a backbone's last map, concatenated -> BatchNorm, dropout, dense swish layer, dropout, logits.

    The mean says how much of a pattern there is, the maximum whether it is anywhere: a small lesion drowns in a mean.
    """

    backbone_prefix = "backbone."  # a weights file may hold the backbone alone

    def __init__(
        self, backbone: Any, num_classes: int, hidden: int, pooled_drop_rate: float, hidden_drop_rate: float
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pretrained_cfg = dict(zip(("mean", "std"), statistics(backbone), strict=True))
        width = 2 * backbone.num_features
        self.head = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Dropout(pooled_drop_rate),
            nn.Linear(width, hidden),
            nn.SiLU(),
            nn.Dropout(hidden_drop_rate),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, K] of images that the backbone takes, [B, 3, H, W]."""
        return self.head(pooled(taps.as_map(self.backbone, self.backbone.forward_features(x))))

    def tapped(self, x: Tensor, names: Sequence[str]) -> Outputs:
        """Logits, the backbone's taps, and the embedding before the last layer."""
        inside = [name for name in names if name != taps.EMBEDDING]
        found = taps.outputs(self.backbone, x, [*inside, "last"]).features
        embedding = self.head[:-1](pooled(found["last"]))
        features = found | {taps.EMBEDDING: embedding}
        return Outputs(self.head[-1](embedding), {name: features[name] for name in names})

    def tap_names(self) -> tuple[str, ...]:
        """The backbone's."""
        return taps.names_of(self.backbone)

    def get_classifier(self) -> nn.Module:
        """The last linear layer, as timm's networks name it."""
        return self.head[-1]

    def penalty(self) -> Tensor:
        """L2 · Σ w² of the dense layer's weights, which training adds to its loss: what Keras's `kernel_regularizer` does.

        AdamW's decay is no stand-in: it pulls at the weights beside the gradient, which Adam rescales, and not within it.
        """
        dense: Any = self.head[2]
        return L2 * dense.weight.square().sum()


def pooled(features: Tensor) -> Tensor:
    """[B, 2C] of a map [B, C, H, W]: the means, then the maxima."""
    return torch.cat([features.mean((2, 3)), features.amax((2, 3))], dim=1)


def dualpool(
    num_classes: int,
    size: int,
    width: float,
    pretrained: bool,
    backbone: str = "mobilenetv2_100",
    hidden: int = 256,
    pooled_drop_rate: float = 0.4,
    hidden_drop_rate: float = 0.3,
) -> nn.Module:
    """`DualPool` on any timm backbone."""
    if width != 1.0:
        raise EdgekdError("network 'dualpool'", "width = 1.0; choose another backbone", f"{width}")
    body = published(backbone, 0, size, pretrained)
    return DualPool(body, num_classes, hidden, pooled_drop_rate, hidden_drop_rate)


BUILDERS = {"dualpool": dualpool, "effnetv2s_dualpool": partial(dualpool, backbone="tf_efficientnetv2_s")}
