"""What can be found out before hours of training: names, options, losses, files, bundles, batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from edgekd.distillation import losses
from edgekd.errors import EdgekdError, several
from edgekd.networks import build, check_network, from_bundle
from edgekd.recipe import MemberRecipe, Network, Recipe, StageRecipe, TrainingRecipe
from edgekd.training import fine_tuning, teachers
from edgekd.training.run import Run
from edgekd.training.sampling import Sampler
from edgekd.training.stages import build_losses


def recipe(wanted: Recipe) -> None:
    """Find the mistakes of a recipe that would else show after hours.

    Raises: EdgekdError.
    """
    teacher(wanted)
    student(wanted)
    features(wanted)


def student(wanted: Recipe) -> None:
    """As `recipe`, for what a student without a teacher needs.

    Raises: EdgekdError.
    """
    check_network(wanted.student, wanted.input.size)
    _fine_tuning(wanted.student, wanted.training, wanted.input.size)


def teacher(wanted: Recipe) -> None:
    """As `recipe`, for what the teacher alone needs.

    Raises: EdgekdError that names the member.
    """
    problems = []
    for where, settings in wanted.teacher.sections.items():
        try:
            _member(where, settings, settings.input_size or wanted.input.size)
        except EdgekdError as e:
            if not wanted.teacher.members:
                raise
            problems.append(f"{where}: {e}")
    if problems:
        raise several("teacher.members", problems)


def _member(where: str, settings: MemberRecipe, size: int) -> None:
    if settings.bundle:
        teachers.open_bundle(settings)
    else:
        check_network(settings, size)
        _fine_tuning(settings, settings.training, size)
    if settings.checkpoint and not Path(settings.checkpoint).is_file():
        raise EdgekdError(f"{where}.checkpoint {settings.checkpoint}", "a file", "no such file")


def _fine_tuning(network: Network, training: TrainingRecipe, size: int) -> None:
    """Find out whether the network has the parts that the stages of its training let learn."""
    if training.stages:
        built = build(_random(network), 2, size)
        for stage in fine_tuning.stages_of(training):
            stage.learning(built)


def features(wanted: Recipe, student: nn.Module | None = None) -> None:
    """Find out whether the losses, their options and the taps of student and teacher fit together.

    `student` is the network that is taught where it is not the recipe's float one.

    Raises: EdgekdError.
    """
    made, size = wanted.teacher.one, wanted.input.size
    read = [loss.name for loss in losses.resolve(wanted.distillation.losses) if loss.reads_teacher]
    if made is None and read:
        todo = "losses on logits (kd, dkd, dist, logit_std, mse, ofa), or one teacher"
        raise EdgekdError(
            f"distillation.losses.{read[0]}", "a teacher with features", "a committee, which has none", todo
        )
    student = student or build(_random(wanted.student), 2, size)

    def load() -> Any:
        assert made is not None  # asked for by losses that read a teacher
        if made.bundle:
            return from_bundle(teachers.open_bundle(made))
        return build(_random(made), 2, made.input_size or size)

    build_losses(wanted.distillation, student, load)


def _random(settings: Network) -> Network:
    return settings.model_copy(update={"weights": "", "pretrained": False})


def batches(run: Run, control: bool = False, taught: bool = True) -> None:
    """Find out before hours of training, not after them, whether a stage, or a `control`, has too few images for one batch.

    Of a student that is not `taught`, no teacher is trained. Raises: EdgekdError.
    """
    wanted, labelled, everything = run.recipe, run.labelled_rows, run.rows("train")
    sections: dict[str, tuple[StageRecipe, np.ndarray]] = {
        "training": (wanted.training, labelled if control or not taught else everything)
    }
    for where, settings in wanted.teacher.sections.items():
        if taught and not (settings.bundle or settings.checkpoint):
            sections[f"{where}.training"] = settings.training, labelled
    if wanted.qat.enabled:
        sections["qat.training"] = wanted.qat.training, everything
    for section, (stage, rows) in sections.items():
        images = Sampler(rows, run.labels, getattr(stage, "images_per_class", None), 0).count
        if stage.batch_size > images:
            found = (
                f"{stage.batch_size} for {images} {'labelled ' if len(rows) < len(everything) else ''}training images"
            )
            todo = f"for example --set {section}.batch_size={max(images // 4, 2)}"
            raise EdgekdError(f"{section}.batch_size", "at most the number of training images", found, todo)
