"""Alignment of relevance (S2: pixels that speak for the class, found by layer-wise relevance propagation)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from edgekd.distillation.heatmaps import GridOptions, HeatmapLoss, SideName
from edgekd.errors import EdgekdError
from edgekd.explainers.lrp import relevance
from edgekd.networks import PixelNetwork
from edgekd.networks.taps import Outputs


class LrpOptions(GridOptions):
    """The rules, and the grid."""

    composite: Literal["epsilon_gamma_box", "epsilon_plus", "epsilon_alpha2_beta1", "epsilon"] = "epsilon_gamma_box"


class LrpSemantic(HeatmapLoss):
    """1 − cos of the relevance of each image's class.

    The student goes through its network a second time; its batch normalizations are folded, with the batch's statistics while
    it is trained. Such a step takes several times as long as one without.
    """

    TAUGHT_VERSION = 2  # 1 took the student's running statistics
    Options = LrpOptions
    options: LrpOptions
    name = "lrp_semantic"
    instead = "use gradcam_semantic, or kd, which needs no map"

    def heatmap(self, outputs: Outputs, classes: Tensor, side: SideName) -> Tensor:
        """By the composite's rules."""
        network, views = outputs.network, outputs.views
        if not isinstance(network, PixelNetwork):
            expected, found = "a float network, through which relevance has rules", type(network).__name__
            raise EdgekdError("network", expected, found, 'set qat.taught_by = "student", which uses no such loss')
        assert views is not None
        is_taught = side == "student" and torch.is_grad_enabled()
        return relevance(network, views, classes, self.options.composite, is_taught)


LOSS = LrpSemantic
