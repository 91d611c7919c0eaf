"""Progress over a whole study: one line for each training that ends, a bar over all epochs, and the time left."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, TextColumn

from edgekd.reports import screen
from edgekd.reports.progress import Row, Screen


@dataclass
class Step:
    """A training of a study. Steps of one kind take about the same time for an epoch."""

    name: str
    kind: str
    epochs: int
    is_done: bool = False
    seconds: float = 0.0  # of the epochs done
    epochs_done: int = 0

    def __post_init__(self) -> None:
        if self.is_done and self.seconds:
            self.epochs_done = self.epochs


def seconds_left(steps: Sequence[Step]) -> float | None:
    """The epochs to come times the measured seconds of an epoch of their kind, or of all kinds; None if none is measured."""
    measured = [s for s in steps if s.epochs_done]
    if not measured:
        return None

    def pace(found: list[Step]) -> float:
        return sum(s.seconds for s in found) / sum(s.epochs_done for s in found)

    return sum(
        (s.epochs - s.epochs_done) * pace([m for m in measured if m.kind == s.kind] or measured)
        for s in steps
        if not s.is_done
    )


class StudyProgress:
    """Shows a study's progress; a context manager, so that the bar goes when the study ends or fails."""

    def __init__(self, steps: Sequence[Step], console: Console) -> None:
        self.steps, self.console = list(steps), console
        self._by_name = {step.name: step for step in self.steps}
        self._current: Step | None = None
        self._bar = screen.progress(
            console, TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[left]}")
        )
        total = sum(step.epochs for step in self.steps)
        self._task = self._bar.add_task("study", total=total, left="")

    def __enter__(self) -> StudyProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        """What is trained now; done when the context ends without an error."""
        self._current = step = self._by_name[name]
        was_done = step.is_done
        self._update()
        yield
        step.is_done = True
        if not was_done:
            self._tell(step)
        self._update()

    def finished(self, name: str, seconds: float) -> None:
        """A training that ran elsewhere is done."""
        self._current = step = self._by_name[name]
        step.is_done, step.seconds, step.epochs_done = True, seconds, step.epochs
        self._tell(step)
        self._update()

    def _tell(self, step: Step) -> None:
        done = sum(s.is_done for s in self.steps)
        text = f"{step.name}: {step.seconds:.0f} s ({done} of {len(self.steps)} trainings{self._left(', ')})"
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def failed(self, name: str, reason: str) -> None:
        """Say why a run failed; nothing more is expected of it."""
        self._by_name[name].is_done = True
        self.console.print(f"[red]failed:[/] {escape(f'{name}: {reason}')}", highlight=False, soft_wrap=True)

    def shown(self, console: Console, title: str, epochs: int) -> Screen:
        """What shows a training: nothing of its own, but the study's bar moves."""
        del console
        return _Quiet(self, title, epochs)

    def epoch(self, seconds: float, earlier: int, epochs: int) -> None:
        """An epoch of the training now is done: the `epochs`-th, after `earlier` ones of the step, `seconds` in all."""
        assert self._current is not None
        self._current.epochs_done, self._current.seconds = earlier + epochs, seconds
        self._update()

    @property
    def current(self) -> Step:
        """The step that is trained now."""
        assert self._current is not None
        return self._current

    def _update(self) -> None:
        name = self._current.name if self._current else "study"
        done = sum(s.epochs if s.is_done else s.epochs_done for s in self.steps)
        self._bar.update(self._task, description=escape(name), completed=done, left=self._left(""))

    def _left(self, comma: str) -> str:
        seconds = seconds_left(self.steps)
        return "" if not seconds else f"{comma}{duration(seconds)} left"


class _Quiet(Screen):
    """A training of a study's step; a committee's step has several, one after another."""

    def __init__(self, progress: StudyProgress, title: str, epochs: int) -> None:
        super().__init__(screen.console(quiet=True), title, epochs)
        self._progress = progress
        step = progress.current
        self._earlier, self._seconds = step.epochs_done, step.seconds

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        """No bar of its own."""

    def step(self, *_: Any) -> None:
        """Nothing: epochs are shown."""

    def epoch(self, history: list[Row]) -> None:
        """Move the study's bar."""
        self._progress.epoch(self._seconds + history[-1]["seconds"], self._earlier, len(history))


def duration(seconds: float) -> str:
    """42 s, 12 min, 3 h 20 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
