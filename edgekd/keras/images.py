"""Images in the splits that a bundle will know: what a Keras model is trained on, so that it is validated on others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd import recipe as recipes
from edgekd.command import on_data
from edgekd.reports import screen
from edgekd.training import distributed
from edgekd.training.run import Run, prepare


@dataclass(frozen=True)
class Images:
    """A set dealt to training, validation and test; `run` has its recipe."""

    run: Run

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their labels."""
        return self.run.label_names

    @property
    def train(self) -> tuple[np.ndarray, np.ndarray]:
        """Pixels [N, S, S, 3] uint8 RGB and labels [N]."""
        return self.split("train")

    @property
    def val(self) -> tuple[np.ndarray, np.ndarray]:
        """As `train`, of the validation split."""
        return self.split("val")

    @property
    def test(self) -> tuple[np.ndarray, np.ndarray]:
        """As `train`, of the test split."""
        return self.split("test")

    def split(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The labelled images of one split."""
        rows = self.run.labelled_rows if name == "train" else self.run.rows(name)
        return np.ascontiguousarray(self.run.pixels.array[rows]), self.run.labels[rows]


def read_images(data: str | Path = "", size: int = 96, settings: Sequence[str] = ()) -> Images:
    """The images at `data` (a folder, CSV, …; "" for generated phantoms), squares of `size` px, decoded once.

    `settings` are those of a recipe, as `--set` takes them: "data.test_fraction=0.2", "seed=1". Groups (patients) stay in
    one split.
    Raises: EdgekdError for a set that cannot be read, or a setting that is wrong.
    """
    given = ["student.network=mobilenetv2", f"input.size={size}", *settings]
    recipe = recipes.load(None, given, own_images=bool(data))
    if data:
        recipe = on_data(recipe, str(data), settings)
    return Images(prepare(recipe, Path("runs/keras"), distributed.start(), screen.console()))
