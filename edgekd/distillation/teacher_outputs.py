"""What the objective asks a teacher for: from the store where it is kept, else from the teacher itself."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.distillation.batch import Batch, taught
from edgekd.distillation.loss import LOGITS, Loss, Values
from edgekd.distillation.store import TeacherStore
from edgekd.networks import taps
from edgekd.networks.precision import autocast
from edgekd.networks.taps import Outputs

Views = Callable[[int | np.ndarray, np.ndarray, torch.device], Tensor]


class TeacherOutputs:
    """A teacher's logits, and what feature losses take of it.

    `load` builds the teacher and is called only if something is missing; `calls` counts the batches it ran for. `views`
    gives the teacher its own views [B, 3, S, S] of rows in an epoch; by default it sees the student's. `labels` names the
    set's labels, which kept relevance depends on.
    """

    def __init__(
        self,
        load: Callable[[], nn.Module],
        store: TeacherStore | None,
        precision: torch.dtype | None,
        views: Views | None = None,
        labels: str = "",
    ) -> None:
        self._load, self.store, self.precision, self.views, self.labels = load, store, precision, views, labels
        self._teacher: nn.Module | None = None
        self.calls = 0

    def of(self, batch: Batch, losses: Mapping[str, Loss]) -> tuple[Tensor, dict[str, Values]]:
        """Logits [B, K] float32 for the views of a batch, and by name what each of `losses` takes; without gradient."""
        reading = {name: loss for name, loss in losses.items() if _reads(loss)}
        kept = {name: loss for name, loss in reading.items() if loss.kept and self.store is not None}
        quantities = {LOGITS: LOGITS} | {name: self._quantity(name, loss) for name, loss in kept.items()}
        stored = {name: self._read(batch, quantity) for name, quantity in quantities.items()}
        missing = np.any([_unknown(lines, len(batch.rows)) for lines in stored.values()], axis=0)
        if kept.keys() != reading.keys():
            missing[:] = True  # what is not kept is of all rows
        live = self._run(batch, missing, reading) if missing.any() else {}
        lines = {name: live.get(name, {}).get(kept[name].kept if name in kept else LOGITS) for name in quantities}
        merged = {name: self._merge(batch, missing, quantities[name], stored[name], lines[name]) for name in quantities}
        tensors = {name: torch.from_numpy(values).to(batch.pixels.device) for name, values in merged.items()}
        taken = {name: {kept[name].kept: tensors[name]} if name in kept else live[name] for name in reading}
        return tensors[LOGITS], taken

    def logits(self, batch: Batch) -> Tensor:
        """Logits [B, K] float32 for the views of a batch."""
        return self.of(batch, {})[0]

    def _read(self, batch: Batch, quantity: str) -> np.ndarray | None:
        return self.store.read(quantity, batch.epoch, batch.rows) if self.store else None

    def _merge(
        self, batch: Batch, asked: np.ndarray, quantity: str, stored: np.ndarray | None, said: Tensor | None
    ) -> np.ndarray:
        """What the store had, and where that was nothing what the teacher said of the rows `asked`; kept from now on."""
        unknown = _unknown(stored, len(batch.rows))
        if said is None or not unknown.any():
            assert stored is not None
            return stored
        new = said.float().cpu().numpy()
        if stored is None:
            stored = np.full((len(batch.rows), *new.shape[1:]), np.nan, np.float32)
        stored[unknown] = new[unknown[asked]]
        if self.store:
            self.store.write(quantity, batch.epoch_of(unknown), batch.rows[unknown], stored[unknown])
            read = self.store.read(quantity, batch.epoch, batch.rows)  # rounded as whoever comes later will find it
            assert read is not None
            return read
        return stored

    def _run(self, batch: Batch, rows: np.ndarray, reading: Mapping[str, Loss]) -> dict[str, Values]:
        """Ask the teacher about some rows of a batch."""
        device, wanted = batch.pixels.device, torch.from_numpy(rows)
        if self.views is None:
            pixels = batch.pixels if rows.all() else batch.pixels[wanted]
        else:
            pixels = self.views(batch.epoch_of(rows), batch.rows[rows], device)
        pixels = pixels.detach().contiguous(memory_format=torch.channels_last)
        teacher = self._network(device)
        names = tuple(dict.fromkeys(n for loss in reading.values() for n in loss.taps(loss.options).teacher))
        self.calls += 1
        differentiates = any(loss.needs_teacher_gradient for loss in reading.values())
        with torch.set_grad_enabled(differentiates):
            with autocast(device, self.precision):
                found = taps.outputs(teacher, pixels.requires_grad_(differentiates), names)
            features = {name: feature.float() for name, feature in found.features.items()}
            found = Outputs(found.logits.float(), features, teacher, pixels, found.features)
            targets = taught(batch.targets[wanted], found.logits)
            values = {name: loss.of_teacher(found, targets) for name, loss in reading.items()}
        live = {name: _said(reading[name], taken) for name, taken in values.items()}
        return live | {LOGITS: {LOGITS: found.logits.detach()}}

    def _network(self, device: torch.device) -> nn.Module:
        if self._teacher is None:
            # Building a network draws random weights; the student's dropout must not notice.
            with torch.random.fork_rng():
                teacher = self._load().eval().requires_grad_(False)
                teacher.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it
                self._teacher = teacher
        return self._teacher.to(device)

    def _quantity(self, name: str, loss: Loss) -> str:
        """The name under which the store keeps what a loss takes; a loss that is kept takes one tensor."""
        facts = [loss.options.model_dump(exclude={"weight"}), loss.VERSION, self.labels]
        return f"{name}-{hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]}"


def _unknown(lines: np.ndarray | None, rows: int) -> np.ndarray:
    """Which of `rows` rows [B] the store has nothing of."""
    return np.ones(rows, bool) if lines is None else np.isnan(lines).reshape(rows, -1).any(axis=1)


def _said(loss: Loss, taken: Values) -> Values:
    """What a loss took of the teacher, rounded as the store rounds it where that is kept: a store changes no result."""
    return {name: value.detach().half().float() if loss.kept else value.detach() for name, value in taken.items()}


def _reads(loss: Loss) -> bool:
    return type(loss).of_teacher is not Loss.of_teacher
