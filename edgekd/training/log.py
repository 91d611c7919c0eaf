"""The training log: CSV, TensorBoard events and curves as PNG, all made from the history that the checkpoint keeps."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from edgekd.files import write_atomic
from edgekd.reports import pictures
from edgekd.training.loop import Row


class Log:
    """Writes `log.csv`, `curves.png` and TensorBoard events into `folder` after every epoch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._events: SummaryWriter | None = None

    def epoch(self, history: list[Row]) -> None:
        """Note the last row of `history`."""
        if self._events is None:
            # Events of an epoch that a kill cut off are dropped by every reader.
            self._events = SummaryWriter(str(self.folder / "tensorboard"), purge_step=int(history[-1]["epoch"]))
        for name, value in history[-1].items():
            self._events.add_scalar(name, value, int(history[-1]["epoch"]))
        write_csv(self.folder / "log.csv", history)

        pictures.curves(history, self.folder / "curves.png")

    def close(self) -> None:
        """Close the event file."""
        if self._events is not None:
            self._events.close()


def write_csv(path: Path, history: list[Row]) -> None:
    """One line per epoch."""
    names = list(dict.fromkeys(name for row in history for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({k: f"{v:.6g}" for k, v in row.items()} for row in history)
    write_atomic(path, text.getvalue())
