"""L2 alignment of features through a learned projection: what `cosine_feature` is compared with (Romero et al., ICLR 2015)."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor
from torch.nn import functional

from edgekd.distillation.loss import Values
from edgekd.distillation.losses.cosine_feature import MAPS, CosineFeature


class L2Feature(CosineFeature):
    """(P(f_S) − f_T)², mean over channels, positions and images; taps and P as in `cosine_feature`."""

    name: ClassVar[str] = "l2_feature"

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The mean squared difference."""
        del targets, temperature
        name = self.kept or MAPS
        return functional.mse_loss(student[name], teacher[name])


LOSS = L2Feature
