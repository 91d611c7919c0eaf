"""Distillation losses, one file each: a file's name is the loss's name in recipes, its `LOSS` the class (`Loss`).

The factor T² of losses on logits is explicit, so that a change of T leaves the gradients' size alone (Hinton et al., 2015).
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgekd.distillation.loss import Loss, LossOptions, Taps
from edgekd.errors import EdgekdError, nearest
from edgekd.networks.taps import Shapes
from edgekd.section import validate


@dataclass(frozen=True)
class Named:
    """A loss of a recipe: its class and its checked options."""

    name: str
    kind: type[Loss]
    options: LossOptions

    @property
    def taps(self) -> Taps:
        """What it reads."""
        return self.kind.taps(self.options)

    @property
    def reads_teacher(self) -> bool:
        """Whether it reads more of a teacher than logits."""
        return bool(self.taps.teacher) or self.kind.check is not Loss.check


def names() -> list[str]:
    """The names of all losses."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def resolve(settings: Mapping[str, float | dict[str, Any]]) -> tuple[Named, ...]:
    """The losses of `distillation.losses`: name -> weight, or name -> options with a weight among them.

    Raises: EdgekdError for an unknown name or option.
    """
    known, found = names(), []
    for name, given in settings.items():
        if name not in known:
            raise EdgekdError(f"distillation.losses.{name}", "a known loss", todo=nearest(name, known))
        kind: type[Loss] = importlib.import_module(f"{__name__}.{name}").LOSS
        options = given if isinstance(given, dict) else {"weight": given}
        found.append(Named(name, kind, validate(kind.Options, options, f"distillation.losses.{name}")))
    return tuple(found)


def build(losses: tuple[Named, ...], student: Shapes, teacher: Shapes) -> nn.ModuleDict:
    """The modules of losses, for the shapes of the taps that they read.

    Raises: EdgekdError if the taps of student and teacher cannot meet.
    """
    return nn.ModuleDict({loss.name: loss.kind(loss.options, student, teacher) for loss in losses})
