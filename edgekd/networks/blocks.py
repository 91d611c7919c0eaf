"""The parts of a network that fine-tuning in stages lets learn: the head, the top of the backbone, or everything.

A backbone's blocks are timm's own groups of parameters, those of layer-wise learning rates: the stem, then every residual
block or encoder layer, with what follows the last one (the last convolution, the final normalization) in it. The head is
all that is in no backbone: the classifier, and of edgekd's own networks everything after their backbones.
"""

from __future__ import annotations

import math
from typing import Any

from timm.models import group_parameters
from torch import nn

from edgekd.errors import EdgekdError
from edgekd.fine_tuning import Learning
from edgekd.networks.normalization import Branch

Block = tuple[str, ...]  # names of parameters


def learning(network: nn.Module, train: Learning, top_fraction: float) -> frozenset[str]:
    """The names of the parameters that learn: of the head; with "top" of the last `top_fraction` of blocks too; or all.

    The number of blocks is rounded up. Each of several backbones, side by side, has a top of its own.
    Raises: EdgekdError for a network without a head of its own, or one that timm cannot part in blocks.
    """
    everything = frozenset(name for name, _ in network.named_parameters())
    if train == "all":
        return everything
    parted = [blocks(network, prefix) for prefix in backbones(network)]
    head = everything.difference(*(block for found in parted for block in found))
    if not head:
        kind = type(getattr(network, "body", network)).__name__
        raise EdgekdError(f"stages of {kind}", "a classifier after the backbone", "none", "leave the stages out")
    if train == "head":
        return head
    tops = (found[-_rounded_up(top_fraction * len(found)) :] for found in parted)
    return head.union(*(block for top in tops for block in top))


def _rounded_up(count: float) -> int:
    return max(1, math.ceil(round(count, 6)))  # 0.07 * 100 is no eighth block


def backbones(network: nn.Module) -> tuple[str, ...]:
    """Where in `network` (a `PixelNetwork`) its backbones are: the branches of a network of edgekd's own, or its body."""
    branches = tuple(f"{name}.body" for name, module in network.named_modules() if isinstance(module, Branch))
    prefix = getattr(network.body, "backbone_prefix", "")
    return branches or (f"body.{prefix}".rstrip("."),)


def blocks(network: nn.Module, backbone: str) -> list[Block]:
    """The names of the parameters of each block, from the input on; of the backbone at that place, without its classifier.

    Raises: EdgekdError for one that timm cannot part.
    """
    body: Any = network.get_submodule(backbone)
    if not hasattr(body, "group_matcher"):
        expected = "a backbone that timm has built"
        raise EdgekdError(f"stages of {type(body).__name__}", expected, "another one", "leave the stages out")
    classifier = {id(p) for p in _classifier(body)}
    head = {name for name, p in body.named_parameters() if id(p) in classifier}
    groups = group_parameters(body, body.group_matcher(coarse=False)).values()
    found = (tuple(f"{backbone}.{name}" for name in group if name not in head) for group in groups)
    return [block for block in found if block]


def _classifier(body: Any) -> list[nn.Parameter]:
    found = body.get_classifier()
    heads = found if isinstance(found, tuple | list) else [found]  # a distilled ViT has two
    return [p for head in heads for p in head.parameters()]
