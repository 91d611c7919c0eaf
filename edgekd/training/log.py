"""The training log: CSV, TensorBoard events and curves as PNG, all made from the history that the checkpoint keeps."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from edgekd.files import write_atomic
from edgekd.reports import pictures
from edgekd.training.loop import Row

REDRAWN = 15.0  # seconds between two drawings at least: of quick epochs most of the time would go into pictures


class Log:
    """Writes `log.csv` and TensorBoard events into `folder` after every epoch, `curves.png` now and then and at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events: SummaryWriter | None = None
        self._undrawn: list[Row] = []
        self._drawn = time.monotonic()

    def epoch(self, history: list[Row]) -> None:
        """Note the last row of `history`."""
        if self._events is None:
            # Events of an epoch that a kill cut off are dropped by every reader.
            self._events = SummaryWriter(str(self.folder / "tensorboard"), purge_step=int(history[-1]["epoch"]))
        for name, value in history[-1].items():
            self._events.add_scalar(name, value, int(history[-1]["epoch"]))
        write_csv(self.folder / "log.csv", history)
        self._undrawn = history
        if time.monotonic() - self._drawn > REDRAWN:
            self._draw()

    def close(self) -> None:
        """Close the event file; draw what is not drawn yet."""
        if self._events is not None:
            self._events.close()
        if self._undrawn:
            self._draw()

    def _draw(self) -> None:
        pictures.curves(self._undrawn, self.folder / "curves.png")
        self._undrawn, self._drawn = [], time.monotonic()


def write_csv(path: Path, history: list[Row]) -> None:
    """One line per epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in history)
    write_atomic(path, text.getvalue())
