"""The student of a run and its control, and how any network is trained and taught. Each stage ends in a bundle.

A finished stage is read back, an interrupted one continues: a run can be killed at any moment.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.bundle import Bundle, Role
from edgekd.data.augment import Augmenter
from edgekd.distillation import losses
from edgekd.distillation.committee import CommitteeOutputs
from edgekd.distillation.loss import Loss
from edgekd.distillation.store import TeacherStore, store_key
from edgekd.distillation.teacher_outputs import TeacherOutputs, Views
from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build, cost, from_bundle, taps
from edgekd.networks.committee import COMMITTEE, members_of
from edgekd.networks.precision import autocast_dtype
from edgekd.preprocess import InputContract
from edgekd.recipe import DistillationRecipe, InputRecipe, StageRecipe, TrainingRecipe, recorded
from edgekd.reports.progress import Screen
from edgekd.training import fine_tuning, finish, identity
from edgekd.training.log import Log
from edgekd.training.loop import Row, Trainer, TrainingProgress
from edgekd.training.objective import DistillationObjective, LabelObjective, Objective
from edgekd.training.optimizer import classifier_apart
from edgekd.training.run import Run, seen_as
from edgekd.training.sampling import derived_seed


def build_losses(
    settings: DistillationRecipe, student: nn.Module, teacher: Callable[[], PixelNetwork]
) -> nn.ModuleDict:
    """The losses of a recipe for the networks whose taps they read; `teacher` builds it and is called if one reads it.

    Raises: EdgekdError for an unknown loss or option, a tap that a network does not have, taps that cannot meet, or a network
    that a loss cannot go through.
    """
    named, teacher = losses.resolve(settings.losses), functools.cache(teacher)
    shapes = [
        _shapes(named, "student", lambda: student),
        _shapes(named, "teacher", teacher),
    ]
    modules = losses.build(named, *shapes)
    for loss in modules.children():
        assert isinstance(loss, Loss)
        loss.check(student, teacher)
    return modules


def _shapes(named: tuple[losses.Named, ...], side: str, load: Callable[[], Any]) -> taps.Shapes:
    wanted = [(loss, getattr(loss.taps, side)) for loss in named]
    if not any(asked for _, asked in wanted):
        return {}
    network, found = load(), dict[str, tuple[int, ...]]()
    for loss, asked in wanted:
        taps.require(network, asked, f"distillation.losses.{loss.name}: {side} tap", loss.kind.instead)
        found |= taps.shapes(network, network.size, asked) if asked else {}
    return found


def student(run: Run, teacher_bundle: Bundle | None, folder: Path) -> Bundle:
    """The recipe's student, taught by `teacher_bundle`; without one it is the control, which sees labels alone.

    Both start from the same weights and see the same views in the same order, so their difference is the teaching. Unlabelled
    images belong to the teaching: the control does not see them, and its epochs are shorter.
    """
    recipe, settings = run.recipe, run.recipe.student
    role: Role = "student" if teacher_bundle else "control"
    named = student_named(run, teacher_bundle)
    if run.processes.decide(finish.is_finished(folder, named)):
        return announce(run, finish.opened(run.processes, folder))
    torch.manual_seed(derived_seed(recipe.seed, "student"))
    network = build(settings, len(run.label_names), recipe.input.size)
    labels = LabelObjective(recipe.training, run.labels[run.labelled_rows], len(run.label_names), run.processes)
    objective: Objective = labels
    if teacher_bundle:
        objective = distilling(run, labels, network, teacher_bundle)
    announce_network(run, role, network, recipe.training.precision)
    progress = train_float(run, role, network, objective, recipe.training, folder / "training", named)
    return finish.to_bundle(run, role, settings, network, progress, folder, named, teacher_bundle)


def student_named(run: Run, teacher_bundle: Bundle | None) -> str:
    """The identity of the student that `student` makes."""
    recipe = run.recipe
    told = identity.of_distillation(recipe.distillation) if teacher_bundle else {}
    network, training = identity.of_network(recipe.student), recipe.training.model_dump(exclude_none=True)
    return identity.of_stage(run, {"network": network, "training": training, "distillation": told}, teacher_bundle)


def distilling(run: Run, labels: LabelObjective, network: nn.Module, teacher_bundle: Bundle) -> DistillationObjective:
    """What a network minimises that the recipe's teacher teaches."""
    torch.manual_seed(derived_seed(run.recipe.seed, "losses"))
    outputs = teacher_outputs(run, teacher_bundle)
    modules = build_losses(run.recipe.distillation, network, lambda: from_bundle(teacher_bundle))
    return DistillationObjective(labels, run.recipe.distillation, outputs, modules)


def teacher_outputs(run: Run, teacher: Bundle, precision: str | None = None) -> TeacherOutputs | CommitteeOutputs:
    """A teacher's outputs on the run's training views, from the store where they are kept already; each sees its own size.

    `precision` is by default what each of its networks was trained in, whatever the student is.
    """
    check_labels(teacher, run.label_names)
    m = teacher.manifest
    if m.network.network != COMMITTEE:
        (own,) = [precision] if precision else _precisions(run, teacher, 1)
        return outputs_of(run, lambda: from_bundle(teacher), identity.of_bundle(teacher), m.input, own)
    members = members_of(m.network.options)
    owns = [precision] * len(members) if precision else _precisions(run, teacher, len(members))

    def load(number: int) -> nn.Module:
        return from_bundle(teacher).body.members[number]  # type: ignore[index, return-value] # of a Committee

    outputs = [
        outputs_of(run, functools.partial(load, n), identity.of_member(member), member.input, own)
        for n, (member, own) in enumerate(zip(members, owns, strict=True))
    ]
    return CommitteeOutputs(outputs, [member.weight for member in members], run.recipe.distillation.kd_temperature)


