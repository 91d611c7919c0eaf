"""Composites: which rule each kind of layer gets. Their names are zennit's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from edgekd.errors import EdgekdError, nearest
from edgekd.explainers.lrp import rules
from edgekd.explainers.lrp.rules import Rule

Bounds = tuple[Tensor, Tensor]  # what pixels keep to, each [B, C, H, W]


@dataclass(frozen=True)
class Composite:
    """The rules of convolutions and of linear layers; `first` makes that of a convolution which reads pixels."""

    convolution: Rule
    linear: Rule = rules.epsilon
    first: Callable[[Tensor, Tensor], Rule] | None = None

    def rule(self, is_convolution: bool, bounds: Bounds | None) -> Rule:
        """The rule of a layer; `bounds` where it reads pixels."""
        if not is_convolution:
            return self.linear
        return self.first(*bounds) if self.first and bounds else self.convolution


COMPOSITES = {
    "epsilon_gamma_box": Composite(rules.gamma, first=rules.box),
    "epsilon_plus": Composite(rules.alpha1_beta0),
    "epsilon_alpha2_beta1": Composite(rules.alpha2_beta1),
    "epsilon": Composite(rules.epsilon),
}
DEFAULT = "epsilon_gamma_box"


def composite(name: str) -> Composite:
    """A composite by its name.

    Raises: EdgekdError with the nearest name.
    """
    if name not in COMPOSITES:
        raise EdgekdError(f"composite {name!r}", "a composite of rules", todo=nearest(name, COMPOSITES))
    return COMPOSITES[name]
