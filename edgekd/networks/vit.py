"""Vision Transformers of edgekd's own; any other (`vit_base_patch16_224`, …) comes from timm by its name."""

from __future__ import annotations

from typing import Any

from timm.layers import Attention
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from edgekd.errors import EdgekdError


def neurotriad_vit(
    num_classes: int,
    size: int,
    width: float,
    pretrained: bool,
    depth: int = 12,
    dim: int = 768,
    heads: int = 12,
    head_dim: int = 0,
    mlp_ratio: float = 4.0,
    drop_path_rate: float = 0.0,
) -> nn.Module:
    """The ViT/16 of NeuroTriad-ViT (Zenodo 17494928): 12 layers, 768 wide, multi-head self-attention.

    `head_dim` 0 means dim / heads, the standard encoder: 85.8 M parameters. The published figure of 235 M comes out with
    `heads = 8, head_dim = 768, mlp_ratio = 0.5` (234.6 M).
    """
    if pretrained:
        todo = 'use network = "vit_base_patch16_224" for the published weights'
        raise EdgekdError("network 'neurotriad_vit'", "pretrained = false", "there are no published weights", todo)
    dim = round(dim * width)
    if not head_dim and dim % heads:
        raise EdgekdError("network 'neurotriad_vit'", "a width that the number of heads divides", f"{dim} / {heads}")
    return VisionTransformer(
        img_size=size,
        patch_size=16,
        embed_dim=dim,
        depth=depth,
        num_heads=heads,
        mlp_ratio=mlp_ratio,
        num_classes=num_classes,
        attn_layer=_wide_attention(head_dim) if head_dim else Attention,
        drop_path_rate=drop_path_rate,
    )


def _wide_attention(head_dim: int) -> type[Attention]:
    """timm's attention with heads of `head_dim`, whatever the width divided by the number of heads is."""

    class WideAttention(Attention):
        def __init__(self, dim: int, num_heads: int, **options: Any) -> None:
            super().__init__(dim, num_heads, attn_head_dim=head_dim, **options)

    return WideAttention


BUILDERS = {"neurotriad_vit": neurotriad_vit}
