"""Live progress on the screen: the epoch's bar with every loss component, then one line per finished epoch."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from edgekd.reports import screen

Row = dict[str, float]


class Screen:
    """Shows the training `title`; a context manager, so that the bar goes when the training ends or fails."""

    def __init__(self, console: Console, title: str, epochs: int) -> None:
        self.console, self.title, self.epochs = console, title, epochs
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._bar = screen.progress(console, *columns, TextColumn("{task.fields[values]}"))
        self._task = self._bar.add_task(title, total=None, values="")

    def __enter__(self) -> Screen:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, epoch: int, step: int, steps: int, row: Row) -> None:
        """Move the bar; time left is that of all epochs."""
        done = epoch * steps + step + 1
        label = f"{self.title} epoch {epoch + 1}/{self.epochs}"
        self._bar.update(self._task, description=label, total=self.epochs * steps, completed=done, values=_values(row))

    def epoch(self, history: list[Row]) -> None:
        """One line for the epoch that ended."""
        row = history[-1]
        result = f"val {100 * row['val_accuracy']:.2f} % nll {row['val_nll']:.3f}"
        stage = f" (stage {int(row['stage'])})" if "stage" in row else ""
        epoch = f"{self.title} {int(row['epoch'])}/{self.epochs}{stage}"
        self.console.print(f"{epoch}: {result} | {_values(row)}", highlight=False)


def _values(row: Row) -> str:
    losses = " ".join(f"{n.removeprefix('loss_')} {v:.3f}" for n, v in row.items() if n.startswith("loss_"))
    return f"train {100 * row['train_accuracy']:.1f} % {losses} | {row['images_per_s']:.0f} img/s"
