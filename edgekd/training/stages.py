"""The stages of a run: teacher, student, control. Each ends in a bundle.

A finished stage is read back, an interrupted one continues: a run can be killed at any moment.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.bundle import Bundle, Role
from edgekd.distillation import losses
from edgekd.distillation.store import TeacherStore, store_key
from edgekd.distillation.teacher_outputs import TeacherOutputs
from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, build, check_network, cost, from_bundle, taps
from edgekd.networks.weights import load_weights
from edgekd.recipe import DistillationRecipe, Network, Recipe, StageRecipe, TeacherRecipe, TrainingRecipe
from edgekd.reports.progress import Screen
from edgekd.training import finish, identity
from edgekd.training.log import Log
from edgekd.training.loop import Row, Trainer, TrainingProgress, classifier_apart, derived_seed
from edgekd.training.objective import DistillationObjective, LabelObjective, Objective
from edgekd.training.precision import autocast_dtype
from edgekd.training.run import Run


def check(recipe: Recipe) -> None:
    """Find the mistakes of a recipe that would else show after hours: names, options, losses, files, the bundle.

    Raises: EdgekdError.
    """
    check_teacher(recipe)
    check_network(recipe.student, recipe.input.size)
    check_losses(recipe)


def check_losses(recipe: Recipe) -> None:
    """Find out whether the losses, their options and the taps of student and teacher fit together.

    Raises: EdgekdError.
    """
    made, size = recipe.teacher, recipe.input.size
    student = build(_random(recipe.student), 2, size)
    build_losses(
        recipe.distillation,
        student,
        lambda: from_bundle(open_teacher(made)) if made.bundle else build(_random(made), 2, size),
    )


def _random(settings: Network) -> Network:
    return settings.model_copy(update={"weights": "", "pretrained": False})


def build_losses(
    settings: DistillationRecipe, student: nn.Module, teacher: Callable[[], PixelNetwork]
) -> nn.ModuleDict:
    """The losses of a recipe for the networks whose taps they read; `teacher` builds it and is called if one reads its taps.

    Raises: EdgekdError for an unknown loss or option, a tap that a network does not have, or taps that cannot meet.
    """
    named = losses.resolve(settings.losses)
    shapes = [
        _shapes(named, "student", lambda: student),
        _shapes(named, "teacher", teacher),
    ]
    return losses.build(named, *shapes)


def _shapes(named: tuple[losses.Named, ...], side: str, load: Callable[[], Any]) -> taps.Shapes:
    wanted = {loss.name: getattr(loss.taps, side) for loss in named}
    if not any(wanted.values()):
        return {}
    network, found = load(), dict[str, tuple[int, ...]]()
    for name, asked in wanted.items():
        taps.require(network, asked, f"distillation.losses.{name}: {side} tap")
        found |= taps.shapes(network, network.size, asked) if asked else {}
    return found


def check_teacher(recipe: Recipe) -> None:
    """As `check`, for what the teacher alone needs.

    Raises: EdgekdError.
    """
    if recipe.teacher.bundle:
        open_teacher(recipe.teacher)
    else:
        check_network(recipe.teacher, recipe.input.size)
    if recipe.teacher.checkpoint and not Path(recipe.teacher.checkpoint).is_file():
        raise EdgekdError(f"teacher.checkpoint {recipe.teacher.checkpoint}", "a file", "no such file")


def open_teacher(settings: TeacherRecipe) -> Bundle:
    """The teacher bundle that a recipe names.

    Raises: EdgekdError that tells the command which makes it.
    """
    made_by = settings.bundle_from or f"python -m edgekd.train --recipe FILE --out {Path(settings.bundle).parent}"
    return Bundle.open(settings.bundle, made_by)


def check_batches(run: Run, control: bool = False) -> None:
    """Find out before hours of training, not after them, whether a stage, or a `control`, has too few images for one batch.

    Raises: EdgekdError.
    """
    recipe, labelled, all_images = run.recipe, len(run.labelled_rows), len(run.rows("train"))
    sections: dict[str, tuple[StageRecipe, int]] = {"training": (recipe.training, labelled if control else all_images)}
    if not (recipe.teacher.bundle or recipe.teacher.checkpoint):
        sections["teacher.training"] = recipe.teacher.training, labelled
    if recipe.qat.enabled:
        sections["qat.training"] = recipe.qat.training, all_images
    for section, (settings, images) in sections.items():
        if settings.batch_size > images:
            found = f"{settings.batch_size} for {images} {'labelled ' if images < all_images else ''}training images"
            todo = f"for example --set {section}.batch_size={max(images // 4, 2)}"
            raise EdgekdError(f"{section}.batch_size", "at most the number of training images", found, todo)


def teacher(run: Run, folder: Path) -> Bundle:
    """The recipe's teacher: read from its bundle, made from its checkpoint, or trained with labels into `folder`."""
    settings = run.recipe.teacher
    if settings.bundle:
        found = open_teacher(settings)
        check_labels(found, run.label_names)
        return found
    named = identity.of_stage(run, identity.of_network(settings), None)
    if run.processes.decide(finish.is_finished(folder, named)):
        return _announce(run, finish.opened(run.processes, folder))
    torch.manual_seed(derived_seed(run.recipe.seed, "teacher"))
    network = build(settings, len(run.label_names), run.recipe.input.size)
    progress = TrainingProgress()
    if settings.checkpoint:
        load_weights(network.body, settings.checkpoint)
    else:
        objective = LabelObjective(
            settings.training, run.labels[run.labelled_rows], len(run.label_names), run.processes
        )
        _announce_network(run, "teacher", network)
        progress = train_float(run, "teacher", network, objective, settings.training, folder / "training", named)
    return finish.to_bundle(run, "teacher", settings, network, progress, folder, named)


