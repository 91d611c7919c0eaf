"""Alignment of Grad-CAM maps (S2's baseline for `lrp_semantic`)."""

from __future__ import annotations

import torch
from torch import Tensor

from edgekd.distillation.alignment import sides
from edgekd.distillation.heatmaps import GridOptions, HeatmapLoss, SideName
from edgekd.distillation.loss import LossOptions, TapOptions, Taps
from edgekd.explainers import gradcam
from edgekd.networks.taps import Outputs, Shapes


class GradcamOptions(TapOptions, GridOptions):
    """Taps and grid."""


class GradcamSemantic(HeatmapLoss):
    """1 − cos of the Grad-CAM maps of each image's class; `last` of a transformer is what its last block reads."""

    Options = GradcamOptions
    options: GradcamOptions
    name = "gradcam_semantic"
    needs_student_gradient = needs_teacher_gradient = True

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        one, other = sides(self.name, student, teacher)
        one.map(self.options.tap, f"name a map, or {self.instead}")
        other.map(self.options.of_teacher, f"name a map, or {self.instead}")

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """One of each."""
        assert isinstance(options, TapOptions)
        return Taps((options.tap,), (options.of_teacher,))

    def heatmap(self, outputs: Outputs, classes: Tensor, side: SideName) -> Tensor:
        """From the pass that gave the logits, where these can be differentiated by the tap; else from another one."""
        tap = self.options.tap if side == "student" else self.options.of_teacher
        is_taught = side == "student" and torch.is_grad_enabled()
        if _is_source(outputs, tap):
            features, dtype = outputs.source(tap), outputs.logits.dtype
            slopes = gradcam.slope(outputs.logits, features, classes, tap, is_taught)
            return gradcam.weighted(features.to(dtype), slopes.to(dtype))
        assert outputs.network is not None
        assert outputs.views is not None
        return gradcam.gradcam(outputs.network, outputs.views, classes, tap, is_taught)


def _is_source(outputs: Outputs, tap: str) -> bool:
    """Whether the logits were made of the tap by a graph: no transformer's, and not where all before it stands still."""
    if tap not in outputs.features or not outputs.source(tap).requires_grad:
        return False
    return outputs.network is None or not gradcam.reads_tokens(outputs.network)


LOSS = GradcamSemantic
