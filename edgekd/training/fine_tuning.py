"""A training as one stage after the other. One without stages is a single one, in which everything learns."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from torch import nn

from edgekd.fine_tuning import Learning
from edgekd.networks import blocks
from edgekd.recipe import StageRecipe, TrainingRecipe


@dataclass(frozen=True)
class Stage:
    """The settings that hold in a stage, and what learns in it."""

    settings: StageRecipe
    train: Learning = "all"
    top_fraction: float = 1.0

    def learning(self, network: nn.Module) -> Set[str]:
        """The names of the parameters that learn.

        Raises: EdgekdError for a network that cannot be parted so.
        """
        return blocks.learning(network, self.train, self.top_fraction)


def stages_of(settings: StageRecipe) -> tuple[Stage, ...]:
    """The stages of a training, in order."""
    if not isinstance(settings, TrainingRecipe) or settings.stages is None:
        return (Stage(settings),)
    return tuple(Stage(settings.within(s), s.train, s.top_fraction) for s in settings.stages)


def total_epochs(settings: StageRecipe) -> int:
    """Of all stages, if none stops early."""
    return sum(stage.settings.epochs for stage in stages_of(settings))