def _precisions(run: Run, teacher: Bundle, count: int) -> list[str]:
    """What each of a teacher's `count` networks was trained in: by the recipe, or by that of a finished bundle."""
    settings = run.recipe.teacher
    if settings.bundle and settings.training.precision == "auto":
        settings = recorded(teacher.manifest.recipe, str(teacher.folder)).teacher
    found: list[str] = [network.training.precision for network in settings.sections.values()]
    own: str = settings.training.precision
    return found if len(found) == count else [own] * count


def outputs_of(
    run: Run,
    load: Callable[[], nn.Module],
    facts: Any,
    contract: InputContract | InputRecipe,
    precision: str | None = None,
) -> TeacherOutputs:
    """Outputs of any network on the run's training views, as its input contract wants them.

    `facts` (JSON-able) name the network, `load` builds it when it is needed.
    """
    recipe, device, mixup = run.recipe, run.processes.device, run.recipe.training.mixup_alpha
    wanted = InputRecipe.of(contract)
    own = None if wanted == recipe.input else _views(run, wanted, mixup)
    dtype = autocast_dtype(precision or recipe.teacher.training.precision, device)
    if not recipe.distillation.store:
        return TeacherOutputs(load, None, dtype, own)
    views = identity.of_views(run, seen_as(recipe, wanted), mixup)
    key = store_key(teacher=facts, views=views, precision=str(dtype), device=device.type)
    store = TeacherStore(Path(recipe.cache) / "teacher" / key, run.pixels.ids)
    return TeacherOutputs(load, store, dtype, own, run.labels_sha256)


def _views(run: Run, wanted: InputRecipe, mixup: float) -> Views:
    """The run's views as another input contract wants them; the pictures are decoded anew when the first is asked for."""

    @functools.cache
    def augmenter() -> Augmenter:
        return run.seen_as(wanted).task(mixup).augmenter

    return lambda epoch, rows, device: augmenter().views(epoch, rows, device).pixels


def check_labels(bundle: Bundle, label_names: tuple[str, ...]) -> None:
    """Refuse a bundle whose head has other classes, or the same in another order.

    Raises: EdgekdError.
    """
    found = bundle.manifest.label_names
    if found != label_names:
        todo = "use a bundle that was trained on these classes"
        raise EdgekdError(f"bundle {bundle.folder}", f"labels {list(label_names)}", f"labels {list(found)}", todo)


def train_float(
    run: Run, role: str, network: PixelNetwork, objective: Objective, settings: TrainingRecipe, state: Path, named: str
) -> TrainingProgress:
    """`train` on the stage's own views, the classifier at its own rate."""
    parts = classifier_apart(network, settings.head_learning_rate_factor)
    return train(run, role, network, objective, settings, state, named, settings.mixup_alpha, parts=parts)


def train(
    run: Run,
    role: str,
    network: nn.Module,
    objective: Objective,
    settings: StageRecipe,
    state: Path,
    named: str,
    mixup: float,
    **options: Any,
) -> TrainingProgress:
    """Train with bars and a log; the state lies in `state` under the identity `named`, `options` are the Trainer's."""
    state.mkdir(parents=True, exist_ok=True)
    task = run.task(mixup, with_unlabelled=not objective.needs_labels)
    trainer = Trainer(network, objective, task, settings, run.processes, state, named, **options)
    if not run.processes.is_first:
        return trainer.fit(_Silent())
    log = Log(state)
    with contextlib.closing(log), run.shown(run.console, role, fine_tuning.total_epochs(settings)) as screen:
        return trainer.fit(_Watchers(screen, log))


class _Silent:
    """The watcher of processes that neither print nor write."""

    def step(self, epoch: int, step: int, steps: int, row: Row) -> None:
        """Nothing."""

    def epoch(self, history: list[Row]) -> None:
        """Nothing."""


class _Watchers:
    """Tells the screen and the log."""

    def __init__(self, screen: Screen, log: Log) -> None:
        self.step, self._screen, self._log = screen.step, screen, log

    def epoch(self, history: list[Row]) -> None:
        """One epoch is done."""
        self._screen.epoch(history)
        self._log.epoch(history)


def announce_network(run: Run, role: str, network: PixelNetwork, precision: str = "auto") -> None:
    """Say what is trained, and where `precision` asks for what the device does not have."""
    if run.processes.is_first:
        lacking = precision == "bf16" and not autocast_dtype(precision, run.processes.device)
        said = " in float32 (nothing here computes bfloat16)" if lacking else ""
        count = cost.parameters(network)
        run.console.print(f"{role}: {type(network.body).__name__}, {count:,} parameters{said}", highlight=False)


def announce(run: Run, bundle: Bundle) -> Bundle:
    """Say that a stage is finished already; gives its bundle."""
    if run.processes.is_first:
        run.console.print(f"{bundle.manifest.role}: finished already, read from {bundle.folder}", highlight=False)
    return bundle
