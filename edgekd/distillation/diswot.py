"""DisWOT: how alike two networks see one minibatch before either is trained.

The more alike, the better the one is said to learn from the other. Both have random weights. Relations say which images a
network's last map holds for alike, semantics which classes the gradient of its classifier takes for alike. Every Gram matrix
is of images or of classes, never of channels, so that networks of any width and kind can be compared, a ViT with a CNN.
Source: Dong et al., "DisWOT: Student Architecture Search for Distillation WithOut Training", CVPR 2023.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, taps
from edgekd.networks.modes import batch_statistics


@dataclass(frozen=True)
class Sight:
    """How a network sees a minibatch of B images of K classes: `relations` [B, B] and `semantics` [K, K], rows of length 1."""

    relations: Tensor
    semantics: Tensor


@dataclass(frozen=True)
class Score:
    """How alike two networks see the same minibatch: each part is at most 0, which it is for a network and itself."""

    relation: float
    semantic: float

    @property
    def total(self) -> float:
        """The score that candidates are ranked by."""
        return self.relation + self.semantic


def gram(features: Tensor) -> Tensor:
    """The products [N, N] of every row of features [N, …] with every other; each row scaled to length 1."""
    rows = features.flatten(1).double()
    return functional.normalize(rows @ rows.T, dim=1)


def sight(network: PixelNetwork, views: Tensor, labels: Tensor) -> Sight:
    """How `network` sees views [B, 3, H, W] with labels [B].

    Its last map before pooling gives the relations, the gradient of the mean cross-entropy by its classifier's weight [K, C]
    the semantics. Batch normalization takes the batch's own statistics: a network without training has no others.
    Raises: EdgekdError for a network without a last map, or whose classifier is not one linear layer.
    """
    taps.require(network, ["last"], "DisWOT, the tap")
    weight = classifier(network).weight
    with batch_statistics(network):
        found = network.tapped(views, ["last"])
        loss = functional.cross_entropy(found.logits.float(), labels)
        (gradient,) = torch.autograd.grad(loss, weight)
    return Sight(gram(found.features["last"].detach()), gram(gradient))


def classifier(network: PixelNetwork) -> nn.Linear:
    """The last linear layer.

    Raises: EdgekdError for a network that ends otherwise.
    """
    last = getattr(network.body, "get_classifier", lambda: None)()
    if not isinstance(last, nn.Linear):
        where = f"network {type(network.body).__name__}"
        raise EdgekdError(where, "one linear layer as its classifier", type(last).__name__, "rank another network")
    return last


def score(student: Sight, teacher: Sight) -> Score:
    """M_r = -|G_T - G_S|² / B² over relations, and M_s the same over semantics with K for B.

    Raises: ValueError for networks that saw different minibatches.
    """
    if student.relations.shape != teacher.relations.shape or student.semantics.shape != teacher.semantics.shape:
        raise ValueError("expected two networks that saw the same images and classes")
    return Score(_likeness(student.relations, teacher.relations), _likeness(student.semantics, teacher.semantics))


def _likeness(a: Tensor, b: Tensor) -> float:
    return -float((a - b).square().mean())
