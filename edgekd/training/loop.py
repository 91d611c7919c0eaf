"""The one training loop: teachers, students and controls all pass through `Trainer.fit`.

Everything random in an epoch follows from (seed, epoch), so a run that was killed and resumed ends with the same bits as
one that was not.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from edgekd.data.augment import Augmenter
from edgekd.distillation.batch import Batch
from edgekd.distillation.loss import Values
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.calibration import nll, softmax
from edgekd.networks import PixelNetwork
from edgekd.networks.prediction import predict
from edgekd.recipe import StageRecipe
from edgekd.training import checkpoint
from edgekd.training.distributed import Processes
from edgekd.training.ema import Ema
from edgekd.training.memory import keep_freed_memory
from edgekd.training.objective import Objective, Term, penalty
from edgekd.training.precision import autocast, autocast_dtype
from edgekd.training.schedule import Schedule
from edgekd.training.taught import Taught

VERSION = 2  # to be raised when the same settings train another network: a state of another version is not continued
Row = dict[str, float]
Parts = dict[str, tuple[list[nn.Parameter], float]]  # name -> parameters, factor of the learning rate


class Watcher(Protocol):
    """Who is told of the progress: the screen, the log."""

    def step(self, epoch: int, step: int, steps: int, row: Row) -> None:
        """One step is done; `row` holds the epoch's running means."""

    def epoch(self, history: list[Row]) -> None:
        """One epoch is done and safely on disk; its row is the last of `history`."""


@dataclass(frozen=True)
class Task:
    """What is trained on what: images [N, S, S, 3] uint8 and labels [N], the rows of train and val, views, the seed."""

    array: np.ndarray
    labels: np.ndarray
    train_rows: np.ndarray
    val_rows: np.ndarray
    augmenter: Augmenter
    seed: int


@dataclass
class TrainingProgress:
    """How far a training has come; a checkpoint keeps it beside the tensors."""

    epochs_done: int = 0
    best: float = math.inf
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)


class Means:
    """Running means of named values over steps; NaN, as an accuracy where no image has a label, does not count."""

    def __init__(self) -> None:
        self.row: Row = {}
        self._counts: Counter[str] = Counter()

    def add(self, values: Row) -> None:
        """Take in one step."""
        for name, value in values.items():
            mean = self.row.setdefault(name, 0.0)
            if not math.isnan(value):
                self._counts[name] += 1
                self.row[name] = mean + (value - mean) / self._counts[name]


