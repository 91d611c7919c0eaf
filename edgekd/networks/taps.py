"""Taps: named feature maps of a network beside its logits, the same names for convolutional networks and transformers.

`stage1` to `stage4` are what a network makes last at strides 4, 8, 16 and 32; where all blocks have one stride (a ViT), what
it makes after each quarter of its depth. `last` is the final map before pooling, `embedding` the vector before the classifier.
`attention` is what the last block of a ViT attends with: queries, keys and values of each position of its map.
timm's `forward_intermediates` gives the maps; a body of edgekd's own has a method `tapped(x, names) -> Outputs`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from timm.layers import Attention
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn

from edgekd.errors import EdgekdError, nearest

STRIDES = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}  # px of the input per position of the map
MAPS = (*STRIDES, "last")
EMBEDDING = "embedding"
ATTENTION = "attention"
LOGITS = "logits"  # no tap, but in shapes
# By tap, without the batch: (C, H, W) of a map, (C,) of the embedding, (3, heads, H W, width of a head) of the attention.
Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Outputs:
    """Logits [B, K] of a batch, and its features by tap: maps [B, C, H, W], the embedding [B, C], the
    attention [B, 3, heads, H W, d].

    `network` and `views` gave them, for who has to go through the network in another way; `sources` are the features as the
    network made them, where that was in another precision.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    network: nn.Module | None = None
    views: Tensor | None = None
    sources: dict[str, Tensor] = field(default_factory=dict)

    def source(self, name: str) -> Tensor:
        """The very tensor that the logits were made of, for who differentiates by it."""
        return self.sources.get(name, self.features[name])


@runtime_checkable
class Tapped(Protocol):
    """A network that gives its features itself."""

    def tapped(self, x: Tensor, names: Sequence[str]) -> Outputs:
        """What the network's `forward` takes -> its logits, and the features by name."""

    def tap_names(self) -> tuple[str, ...]:
        """The taps that it has."""


def outputs(network: nn.Module, x: Tensor, names: Sequence[str]) -> Outputs:
    """Logits and the features `names` of what the network's `forward` takes, in one pass.

    The logits are those of `forward`. Gradients reach the network from both.
    Raises: EdgekdError for a tap that the network does not have.
    """
    if not names:
        return Outputs(network(x))
    require(network, names)
    return network.tapped(x, names) if isinstance(network, Tapped) else _timm(network, x, names)


def names_of(network: nn.Module) -> tuple[str, ...]:
    """The taps of a network, from the input to the logits; none of one that neither timm nor edgekd can tap."""
    if isinstance(network, Tapped):
        return network.tap_names()
    if not hasattr(network, "forward_intermediates") or not hasattr(network, "forward_head"):
        return ()
    return (*stages(network), "last", EMBEDDING, *([ATTENTION] if _attends(network) else []))


def require(network: nn.Module, names: Sequence[str], where: str = "tap", instead: str = "") -> None:
    """Refuse names that are no taps of `network`.

    Raises: EdgekdError with the nearest name, and what else to do `instead`.
    """
    found = names_of(network)
    for name in names:
        if name not in found:
            kind = type(getattr(network, "body", network)).__name__
            close = f"{nearest(name, found)} (taps of {kind}: {', '.join(found)})" + (
                f"; or {instead}" if instead else ""
            )
            todo = close if found else "use a loss on logits"
            raise EdgekdError(f"{where} {name!r}", f"a tap of {kind}", "none of that name", todo)


def shapes(network: nn.Module, size: int, names: Sequence[str]) -> Shapes:
    """The shapes of the logits and of taps for square images of `size` px, without the batch.

    Raises: EdgekdError for a tap that the network does not have.
    """
    first = next(network.parameters())
    was_training = network.training
    network.eval()
    with torch.no_grad():
        found = outputs(network, torch.zeros(2, 3, size, size, device=first.device, dtype=first.dtype), names)
    network.train(was_training)
    return {name: tuple(tensor.shape[1:]) for name, tensor in (found.features | {LOGITS: found.logits}).items()}


def stages(body: Any) -> dict[str, int]:
    """The stages of a timm network: name -> index for `forward_intermediates`."""
    strides = [int(info["reduction"]) for info in body.feature_info]
    if len(set(strides)) == 1:  # a stack of equal blocks
        depth = len(strides)
        return {name: depth * quarter // 4 - 1 for quarter, name in enumerate(STRIDES, start=1) if depth >= 4}
    last = {stride: index for index, stride in enumerate(strides)}
    return {name: last[stride] for name, stride in STRIDES.items() if stride in last}


def _timm(body: Any, x: Tensor, names: Sequence[str]) -> Outputs:
    wanted = {name: index for name, index in stages(body).items() if name in names}
    if ATTENTION in names:
        wanted[ATTENTION] = len(body.blocks) - 2  # what the last block reads
    indices = sorted(set(wanted.values()))
    final, maps = body.forward_intermediates(x, indices=indices) if indices else (body.forward_features(x), [])
    by_index = dict(zip(indices, maps, strict=True))
    features = {name: by_index[index] for name, index in wanted.items()}
    if "last" in names:
        features["last"] = as_map(body, final)
    if EMBEDDING in names:
        features[EMBEDDING] = body.forward_head(final, pre_logits=True)
    if ATTENTION in names:
        features[ATTENTION] = attention(body.blocks[-1], features[ATTENTION])
    return Outputs(body.forward_head(final), features)


def as_map(body: Any, final: Tensor) -> Tensor:
    """The final features as a map [B, C, H, W]: tokens without the class token on their grid; channels first."""
    if final.ndim == 3:
        tokens = final[:, getattr(body, "num_prefix_tokens", 0) :]
        side = math.isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).unflatten(2, (side, side))  # inputs are square
    return final.permute(0, 3, 1, 2) if getattr(body, "output_fmt", "NCHW") == "NHWC" else final


def _attends(body: nn.Module) -> bool:
    """Whether the last block of a network is one of timm's ViT blocks, and another one gives what it reads."""
    if not isinstance(body, VisionTransformer) or len(body.blocks) < 2:
        return False
    last = body.blocks[-1]
    return isinstance(last, Block) and isinstance(last.attn, Attention)


def attention(block: Any, x: Tensor) -> Tensor:
    """Queries, keys and values [B, 3, heads, H W, d] of a ViT block for the map [B, C, H, W] that it reads."""
    attention = block.attn
    tokens = attention.qkv(block.norm1(x.flatten(2).transpose(1, 2)))
    queries, keys, values = tokens.unflatten(2, (3, attention.num_heads, -1)).permute(2, 0, 3, 1, 4)
    return torch.stack([attention.q_norm(queries), attention.k_norm(keys), values], dim=1)
