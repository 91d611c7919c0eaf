"""A committee: several networks that answer one picture together, each at its own size and with its own normalization."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.networks.normalization import PIXELS
from edgekd.preprocess import InputContract
from edgekd.section import Section, validate

COMMITTEE = "committee"  # the name of the network in recipes and manifests


class Member(Section):
    """One member as a bundle describes it: network, input, and how it counts."""

    network: str
    width: float = Field(1.0, gt=0, le=4)
    options: dict[str, Any] = {}
    input: InputContract
    weights_sha256: str = Field("", pattern="^([0-9a-f]{64})?$")  # of the member's own bundle, which names its store
    calibration_temperature: float = Field(1.0, gt=0, allow_inf_nan=False)
    weight: float = Field(1.0, gt=0, allow_inf_nan=False)


class Committee(nn.Module):
    """Members whose calibrated probabilities are averaged.

    Shapes: pixels [B, 3, H, W] in 0..1 -> logits [B, K], the logarithm of the weighted mean over members of softmax(z_m / T_m),
    T_m the member's calibration temperature. Each member sees the picture at its own size.
    """

    pretrained_cfg = PIXELS  # members normalize

    def __init__(self, networks: Sequence[nn.Module], members: Sequence[Member]) -> None:
        super().__init__()
        self.members, self.facts = nn.ModuleList(networks), tuple(members)

    def forward(self, pixels: Tensor) -> Tensor:
        """Logits [B, K] of pixels in 0..1."""
        views = pixels * 255
        answers = [m(views) / f.calibration_temperature for m, f in zip(self.members, self.facts, strict=True)]
        return log_mean(answers, [f.weight for f in self.facts])


def log_mean(logits: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Logits [B, K] of the weighted mean of softmax(z_m) of `logits` z_m [B, K], centred per row (METHODS, committees).

    For one member they are its own up to a constant per row.
    """
    shares = torch.tensor(weights, dtype=logits[0].dtype, device=logits[0].device)
    logs = torch.stack([torch.log_softmax(z, dim=1) for z in logits]) + (shares / shares.sum()).log()[:, None, None]
    mean = torch.logsumexp(logs, dim=0)
    return mean - mean.mean(1, keepdim=True)


def members_of(options: dict[str, Any]) -> tuple[Member, ...]:
    """The members that a committee's options describe.

    Raises: EdgekdError that lists what is wrong with them.
    """
    found = options.get("members")
    if not isinstance(found, list) or not found:
        raise EdgekdError("network 'committee', option 'members'", "a list of members", repr(found))
    return tuple(validate(Member, member, f"member {n}", from_json=True) for n, member in enumerate(found, start=1))


def committee(num_classes: int, size: int, width: float, pretrained: bool, members: list[dict[str, Any]]) -> nn.Module:
    """The committee that a bundle's manifest describes, with random weights; a recipe lists `teacher.members` instead."""
    from edgekd.networks import described

    del size, width, pretrained
    facts = members_of({"members": members})
    if any(member.network == COMMITTEE for member in facts):
        raise EdgekdError("network 'committee'", "members that are networks", "a committee among them")
    return Committee([described(m.network, m.width, m.options, m.input, num_classes) for m in facts], facts)


BUILDERS = {COMMITTEE: committee}
