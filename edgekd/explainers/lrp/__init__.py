"""Layer-wise relevance propagation (LRP): a class's logit is dealt back, layer by layer, to the pixels that made it.

Batch normalization is folded into the layer before it, with the statistics that it runs on. Where all biases are 0, the
relevance of all pixels sums to the logit; else biases keep their share of it, and so do position embeddings and class tokens.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.explainers.lrp import operators as operators
from edgekd.explainers.lrp.composites import DEFAULT, composite
from edgekd.explainers.lrp.relevant import Relevant
from edgekd.networks import PixelNetwork
from edgekd.networks.modes import batch_statistics, evaluating
from edgekd.section import Section

SUBJECT = "network"


class Options(Section):
    """The composite that gives each layer its rule."""

    rules: str = DEFAULT


def explain(network: PixelNetwork, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """Relevance of one class for pixels [S, S, 3] uint8: [S, S] float32."""
    view = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    return relevance(network, view, torch.tensor([target]), options.rules)[0].detach().numpy()


def relevance(
    network: PixelNetwork, views: Tensor, classes: Tensor, rules: str = DEFAULT, create_graph: bool = False
) -> Tensor:
    """Relevance of the classes [B] for views [B, 3, H, W] in 0..255, summed over colours: [B, S, S], S the network's size.

    The network runs as in eval mode, whatever its mode is. `rules` names a composite. With `create_graph` the relevance can
    be differentiated by the network's parameters, and batch normalizations that are in training mode take the batch's own
    statistics, of which the gradient knows: by running ones, that lag behind, it would change scales that training does
    not feel, and the running statistics would lose the network that they describe.
    Raises: EdgekdError for an unknown composite, or a network with an operator that has no rule.
    """
    with (
        batch_statistics(network, only_training=True) if create_graph else evaluating(network),
        torch.autocast(views.device.type, enabled=False),
        torch.set_grad_enabled(create_graph),
    ):
        pixels = network.normalized(views.detach())
        bounds = tuple(network.normalized(torch.full_like(pixels, limit)) for limit in (0.0, 255.0))
        start = Relevant.of(pixels, pixels.detach().requires_grad_(), composite(rules), (bounds[0], bounds[1]))
        logits = network.body(start)
        if not isinstance(logits, Relevant):
            where = f"relevance of {type(network.body).__name__}"
            raise EdgekdError(where, "logits that depend on the pixels through operators with rules", "others")
        chosen = nn.functional.one_hot(classes, logits.value.shape[1]) * logits.value
        (found,) = torch.autograd.grad(logits.carrier, start.carrier, chosen, create_graph=create_graph)
        return found.sum(1)