def student(run: Run, teacher_bundle: Bundle | None, folder: Path) -> Bundle:
    """The recipe's student, taught by `teacher_bundle`; without one it is the control, which sees labels alone.

    Both start from the same weights and see the same views in the same order, so their difference is the teaching. Unlabelled
    images belong to the teaching: the control does not see them, and its epochs are shorter.
    """
    recipe, settings = run.recipe, run.recipe.student
    role: Role = "student" if teacher_bundle else "control"
    told = recipe.distillation.model_dump(exclude={"store"}) if teacher_bundle else {}
    network_facts = identity.of_network(settings)
    facts = {"network": network_facts, "training": recipe.training.model_dump(), "distillation": told}
    named = identity.of_stage(run, facts, teacher_bundle)
    if run.processes.decide(finish.is_finished(folder, named)):
        return _announce(run, finish.opened(run.processes, folder))
    torch.manual_seed(derived_seed(recipe.seed, "student"))
    network = build(settings, len(run.label_names), recipe.input.size)
    labels = LabelObjective(recipe.training, run.labels[run.labelled_rows], len(run.label_names), run.processes)
    objective: Objective = labels
    if teacher_bundle:
        objective = distilling(run, labels, network, teacher_bundle)
    _announce_network(run, role, network)
    progress = train_float(run, role, network, objective, recipe.training, folder / "training", named)
    return finish.to_bundle(run, role, settings, network, progress, folder, named, teacher_bundle)


def distilling(run: Run, labels: LabelObjective, network: nn.Module, teacher_bundle: Bundle) -> DistillationObjective:
    """What a network minimises that the recipe's teacher teaches."""
    torch.manual_seed(derived_seed(run.recipe.seed, "losses"))
    outputs = teacher_outputs(run, teacher_bundle)
    modules = build_losses(run.recipe.distillation, network, lambda: from_bundle(teacher_bundle))
    return DistillationObjective(labels, run.recipe.distillation, outputs, modules)


def teacher_outputs(run: Run, teacher_bundle: Bundle, precision: str | None = None) -> TeacherOutputs:
    """The teacher's outputs on the run's training views, from the store where they are kept already.

    `precision` is by default the teacher's own, whatever the student's is.
    """
    check_labels(teacher_bundle, run.label_names)
    facts, store = identity.of_bundle(teacher_bundle), run.recipe.distillation.store
    return outputs_of(run, lambda: from_bundle(teacher_bundle), facts, store, precision)


def outputs_of(
    run: Run, load: Callable[[], PixelNetwork], facts: Any, store: bool, precision: str | None = None
) -> TeacherOutputs:
    """Outputs of any network on the run's training views; `facts` (JSON-able) name it, `load` builds it when needed."""
    recipe, device = run.recipe, run.processes.device
    dtype = autocast_dtype(precision or recipe.teacher.training.precision, device)
    if not store:
        return TeacherOutputs(load, None, dtype)
    views = identity.of_views(run, recipe.training.mixup_alpha)
    key = store_key(teacher=facts, views=views, precision=str(dtype), device=device.type)
    folder = Path(recipe.cache) / "teacher" / key
    return TeacherOutputs(load, TeacherStore(folder, run.pixels.ids), dtype, labels=run.labels_sha256)


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
    with contextlib.closing(log), Screen(run.console, role, settings.epochs) as screen:
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


def _announce_network(run: Run, role: str, network: PixelNetwork) -> None:
    if run.processes.is_first:
        count = cost.parameters(network)
        run.console.print(f"{role}: {type(network.body).__name__}, {count:,} parameters", highlight=False)


def _announce(run: Run, bundle: Bundle) -> Bundle:
    if run.processes.is_first:
        run.console.print(f"{bundle.manifest.role}: finished already, read from {bundle.folder}", highlight=False)
    return bundle
