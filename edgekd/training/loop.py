"""The one training loop: teachers, students and controls all pass through `Trainer.fit`, stage after stage.

Everything random in an epoch follows from (seed, epoch), so a run that was killed and resumed ends with the same bits as
one that was not.
"""

from __future__ import annotations

import dataclasses
import math
import time
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
from edgekd.networks.precision import autocast, autocast_dtype
from edgekd.networks.prediction import predict
from edgekd.recipe import StageRecipe
from edgekd.training import checkpoint
from edgekd.training.distributed import Processes
from edgekd.training.ema import Ema
from edgekd.training.fine_tuning import stages_of
from edgekd.training.freezing import Freezing
from edgekd.training.means import Means
from edgekd.training.memory import keep_freed_memory
from edgekd.training.objective import Objective, penalty, weighted_sum
from edgekd.training.optimizer import Parts, make_optimizer
from edgekd.training.sampling import Sampler, derived_seed
from edgekd.training.schedule import Schedule
from edgekd.training.taught import Taught

BEST = "best.safetensors"  # the best weights of all epochs
VERSION = 2  # to be raised when the same settings train another network: a state of another version is not continued
Row = dict[str, float]


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

    epochs_done: int = 0  # of all stages, as every other epoch here
    best: float = math.inf  # of the present stage
    best_epoch: int = 0
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)
    stage: int = 0  # the present one, counted from 0
    stage_begin: int = 0  # epochs done before it
    best_before: float = math.inf  # of the stages before it

    def next_stage(self) -> None:
        """Enter the stage after the present one."""
        self.stage, self.stage_begin, self.best_epoch = self.stage + 1, self.epochs_done, self.epochs_done
        self.best_before, self.best = min(self.best_before, self.best), math.inf


