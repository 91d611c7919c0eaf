"""Hybrids: a convolutional backbone for local texture and a ViT encoder for the whole picture."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.networks import taps
from edgekd.networks.normalization import PIXELS, Branch
from edgekd.networks.published import published
from edgekd.networks.taps import Outputs


class HybridCnnVit(nn.Module):
    """Backbone features and the class token of a ViT, concatenated, then an MLP head.

    With a ViT name the ViT reads the pixels beside the backbone (EfficientNet-B0 + ViT-B/16: about 90 M parameters,
    Zenodo 17494928), each with its own normalization. Without one, a small encoder reads the backbone's last feature map
    as tokens: far cheaper, and it needs pretrained weights of the backbone only.
    """

    backbone_prefix = "backbone.body."  # a weights file may hold the backbone alone
    pretrained_cfg = PIXELS  # the branches normalize

    def __init__(
        self,
        backbone: Branch,
        encoder: Branch | FeatureEncoder,
        width: int,
        num_classes: int,
        hidden: int,
        drop_rate: float,
    ) -> None:
        super().__init__()
        self.backbone, self.encoder = backbone, encoder
        self.head = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, hidden),
            nn.GELU(),
            nn.Dropout(drop_rate),
            nn.Linear(hidden, num_classes),
        )

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [B, K] of pixels [B, 3, H, W] in 0..1."""
        return self.head(self._join(self.backbone.forward_features(pixels), pixels))

    def tapped(self, pixels: Tensor, names: Sequence[str]) -> Outputs:
        """Logits, the backbone's maps, and the embedding before the last layer."""
        maps = [name for name in names if name in taps.MAPS]
        found = taps.outputs(self.backbone, pixels, [*maps, "last"])
        embedding = self.head[:-1](self._join(found.features["last"], pixels))
        features = {name: found.features[name] for name in maps} | {taps.EMBEDDING: embedding}
        if taps.ATTENTION in names and isinstance(self.encoder, FeatureEncoder):
            features[taps.ATTENTION] = self.encoder.attention(found.features["last"])
        return Outputs(self.head[-1](embedding), {name: features[name] for name in names})

    def tap_names(self) -> tuple[str, ...]:
        """The backbone's, and the attention of an encoder that reads its last map."""
        attends = isinstance(self.encoder, FeatureEncoder) and len(self.encoder.blocks) > 0
        return (*taps.names_of(self.backbone), *([taps.ATTENTION] if attends else []))

    def _join(self, features: Tensor, pixels: Tensor) -> Tensor:
        """The vector [B, C] of both branches, of the backbone's map and the pixels."""
        token = self.encoder(features if isinstance(self.encoder, FeatureEncoder) else pixels)
        return torch.cat([features.mean((2, 3)), token], dim=1)

    def get_classifier(self) -> nn.Module:
        """The last linear layer, as timm's networks name it."""
        return self.head[-1]


class FeatureEncoder(nn.Module):
    """A ViT encoder over a feature map [B, C, H, W]: one token per position and a class token -> [B, dim]."""

    def __init__(self, channels: int, positions: int, dim: int, depth: int, heads: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, dim)
        self.class_token = nn.Parameter(torch.zeros(1, 1, dim))
        self.position = nn.Parameter(torch.randn(1, positions + 1, dim) * 0.02)
        self.blocks = nn.Sequential(*(Block(dim, heads, qkv_bias=True) for _ in range(depth)))
        self.norm = nn.LayerNorm(dim)

    def forward(self, features: Tensor) -> Tensor:
        """The class token after the last block."""
        return self.norm(self.blocks(self._tokens(features)))[:, 0]

    def attention(self, features: Tensor) -> Tensor:
        """Queries, keys and values [B, 3, heads, H W, d] of the last block, without the class token."""
        read = self.blocks[:-1](self._tokens(features))[:, 1:]
        return taps.attention(self.blocks[-1], read.transpose(1, 2).unflatten(2, features.shape[2:]))

    def _tokens(self, features: Tensor) -> Tensor:
        tokens = self.project(features.flatten(2).transpose(1, 2))
        tokens = torch.cat([self.class_token.expand(len(tokens), -1, -1), tokens], dim=1)
        return tokens + self.position


def hybrid_cnn_vit(
    num_classes: int,
    size: int,
    width: float,
    pretrained: bool,
    backbone: str = "mobilenetv2_100",
    vit: str = "",
    depth: int = 4,
    dim: int = 256,
    heads: int = 4,
    hidden: int = 256,
    drop_rate: float = 0.2,
) -> nn.Module:
    """`HybridCnnVit` on any timm backbone; `vit` names a timm ViT beside it, else `depth` blocks of `dim` follow it."""
    if width != 1.0:
        raise EdgekdError("network 'hybrid_cnn_vit'", "width = 1.0; choose another backbone or dim", f"{width}")
    cnn = Branch(published(backbone, 0, size, pretrained))
    channels = cnn.body.num_features
    if vit:
        beside = Branch(published(vit, 0, size, pretrained))
        return HybridCnnVit(cnn, beside, channels + beside.body.num_features, num_classes, hidden, drop_rate)
    with torch.no_grad():
        side = cnn.eval().forward_features(torch.zeros(1, 3, size, size)).shape[-1]
    encoder = FeatureEncoder(channels, side * side, dim, depth, heads)
    return HybridCnnVit(cnn, encoder, channels + dim, num_classes, hidden, drop_rate)


BUILDERS = {
    "hybrid_cnn_vit": hybrid_cnn_vit,
    # Residual blocks learn from random weights in minutes, MobileNetV2's do not: the teacher of the demo.
    "hybrid_resnet_vit": partial(hybrid_cnn_vit, backbone="resnet10t"),
}
