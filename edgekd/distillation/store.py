"""The store of teacher outputs: a view's logits are computed once and read ever after.

An augmented view is a pure function of (seed, epoch, image), so one memory-mapped file per epoch holds everything that a
teacher ever says about that epoch. A second student, a re-run, a later stage or another fold reads it, and the teacher runs
for what nobody asked of it before, if anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

VERSION = 1  # to be raised when the same facts lead to other outputs, or the files are laid out otherwise


def store_key(**facts: Any) -> str:
    """The store's name: equal only if everything that decides the outputs is equal (JSON-able facts)."""
    text = json.dumps(facts | {"version": VERSION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class TeacherStore:
    """Logits per epoch in `folder`, a line [K] float32 for each image of a set; NaN marks what was not computed yet.

    `ids` [N] name the images of the set's rows (`Pixels.ids`). Lines are in the order of the ids, so that the same images
    in another order or split are the same lines; copies of one picture, whose views are the same, share one.
    """

    def __init__(self, folder: Path, ids: np.ndarray, classes: int) -> None:
        lines, self._line_of = np.unique(ids, return_inverse=True)
        self.folder, self.shape = folder, (len(lines), classes)
        self._epoch, self._lines = -1, np.empty(0)

    def read(self, epoch: int, rows: np.ndarray) -> np.ndarray:
        """Logits [B, K] of `rows`; NaN where they are not there."""
        return self._open(epoch)[self._line_of[rows]]

    def write(self, epoch: int, rows: np.ndarray, logits: np.ndarray) -> None:
        """Keep logits [B, K] of `rows`."""
        self._open(epoch)[self._line_of[rows]] = logits

    def _open(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            path = self.folder / f"epoch_{epoch:04d}.npy"
            if not path.exists():
                self._create(path)
            self._lines, self._epoch = np.lib.format.open_memmap(path, mode="r+"), epoch
        return self._lines

    def _create(self, path: Path) -> None:
        """An empty epoch under its name at once; of two processes that create it, both end with the same file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.save(file, np.full(self.shape, np.nan, np.float32))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()


class TeacherOutputs:
    """What the objective asks for a teacher's logits: from the store where they are, else from the teacher itself.

    `load` builds the teacher and is called only if some output is missing; `calls` counts the batches it ran for.
    """

    def __init__(
        self, load: Callable[[], nn.Module], store: TeacherStore | None, precision: torch.dtype | None
    ) -> None:
        self._load, self.store, self.precision = load, store, precision
        self._teacher: nn.Module | None = None
        self.calls = 0

    @torch.no_grad()
    def logits(self, epoch: int, rows: np.ndarray, pixels: Tensor) -> Tensor:
        """Teacher logits [B, K] float32 for the views `pixels` of `rows` in `epoch`."""
        if self.store is None:
            return self._ask(pixels)
        found = self.store.read(epoch, rows)
        missing = np.isnan(found).any(axis=1)
        if missing.any():
            asked = pixels[torch.from_numpy(missing)].contiguous(memory_format=torch.channels_last)
            found[missing] = self._ask(asked).cpu().numpy()
            self.store.write(epoch, rows[missing], found[missing])
        return torch.from_numpy(found).to(pixels.device)

    def _ask(self, pixels: Tensor) -> Tensor:
        if self._teacher is None:
            # Building a network draws random weights; the student's dropout must not notice.
            with torch.random.fork_rng():
                teacher = self._load().eval()
                teacher.to(pixels.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it
                self._teacher = teacher
        self.calls += 1
        with torch.autocast(pixels.device.type, self.precision or torch.bfloat16, enabled=self.precision is not None):
            return self._teacher(pixels).float()