class Trainer:
    """Trains one network; its state after every epoch lies in `folder`.

    A stage begins from the best weights of the one before, with moments, schedule and average of its own. Between two stages
    nothing is written: what the next one begins from follows from the state after the last epoch and those weights.
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
        drawing = {name: getattr(settings, name, None) for name in ("images_per_class", "view_epochs")}
        self.sampler = Sampler(task.train_rows, task.labels, seed=task.seed, **drawing)
        self.steps = self.sampler.count // settings.batch_size
        if not self.steps:
            found = f"{settings.batch_size} for {self.sampler.count} training images"
            raise EdgekdError("training.batch_size", "at most the number of training images", found, "lower it")
        self.taught = Taught(network, objective.losses)
        self.taught.to(processes.device, memory_format=torch.channels_last)  # type: ignore[call-overload] # torch's types lack it
        self.parts = (parts or {"all": (list(network.parameters()), 1.0)}) | {
            "losses": (list(objective.losses.parameters()), 1.0)
        }
        self.before_epoch = before_epoch
        self.precision = autocast_dtype(settings.precision, processes.device)
        self.freezing, self.stages = Freezing(network), stages_of(settings)
        self.progress = TrainingProgress()
        self._prepare_stage()

    def fit(self, watcher: Watcher) -> TrainingProgress:
        """Train to the end, or from where `folder` stands, and leave the best weights in the network (in eval mode).

        Raises: EdgekdError for a foreign state or a loss that is no longer finite.
        """
        if (self.folder / checkpoint.LAST).exists():
            self._resume()
        self._fit_stage(watcher)
        while self.progress.stage + 1 < len(self.stages):
            self._enter_next_stage()
            self._fit_stage(watcher)
        self._load(BEST)
        self.network.eval()
        return self.progress

    @property
    def _is_staged(self) -> bool:
        return len(self.stages) > 1

    def _fit_stage(self, watcher: Watcher) -> None:
        """Train to the end of the present stage, or from where it stands."""
        trained = self.processes.wrap(self.taught)  # after it is settled which parameters learn
        while not self._is_stage_over():
            begin = time.perf_counter()
            if self.before_epoch:
                self.before_epoch(self)
            row = self._train_epoch(trained, watcher)
            row |= self._validate()
            self._finish_epoch(row, time.perf_counter() - begin, watcher)

    def _enter_next_stage(self) -> None:
        self._load(best_of(self.progress.stage))
        self.progress.next_stage()
        self._prepare_stage()

    def _prepare_stage(self) -> None:
        """What learns in the present stage, with moments, schedule and average that begin anew."""
        stage = self.stages[self.progress.stage]
        self.freezing.only(stage.learning(self.network))
        self.optimizer = make_optimizer(stage.settings, self.parts)
        self.schedule = Schedule(stage.settings, self.steps)
        self.ema = Ema(self.network, stage.settings.ema_decay) if stage.settings.ema_decay else None

    def _load(self, name: str) -> None:
        self.network.load_state_dict(safetensors.torch.load_file(self.folder / name))

    @property
    def shipped(self) -> nn.Module:
        """The network that is validated and kept: the averaged one where averaging is on."""
        return self.ema.network if self.ema else self.network

    def _train_epoch(self, trained: nn.Module, watcher: Watcher) -> Row:
        epoch, size = self.progress.epochs_done, self.settings.batch_size
        torch.manual_seed(derived_seed(self.task.seed, "dropout", epoch, self.processes.rank))
        trained.train()
        self.freezing.hold()
        drawn, share = self.sampler.draws(epoch), self.processes.share(size)
        means = Means()
        begin = time.perf_counter()
        for step in range(self.steps):
            shown = drawn.part(step * size, (step + 1) * size, share)
            views = self.task.augmenter.views(shown.epochs, shown.rows, self.processes.device)
            rate = self._set_learning_rate((epoch - self.progress.stage_begin) * self.steps + step)
            values = self._step(trained, Batch(shown.epochs, shown.rows, views.pixels, views.targets))
            if not math.isfinite(values["train_loss"]):
                todo = "lower training.learning_rate, or set training.precision to fp32"
                raise EdgekdError(f"epoch {epoch + 1}, step {step + 1}", "a finite loss", str(values), todo)
            means.add(values)
            speed = (step + 1) * size / (time.perf_counter() - begin)
            if self.processes.is_first:
                watcher.step(epoch, step, self.steps, means.row | {"images_per_s": speed})
        stage = {"stage": self.progress.stage + 1} if self._is_staged else {}
        return {"epoch": epoch + 1} | stage | {"learning_rate": rate} | means.row | {"images_per_s": speed}

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
            # The best weights go first: a kill between the files repeats the epoch and writes the same best again.
            if is_best:
                names = [best_of(p.stage)] if self._is_staged else []
                self._write_best(names + [BEST] * (score < p.best_before))
            checkpoint.save(self.folder / checkpoint.LAST, self._modules(), self.optimizer, self._state())
            watcher.epoch(p.history)
        self.processes.barrier()

    def _write_best(self, names: list[str]) -> None:
        content = safetensors.torch.save({name: t.contiguous() for name, t in self.shipped.state_dict().items()})
        for name in names:
            write_atomic(self.folder / name, content)

    def _is_stage_over(self) -> bool:
        p, settings = self.progress, self.stages[self.progress.stage].settings
        patience = settings.early_stopping_patience
        stopped_early = bool(patience) and p.epochs_done - p.best_epoch >= patience
        return stopped_early or p.epochs_done - p.stage_begin >= settings.epochs

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
        state = checkpoint.read_state(path)
        if state["identity"] != self.identity:
            todo = "resume with the recipe and data of that run, or start anew with --overwrite"
            raise EdgekdError(f"checkpoint {path}", "the state of this recipe on these images", "another one's", todo)
        self.progress = TrainingProgress(**state["progress"])
        self._prepare_stage()
        checkpoint.restore(path, self._modules(), self.optimizer)
        self.schedule.restore(state["schedule"])
        if self.ema:
            self.ema.updates = state["ema_updates"]


def best_of(stage: int) -> str:
    """The file of the best weights of a stage, which is counted from 0 here and from 1 in its name."""
    return f"stage{stage + 1}_{BEST}"
