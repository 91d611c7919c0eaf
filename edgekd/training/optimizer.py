"""AdamW over named parts of what is trained, each with its own learning rate."""

from __future__ import annotations

import torch
from torch import nn

from edgekd.networks import PixelNetwork
from edgekd.recipe import StageRecipe

Parts = dict[str, tuple[list[nn.Parameter], float]]  # name -> parameters, factor of the learning rate


def classifier_apart(network: PixelNetwork, head_factor: float) -> Parts:
    """The parameters in two parts: `head`, the classifier, with its own learning rate, and `body`, all others."""
    get_classifier = getattr(network.body, "get_classifier", None)
    classifier = get_classifier() if get_classifier else None
    head = list(classifier.parameters()) if isinstance(classifier, nn.Module) else []
    ids = {id(p) for p in head}
    body = [p for p in network.parameters() if id(p) not in ids]
    return {"body": (body, 1.0), "head": (head, head_factor)}


def make_optimizer(settings: StageRecipe, parts: Parts) -> torch.optim.Optimizer:
    """AdamW over named parts, each (parameters, factor of the learning rate), as far as they learn; no decay on biases and
    normalization."""
    groups = []
    for part, (parameters, factor) in parts.items():
        learnt = [p for p in parameters if p.requires_grad]
        for decays in (True, False):
            members = [p for p in learnt if (p.ndim > 1) == decays]
            decay = settings.weight_decay if decays else 0.0
            groups.append({"params": members, "weight_decay": decay, "factor": factor, "part": part})
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, foreach=True)
