"""A ViT teaches a convolutional network: its attention and its tokens (Liu et al., ACCV 2022).

The paper's adversarial part, a discriminator on several views, is left out.
"""

from __future__ import annotations

import math

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from edgekd.distillation.alignment import Grid, resized, sides
from edgekd.distillation.loss import Loss, LossOptions, TapOptions, Taps, Values
from edgekd.networks.taps import ATTENTION, Outputs, Shapes

TOKENS = "tokens"
INSTEAD = "use cosine_feature, which compares maps of any two networks"


class CrossArchOptions(TapOptions):
    """The student's last map, the teacher's final tokens; the paper's share of replaced elements and groups of pixels."""

    tap: str = "stage4"
    teacher_tap: str = "last"
    replaced: float = Field(0.5, ge=0, le=1)
    group: int = Field(4, ge=1)  # positions to a side


class CrossArch(Loss):
    """‖A_T − A_S‖² + ‖V_T V_Tᵀ/√d − V_S V_Sᵀ/√d‖² + ‖h_T − h_S‖², each a mean over elements (Liu et al., ACCV 2022).

    Partially cross attention: three 3×3 convolutions make Q, K, V of the student's map on the teacher's grid; while
    training, an element of them is the teacher's with probability 1/2 before A_S = softmax(Q Kᵀ/√d) V. Q, K, V of the
    teacher are those of its last block, per head and without class token. Group-wise linear: h_S is a linear layer of the
    student's map that each 4×4 positions share. Live: what a ViT attends with is large.
    Of several processes each draws its own elements.
    """

    Options = CrossArchOptions
    options: CrossArchOptions
    instead = f"take a ViT of timm as teacher (vit_*, deit_*, neurotriad_vit), or {INSTEAD}"

    def __init__(self, options: LossOptions, student: Shapes, teacher: Shapes) -> None:
        super().__init__(options, student, teacher)
        o = self.options
        one, other = sides("cross_arch", student, teacher)
        channels, _, _ = one.map(o.tap, INSTEAD)
        width, *grid = other.map(o.of_teacher, INSTEAD)
        self.grid: Grid = (grid[0], grid[1])
        if ATTENTION not in teacher:
            raise other.refusal(ATTENTION, "queries, keys and values of tokens", "no such tap", self.instead)
        _, self.heads, positions, head_width = teacher[ATTENTION]
        if positions != math.prod(self.grid):
            expected, found = f"{positions} positions, as its attention has", f"{grid[0]} x {grid[1]}"
            raise other.refusal(o.of_teacher, expected, found, "teacher_tap = 'last'")
        inner = self.heads * head_width
        self.attend = nn.ModuleList(nn.Conv2d(channels, inner, 3, padding=1) for _ in range(3))
        self.linear = GroupwiseLinear(channels, width, self.grid, o.group)

    @classmethod
    def taps(cls, options: LossOptions) -> Taps:
        """A map of the student, tokens and attention of the teacher."""
        assert isinstance(options, CrossArchOptions)
        return Taps((options.tap,), (options.of_teacher, ATTENTION))

    def of_student(self, outputs: Outputs, targets: Tensor) -> Values:
        """Q, K, V [B, 3, heads, H W, d] and h_S [B, C, H, W]."""
        del targets
        features = resized(outputs.features[self.options.tap], self.grid)
        made = torch.stack([convolution(features) for convolution in self.attend], dim=1)
        heads = made.flatten(3).unflatten(2, (self.heads, -1)).transpose(3, 4)
        return {ATTENTION: heads, TOKENS: self.linear(features)}

    def of_teacher(self, outputs: Outputs, targets: Tensor) -> Values:
        """Q, K, V [B, 3, heads, H W, d] and h_T [B, C, H, W]."""
        del targets
        return {ATTENTION: outputs.features[ATTENTION], TOKENS: outputs.features[self.options.of_teacher]}

    def compare(self, student: Values, teacher: Values, targets: Tensor, temperature: float) -> Tensor:
        """The sum of the three."""
        del targets, temperature
        made, of_teacher = student[ATTENTION], teacher[ATTENTION]
        taken = (
            torch.rand_like(made) < self.options.replaced if self.training else torch.zeros_like(made, dtype=torch.bool)
        )
        attention = functional.mse_loss(attended(torch.where(taken, of_teacher, made)), attended(of_teacher))
        values = functional.mse_loss(relations(made[:, 2]), relations(of_teacher[:, 2]))
        return attention + values + functional.mse_loss(student[TOKENS], teacher[TOKENS])


class GroupwiseLinear(nn.Module):
    """A linear layer for each group of `side` × `side` neighbouring positions; groups at the edges may be smaller.

    Shapes: [B, C, H, W] -> [B, D, H, W].
    """

    def __init__(self, channels: int, width: int, grid: Grid, side: int) -> None:
        super().__init__()
        self.side, (self.rows, self.columns) = side, (-(-n // side) for n in grid)
        groups = self.rows * self.columns
        self.weight = nn.Parameter(torch.empty(groups, channels, width))
        self.bias = nn.Parameter(torch.zeros(groups, 1, width))
        bound = 1 / math.sqrt(channels)  # as torch's own linear layers start
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        """Every position through its group's layer."""
        height, width = x.shape[2:]
        padded = functional.pad(x, (0, self.columns * self.side - width, 0, self.rows * self.side - height))
        apart = padded.unflatten(3, (self.columns, self.side)).unflatten(2, (self.rows, self.side))
        groups = apart.permute(2, 4, 0, 3, 5, 1)  # rows, columns, B, side, side, C
        made = torch.baddbmm(self.bias, groups.flatten(2, 4).flatten(0, 1), self.weight)
        together = made.view(*groups.shape[:5], -1).permute(2, 5, 0, 3, 1, 4)
        return together.flatten(4, 5).flatten(2, 3)[:, :, :height, :width]


def attended(qkv: Tensor) -> Tensor:
    """softmax(Q Kᵀ/√d) V of [B, 3, heads, N, d]: [B, heads, N, d]."""
    queries, keys, values = qkv.unbind(1)
    return functional.scaled_dot_product_attention(queries, keys, values)


def relations(values: Tensor) -> Tensor:
    """V Vᵀ/√d of [B, heads, N, d]: [B, heads, N, N]."""
    return values @ values.transpose(-2, -1) / math.sqrt(values.shape[-1])


LOSS = CrossArch
