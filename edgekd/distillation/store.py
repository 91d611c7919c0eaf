"""The store of teacher outputs: a view's logits are computed once and read ever after.

An augmented view is a pure function of (seed, epoch, sample), so one memory-mapped file per epoch holds everything that a
teacher ever says about that epoch. A second student, a re-run or a later stage reads it and never runs the teacher.
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


def store_key(**facts: Any) -> str:
    """The store's name: equal only if everything that decides the outputs is equal (JSON-able facts)."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


class TeacherStore:
    """Logits [N, K] float32 per epoch in `folder`; NaN marks what was not computed yet, also after a kill."""

    def __init__(self, folder: Path, samples: int, classes: int) -> None:
        self.folder, self.shape = folder, (samples, classes)
        self._epoch, self._rows = -1, np.empty(0)

    def read(self, epoch: int, rows: np.ndarray) -> np.ndarray | None:
        """Logits [B, K] of `rows`, or None if any of them is not there."""
        found = self._open(epoch)[rows]
        return None if np.isnan(found).any() else found

    def write(self, epoch: int, rows: np.ndarray, logits: np.ndarray) -> None:
        """Keep logits [B, K] of `rows`."""
        self._open(epoch)[rows] = logits

    def _open(self, epoch: int) -> np.ndarray:
        if epoch != self._epoch:
            path = self.folder / f"epoch_{epoch:04d}.npy"
            if not path.exists():
                self._create(path)
            self._rows, self._epoch = np.lib.format.open_memmap(path, mode="r+"), epoch
        return self._rows

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
        found = self.store.read(epoch, rows) if self.store else None
        if found is not None:
            return torch.from_numpy(found).to(pixels.device)
        if self._teacher is None:
            with (
                torch.random.fork_rng()
            ):  # building a network draws random weights; the student's dropout must not notice
                self._teacher = self._load().eval().to(pixels.device, memory_format=torch.channels_last)
        self.calls += 1
        with torch.autocast(pixels.device.type, self.precision or torch.bfloat16, enabled=self.precision is not None):
            logits = self._teacher(pixels).float()
        if self.store:
            self.store.write(epoch, rows, logits.cpu().numpy())
        return logits
