"""Fine-tuning in stages, as a recipe names them: first the new head learns, then the top of the backbone, then everything.

Source: Howard and Ruder, ACL 2018 (gradual unfreezing), for classifiers of text.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgekd.section import Section

Learning = Literal["head", "top", "all"]  # what learns: see edgekd.networks.blocks
OWN = ("train", "top_fraction")  # settings of a stage that the section around it lacks


class FineTuningStage(Section):
    """One of `training.stages`. What may be None is then as in the section around it."""

    train: Learning
    epochs: int = Field(ge=1)
    learning_rate: float = Field(gt=0)
    top_fraction: float = Field(0.3, gt=0, le=1)  # for train = "top": the share of a backbone's blocks, from the top
    min_learning_rate: float | None = Field(None, ge=0)
    warmup_epochs: float | None = Field(None, ge=0)
    schedule: Literal["cosine", "plateau"] | None = None
    plateau_patience: int | None = Field(None, ge=0)
    plateau_factor: float | None = Field(None, gt=0, lt=1)

    def given(self) -> dict[str, Any]:
        """The settings that take the place of those around it."""
        return self.model_dump(exclude=set(OWN), exclude_none=True)