class Trainer:
    """Trains one network; its state after every epoch lies in `folder`.

    `identity` names everything that decides the result: a state of another identity is refused. `parts` are those of
    `make_optimizer`, by default one; `before_epoch` may change the trainer, as a function of its state after the epoch
    before alone.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        task: Task,
        settings: StageRecipe,
        processes: Processes,
        folder: Path,
        identity: str,
        parts: Parts | None = None,
        before_epoch: Callable[[Trainer], None] | None = None,
    ) -> None:
        keep_freed_memory()
        self.network, self.objective, self.task, self.settings = network, objective, task, settings
        self.processes, self.folder, self.identity = processes, folder, identity
        self.steps = len(task.train_rows) // settings.batch_size
        if not self.steps:
            found = f"{settings.batch_size} for {len(task.train_rows)} training images"
            raise EdgekdError("training.batch_size", "at most the number of training images", found, "lower it")
        self.taught = Taught(network, objective.losses)
        self.taught.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it
        self.ema = Ema(network, settings.ema_decay) if settings.ema_decay else None
        parts = parts or {"all": (list(network.parameters()), 1.0)}
        self.optimizer = make_optimizer(settings, parts | {"losses": (list(objective.losses.parameters()), 1.0)})
        self.before_epoch = before_epoch
        self.schedule = Schedule(settings, self.steps)
        self.precision = autocast_dtype(settings.precision, processes.device)
        self.progress = TrainingProgress()

    def fit(self, watcher: Watcher) -> TrainingProgress:
        """Train to the end, or from where `folder` stands, and leave the best weights in the network (in eval mode).

        Raises: EdgekdError for a foreign state or a loss that is no longer finite.
        """
        if (self.folder / checkpoint.LAST).exists():
            self._resume()
        trained = self.processes.wrap(self.taught)
        while self.progress.epochs_done < self.settings.epochs and not self._stopped_early():
            begin = time.perf_counter()
            if self.before_epoch:
                self.before_epoch(self)
            row = self._train_epoch(trained, watcher)
            row |= self._validate()
            self._finish_epoch(row, time.perf_counter() - begin, watcher)
        self.network.load_state_dict(safetensors.torch.load_file(self.folder / "best.safetensors"))
        self.network.eval()
        return self.progress

    @property
    def shipped(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where averaging is on."""
        return self.ema.network if self.ema else self.network

    def _train_epoch(self, trained: nn.Module, watcher: Watcher) -> Row:
        epoch, size = self.progress.epochs_done, self.settings.batch_size
        torch.manual_seed(derived_seed(self.task.seed, "dropout", epoch, self.processes.rank))
        trained.train()
        order = epoch_order(self.task.train_rows, self.task.seed, epoch)
        means = Means()
        begin = time.perf_counter()
        for step in range(self.steps):
            rows = order[step * size : (step + 1) * size][self.processes.share(size)]
            views = self.task.augmenter.views(epoch, rows, self.processes.device)
            rate = self._set_learning_rate(epoch * self.steps + step)
            values = self._step(trained, Batch(epoch, rows, views.pixels, views.targets))
            if not math.isfinite(values["train_loss"]):
                todo = "lower training.learning_rate, or set training.precision to fp32"
                raise EdgekdError(f"epoch {epoch + 1}, step {step + 1}", "a finite loss", str(values), todo)
            means.add(values)
            speed = (step + 1) * size / (time.perf_counter() - begin)
            if self.processes.is_first:
                watcher.step(epoch, step, self.steps, means.row | {"images_per_s": speed})
        return {"epoch": epoch + 1, "learning_rate": rate} | means.row | {"images_per_s": speed}

    def _step(self, trained: nn.Module, batch: Batch) -> Row:
        def student(views: Tensor, targets: Tensor) -> tuple[Tensor, dict[str, Values]]:
            with autocast(self.processes.device, self.precision):
                return trained(views, targets)

        logits, terms = self.objective(student, batch)
        terms = [*terms, *penalty(self.network, self.processes)]
        total = weighted_sum(terms)
        self.optimizer.zero_grad(set_to_none=True)
        (total * self.processes.gradient_scale()).backward()
        if self.settings.gradient_clip:
            nn.utils.clip_grad_norm_(self.taught.parameters(), self.settings.gradient_clip)
        self.optimizer.step()
        if self.ema:
            self.ema.update(self.network)
        labelled = batch.targets.sum(1) > 0
        right = (logits.argmax(1) == batch.targets.argmax(1))[labelled].float().mean()  # NaN of a batch without a label
        values = {"train_loss": total, "train_accuracy": self.processes.mean(right)} | {
            f"loss_{t.name}": t.value for t in terms
        }
        return {name: float(value.detach()) for name, value in values.items()}

    def _set_learning_rate(self, step: int) -> float:
        rate = self.schedule.learning_rate(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        return rate

    def _validate(self) -> Row:
        # Every process validates everything: the result, and so every later decision, is the same without messages.
        logits = predict(self.shipped, self.task.array, self.task.val_rows, self.processes.device)
        labels = self.task.labels[self.task.val_rows]
        accuracy = float((logits.argmax(1) == labels).mean())
        return {"val_nll": nll(softmax(logits), labels), "val_accuracy": accuracy}

    def _finish_epoch(self, row: Row, seconds: float, watcher: Watcher) -> None:
        p = self.progress
        self.schedule.after_epoch(row["val_nll"])
        p.epochs_done += 1
        p.seconds += seconds
        p.history.append(row | {"seconds": p.seconds})
        score = {"nll": row["val_nll"], "accuracy": -row["val_accuracy"], "last": -p.epochs_done}[self.settings.best_by]
        is_best = score < p.best
        if is_best:
            p.best, p.best_epoch = score, p.epochs_done
        if self.processes.is_first:
            # The best weights go first: a kill between the two files repeats the epoch and writes the same best again.
            if is_best:
                tensors = {name: t.contiguous() for name, t in self.shipped.state_dict().items()}
                write_atomic(self.folder / "best.safetensors", safetensors.torch.save(tensors))
            checkpoint.save(self.folder / checkpoint.LAST, self._modules(), self.optimizer, self._state())
            watcher.epoch(p.history)
        self.processes.barrier()

    def _stopped_early(self) -> bool:
        patience = self.settings.early_stopping_patience
        return bool(patience) and self.progress.epochs_done - self.progress.best_epoch >= patience

    def _modules(self) -> dict[str, nn.Module]:
        found: dict[str, nn.Module] = {"network": self.network, "losses": self.objective.losses}
        return found | ({"ema": self.ema.network} if self.ema else {})

    def _state(self) -> dict[str, object]:
        return {
            "identity": self.identity,
            "progress": dataclasses.asdict(self.progress),
            "schedule": self.schedule.state(),
            "ema_updates": self.ema.updates if self.ema else 0,
        }

    def _resume(self) -> None:
        path = self.folder / checkpoint.LAST
        state = checkpoint.restore(path, self._modules(), self.optimizer)
        if state["identity"] != self.identity:
            todo = "resume with the recipe and data of that run, or start anew with --overwrite"
            raise EdgekdError(f"checkpoint {path}", "the state of this recipe on these images", "another one's", todo)
        self.progress = TrainingProgress(**state["progress"])
        self.schedule.restore(state["schedule"])
        if self.ema:
            self.ema.updates = state["ema_updates"]


def weighted_sum(terms: list[Term]) -> Tensor:
    """Σ weight · value."""
    return torch.stack([t.weight * t.value for t in terms]).sum()


def derived_seed(*parts: object) -> int:
    """A seed that is a function of its parts and of nothing else, below 2^63."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """`rows` in the random order of `epoch`."""
    return np.random.default_rng(derived_seed(seed, "order", epoch)).permutation(rows)


def classifier_apart(network: PixelNetwork, head_factor: float) -> Parts:
    """The parameters in two parts: `head`, the classifier, with its own learning rate, and `body`, all others."""
    get_classifier = getattr(network.body, "get_classifier", None)
    classifier = get_classifier() if get_classifier else None
    head = list(classifier.parameters()) if isinstance(classifier, nn.Module) else []
    ids = {id(p) for p in head}
    body = [p for p in network.parameters() if id(p) not in ids]
    return {"body": (body, 1.0), "head": (head, head_factor)}


def make_optimizer(settings: StageRecipe, parts: Parts) -> torch.optim.Optimizer:
    """AdamW over named parts, each (parameters, factor of the learning rate); no decay on biases and normalization."""
    groups = []
    for part, (parameters, factor) in parts.items():
        learnt = [p for p in parameters if p.requires_grad]
        for decays in (True, False):
            members = [p for p in learnt if (p.ndim > 1) == decays]
            decay = settings.weight_decay if decays else 0.0
            groups.append({"params": members, "weight_decay": decay, "factor": factor, "part": part})
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=settings.learning_rate, foreach=True)
