"""Grad-CAM: where a map of the network speaks for a class (Selvaraju et al., ICCV 2017).

A channel counts as much as the class's logit rises with it, on average over positions. For a network that ends convolution,
global average, linear layer, the map is that of CAM (Zhou et al., CVPR 2016) over its number of positions.
"""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from edgekd.errors import EdgekdError
from edgekd.networks import taps
from edgekd.section import Section

SUBJECT = "network"
TAP = "last"


class Options(Section):
    """The tap whose map is read."""

    tap: str = TAP


def explain(network: nn.Module, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """The map of one class for pixels [S, S, 3] uint8, enlarged bilinearly: [S, S] float32."""
    view = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    small = gradcam(network, view, torch.tensor([target]), options.tap).detach()
    return functional.interpolate(small[None], pixels.shape[:2], mode="bilinear")[0, 0].numpy()


def gradcam(
    network: nn.Module,
    views: Tensor,
    classes: Tensor,
    tap: str = TAP,
    create_graph: bool = False,
    rectify: bool = True,
) -> Tensor:
    """Maps [B, h, w] of the classes [B], without negative values if `rectify`.

    `last` of a transformer is what its last block reads: after that block the patches have no say where a class token answers.
    With `create_graph` the maps can be differentiated by the network's parameters.
    Raises: EdgekdError for a tap that is no map, or whose map the logits do not depend on.
    """
    views = views.detach().requires_grad_()  # a frozen network has a gradient too
    with torch.enable_grad(), twice_differentiable(create_graph):
        if reads_tokens(network):
            logits, features = _tokens(network, views, tap)
        else:
            found = taps.outputs(network, views, (tap,))
            logits, features = found.logits, found.features[tap]
    slopes = slope(logits, features, classes, tap, create_graph)
    if reads_tokens(network):
        body = getattr(network, "body", network)
        features, slopes = taps.as_map(body, features), taps.as_map(body, slopes)
    return weighted(features, slopes, rectify)


def twice_differentiable(wanted: bool = True) -> contextlib.AbstractContextManager[None]:
    """The context of a pass whose gradients can be differentiated if `wanted`: torch's fused attention cannot."""
    return sdpa_kernel(SDPBackend.MATH) if wanted else contextlib.nullcontext()


def slope(logits: Tensor, features: Tensor, classes: Tensor, tap: str = TAP, create_graph: bool = False) -> Tensor:
    """The gradient of each image's logit of its class by the features that the logits were made of.

    Raises: EdgekdError where they were not.
    """
    with torch.enable_grad():
        chosen = logits.gather(1, classes[:, None]).sum()
    found: Tensor | None = None
    if chosen.requires_grad and features.requires_grad:
        (found,) = torch.autograd.grad(
            chosen, features, create_graph=create_graph, retain_graph=True, allow_unused=True
        )
    if found is None:
        raise EdgekdError(
            f"Grad-CAM of tap {tap!r}", "a map that the logits are made of", "another one", "name another tap"
        )
    return found


def weighted(features: Tensor, slopes: Tensor, rectify: bool = True) -> Tensor:
    """Σ over channels of a map [B, C, h, w], each times the mean of its slopes over positions: [B, h, w]."""
    found = (slopes.mean((2, 3), keepdim=True) * features).sum(1)
    return found.relu() if rectify else found


def reads_tokens(network: nn.Module) -> bool:
    """Whether a network is a plain transformer, whose maps are copies of its tokens: the logits are not made of them."""
    body: Any = getattr(network, "body", network)
    names = taps.names_of(body)
    return bool(names) and hasattr(body, "blocks") and hasattr(body, "num_prefix_tokens")


def _tokens(network: nn.Module, views: Tensor, tap: str) -> tuple[Tensor, Tensor]:
    """Logits, and the tokens [B, N, C] of the tap that they were made of."""
    body: Any = getattr(network, "body", network)
    taps.require(network, (tap,))
    blocks = {name: index for name, index in taps.stages(body).items() if index < len(body.blocks) - 1}
    blocks[TAP] = len(body.blocks) - 2
    if tap not in blocks or blocks[tap] < 0:
        raise EdgekdError(f"Grad-CAM of tap {tap!r}", "a map before the last block", todo=f"use {', '.join(blocks)}")
    kept: list[Tensor] = []
    handle = body.blocks[blocks[tap]].register_forward_hook(lambda module, given, made: kept.append(made))
    try:
        logits = network(views)
    finally:
        handle.remove()
    return logits, kept[0]
