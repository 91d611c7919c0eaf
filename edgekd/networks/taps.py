"""Taps: named feature maps of a network beside its logits, the same names for convolutional networks and transformers.

`stage1` to `stage4` are what a network makes last at strides 4, 8, 16 and 32; where all blocks have one stride (a ViT), what
it makes after each quarter of its depth. `last` is the final map before pooling, `embedding` the vector before the classifier.
timm's `forward_intermediates` gives the maps; a body of edgekd's own has a method `tapped(x, names) -> Outputs`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError, nearest

STRIDES = {"stage1": 4, "stage2": 8, "stage3": 16, "stage4": 32}  # px of the input per position of the map
MAPS = (*STRIDES, "last")
EMBEDDING = "embedding"
NAMES = (*MAPS, EMBEDDING)
Shapes = dict[str, tuple[int, ...]]  # by tap, without the batch: (C, H, W) of a map, (C,) of the embedding


@dataclass(frozen=True)
class Outputs:
    """Logits [B, K] of a batch, and its features by tap: maps [B, C, H, W], the embedding [B, C].

    `network` and `views` gave them, for who has to go through the network in another way.
    """

    logits: Tensor
    features: dict[str, Tensor] = field(default_factory=dict)
    network: nn.Module | None = None
    views: Tensor | None = None


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
    return (*stages(network), "last", EMBEDDING)


def require(network: nn.Module, names: Sequence[str], where: str = "tap") -> None:
    """Refuse names that are no taps of `network`.

    Raises: EdgekdError with the nearest name.
    """
    found = names_of(network)
    for name in names:
        if name not in found:
            kind = type(getattr(network, "body", network)).__name__
            todo = f"{nearest(name, found)}; taps of {kind}: {', '.join(found)}" if found else "use a loss on logits"
            raise EdgekdError(f"{where} {name!r}", f"a tap of {kind}", "none of that name", todo)


def shapes(network: nn.Module, size: int, names: Sequence[str]) -> Shapes:
    """The shapes of taps for square images of `size` px, without the batch.

    Raises: EdgekdError for a tap that the network does not have.
    """
    first = next(network.parameters())
    was_training = network.training
    network.eval()
    with torch.no_grad():
        found = outputs(network, torch.zeros(2, 3, size, size, device=first.device, dtype=first.dtype), names)
    network.train(was_training)
    return {name: tuple(found.features[name].shape[1:]) for name in names}


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
    indices = sorted(wanted.values()) or [0]  # timm does not take none
    final, maps = body.forward_intermediates(x, indices=indices)
    by_index = dict(zip(indices, maps, strict=True))
    features = {name: by_index[index] for name, index in wanted.items()}
    if "last" in names:
        features["last"] = as_map(body, final)
    if EMBEDDING in names:
        features[EMBEDDING] = body.forward_head(final, pre_logits=True)
    return Outputs(body.forward_head(final), features)


def as_map(body: Any, final: Tensor) -> Tensor:
    """The final features as a map [B, C, H, W]: tokens without the class token on their grid; channels first."""
    if final.ndim == 3:
        tokens = final[:, getattr(body, "num_prefix_tokens", 0) :]
        side = math.isqrt(tokens.shape[1])
        return tokens.transpose(1, 2).unflatten(2, (side, side))  # inputs are square
    return final.permute(0, 3, 1, 2) if getattr(body, "output_fmt", "NCHW") == "NHWC" else final
