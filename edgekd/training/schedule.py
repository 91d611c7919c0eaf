"""Learning-rate schedules: warm-up, then cosine or reduce-on-plateau; one or the other, never both."""

from __future__ import annotations

import math

from edgekd.recipe import StageRecipe


class Schedule:
    """The learning rate of each step; `after_epoch` is told the validation NLL (only the plateau schedule listens)."""

    def __init__(self, settings: StageRecipe, steps_per_epoch: int) -> None:
        self.settings, self.steps_per_epoch = settings, steps_per_epoch
        self.factor, self.best, self.waited = 1.0, math.inf, 0

    def learning_rate(self, step: int) -> float:
        """The rate for `step`, counted from 0 over all epochs.

        Warm-up LR0 (s + 1) / W, then LR_min + (LR0 - LR_min)(1 + cos(pi p)) / 2 with p from 0 to 1.
        """
        s = self.settings
        warmup = round(s.warmup_epochs * self.steps_per_epoch)
        if step < warmup:
            return s.learning_rate * (step + 1) / warmup
        if s.schedule == "plateau":
            return max(s.min_learning_rate, s.learning_rate * self.factor)
        progress = (step - warmup) / max(1, s.epochs * self.steps_per_epoch - warmup)
        floor = min(s.min_learning_rate, s.learning_rate)
        return floor + (s.learning_rate - floor) * (1 + math.cos(math.pi * min(1.0, progress))) / 2

    def after_epoch(self, val_nll: float) -> None:
        """Note the epoch's validation NLL; lowers the plateau factor after `plateau_patience` epochs without gain."""
        if val_nll < self.best:
            self.best, self.waited = val_nll, 0
            return
        self.waited += 1
        if self.waited > self.settings.plateau_patience:
            self.factor, self.waited = self.factor * self.settings.plateau_factor, 0

    def state(self) -> dict[str, float]:
        """What a checkpoint keeps."""
        return {"factor": self.factor, "best": self.best, "waited": self.waited}

    def restore(self, state: dict[str, float]) -> None:
        """Continue from `state()`."""
        self.factor, self.best, self.waited = state["factor"], state["best"], int(state["waited"])
