"""The store of teacher outputs: what a teacher says of a view is computed once and read ever after.

An augmented view is a pure function of (seed, epoch, image), so one memory-mapped file per quantity and epoch holds everything
that a teacher ever says about that epoch. A second student, a re-run, a later stage or another fold reads it, and the teacher
runs for what nobody asked of it before, if anything.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

VERSION = 2  # to be raised when the same facts lead to other outputs, or the files are laid out otherwise
LOGITS = "logits"


def store_key(**facts: Any) -> str:
    """The store's name: equal only if everything that decides the outputs is equal (JSON-able facts)."""
    text = json.dumps(facts | {"version": VERSION}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


class TeacherStore:
    """Quantities per epoch in `folder`, a line for each image of a set; NaN marks what was not computed yet.

    Logits are kept in float32, all else in float16. `ids` [N] name the images of the set's rows (`Pixels.ids`). Lines are in
    the order of the ids, so that the same images in another order or split are the same lines; copies of one picture, whose
    views are the same, share one.
    """

    def __init__(self, folder: Path, ids: np.ndarray) -> None:
        lines, self._line_of = np.unique(ids, return_inverse=True)
        self.folder, self.count = folder, len(lines)
        self._epoch, self._lines = -1, dict[str, np.ndarray]()

    def read(self, quantity: str, epoch: int | np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        """Lines [B, …] float32 of `rows`, NaN where they are not there; None if there are none of this epoch at all.

        The rows may be of several epochs [B], here and in `write`.
        """
        if isinstance(epoch, np.ndarray):
            return self._read_several(quantity, epoch, rows)
        lines = self._open(quantity, epoch)
        return None if lines is None else np.asarray(lines[self._line_of[rows]], np.float32)

    def write(self, quantity: str, epoch: int | np.ndarray, rows: np.ndarray, values: np.ndarray) -> None:
        """Keep `values` [B, …] of `rows`."""
        if isinstance(epoch, np.ndarray):
            for one in np.unique(epoch):
                self.write(quantity, int(one), rows[epoch == one], values[epoch == one])
            return
        if self._open(quantity, epoch) is None:
            self._create(self._path(quantity, epoch), values)
        lines = self._open(quantity, epoch)
        assert lines is not None
        lines[self._line_of[rows]] = values

    def _read_several(self, quantity: str, epochs: np.ndarray, rows: np.ndarray) -> np.ndarray | None:
        found = {one: self.read(quantity, int(one), rows[epochs == one]) for one in np.unique(epochs)}
        known = [lines for lines in found.values() if lines is not None]
        if not known:
            return None
        whole = np.full((len(rows), *known[0].shape[1:]), np.nan, np.float32)
        for one, lines in found.items():
            if lines is not None:
                whole[epochs == one] = lines
        return whole

    def _path(self, quantity: str, epoch: int) -> Path:
        return self.folder / quantity / f"epoch_{epoch:04d}.npy"

    def _open(self, quantity: str, epoch: int) -> np.ndarray | None:
        if epoch != self._epoch:
            self._epoch, self._lines = epoch, {}
        path = self._path(quantity, epoch)
        if quantity not in self._lines and path.exists():
            self._lines[quantity] = np.lib.format.open_memmap(path, mode="r+")
        return self._lines.get(quantity)

    def _create(self, path: Path, values: np.ndarray) -> None:
        """An empty epoch under its name at once; of two processes that create it, both end with the same file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = np.float32 if path.parent.name == LOGITS else np.float16
        temporary = path.with_name(f"{path.stem}.{os.getpid()}.tmp")
        with temporary.open("wb") as file:
            np.save(file, np.full((self.count, *values.shape[1:]), np.nan, kind))
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
        temporary.unlink()
