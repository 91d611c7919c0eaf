"""Settings that decide nothing because of another one. Whoever makes one expects an effect, and is told that there is none.

An override is there to change what a file says: what it leaves without effect in the file is left out in silence.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any

from edgekd.errors import several

if TYPE_CHECKING:
    from edgekd.fine_tuning import FineTuningStage
    from edgekd.recipe import MemberRecipe, QatRecipe, Recipe, StageRecipe, TeacherRecipe, TrainingRecipe

Pair = tuple[str, str]  # a setting without effect, and the setting whose value is the reason
Values = dict[str, Any]
PLATEAU = ("plateau_patience", "plateau_factor")
OF_A_NETWORK = ("network", "width", "pretrained", "weights", "options", "input_size", "seed")  # of one to train
STILL_READ = ("precision",)  # of a teacher's training, in which a finished teacher is asked


def left_out(recipe: Recipe, values: Values, given: Values, where: str) -> Values:
    """The `values` that `recipe` was made from, without those of a file that the `given` overrides leave without effect.

    Raises: EdgekdError that names every other setting without effect, and the reason.
    """
    found = [pair for pair in settings(recipe) if _is_set(values, pair[0])]
    yielding = {setting for setting, reason in found if _is_set(given, reason) and not _is_set(given, setting)}
    problems = [
        f"{setting} has no effect, as {reason} {_said(reduce(_inner, reason.split('.'), recipe))}"
        for setting, reason in found
        if setting not in yielding and reason not in yielding
    ]
    if problems:
        raise several(where, problems, "take it out, or change the other one", shown=len(problems))
    values = copy.deepcopy(values)
    for setting in sorted(yielding):  # a section before what is in it
        if not _is_set(values, setting):
            continue
        *sections, last = setting.split(".")
        del reduce(_inner, sections, values)[last]
    return values


def settings(recipe: Recipe) -> Iterator[Pair]:
    """Every setting that has no effect in `recipe`, whether it was made or is a default, with the reason."""
    if recipe.data.source in ("phantom", "union"):
        yield "data.path", "data.source"
    if recipe.data.folds:
        yield "data.test_fraction", "data.folds"
    if recipe.input.fit == "squash":
        yield "input.crop_fraction", "input.fit"
    if not recipe.augment.elastic_alpha:
        yield "augment.elastic_sigma", "augment.elastic_alpha"
    if not recipe.distillation.distill_loss_weight:
        for name in ("losses", "kd_temperature"):
            yield f"distillation.{name}", "distillation.distill_loss_weight"
        yield "data.unlabelled", "distillation.distill_loss_weight"
    yield from _teacher(recipe.teacher)
    stages = {
        "training": recipe.training,
        **{f"{section}.training": network.training for section, network in recipe.teacher.sections.items()},
        "qat.training": recipe.qat.training,
    }
    for section, stage in stages.items():
        yield from _stage(section, stage)
    yield from _qat(recipe.qat)


def _teacher(teacher: TeacherRecipe) -> Iterator[Pair]:
    for number, member in enumerate(teacher.members):
        for name, reason in _member(member):
            yield f"teacher.members.{number}.{name}", f"teacher.members.{number}.{reason}"
    if teacher.members:
        for name in (*OF_A_NETWORK, "bundle", "checkpoint", *_settings_of(teacher)):
            yield f"teacher.{name}", "teacher.members"
        for name in ("bundle", "checkpoint"):
            if getattr(teacher, name):
                yield "teacher.members", f"teacher.{name}"  # one of them is too much
        return
    for name, reason in _member(teacher):
        yield f"teacher.{name}", f"teacher.{reason}"


def _member(member: MemberRecipe) -> Iterator[Pair]:
    if member.bundle:
        for name in (*OF_A_NETWORK, "checkpoint", *_settings_of(member)):
            yield name, "bundle"
    elif member.checkpoint:
        for name in ("pretrained", "weights", "seed", *_settings_of(member)):
            yield name, "checkpoint"


def _settings_of(member: MemberRecipe) -> list[str]:
    return [f"training.{name}" for name in type(member.training).model_fields if name not in STILL_READ]


def _stage(section: str, stage: StageRecipe | TrainingRecipe) -> Iterator[Pair]:
    if getattr(stage, "images_per_class", None):  # there are as many of each
        yield f"{section}.class_weights", f"{section}.images_per_class"
    fine_tuning = getattr(stage, "stages", None)
    epochs = sum(one.epochs for one in fine_tuning or (stage,))
    if (getattr(stage, "view_epochs", None) or 0) >= epochs:  # training ends before a view comes again
        yield f"{section}.view_epochs", f"{section}.stages" if fine_tuning else f"{section}.epochs"
    if fine_tuning:
        yield from _in_stages(section, stage, fine_tuning)
        return
    if stage.schedule != "plateau":
        for name in PLATEAU:
            yield f"{section}.{name}", f"{section}.schedule"
    if stage.early_stopping_patience > stage.epochs - 2:  # the first epoch is the best so far, the last ends anyway
        yield f"{section}.early_stopping_patience", f"{section}.epochs"


def _in_stages(section: str, training: Any, stages: Sequence[FineTuningStage]) -> Iterator[Pair]:
    """What stages that follow one another leave without effect, in themselves and in the section around them."""
    around = f"{section}.stages"
    everywhere = set.intersection(*(set(stage.given()) for stage in stages))
    unread = everywhere | (set() if _plateaus(training, stages) else set(PLATEAU))
    for name in sorted(unread):
        yield f"{section}.{name}", around
    if training.early_stopping_patience > max(stage.epochs for stage in stages) - 2:
        yield f"{section}.early_stopping_patience", around
    for index, stage in enumerate(stages):
        if stage.train != "top":
            yield f"{around}.{index}.top_fraction", f"{around}.{index}.train"
        if training.within(stage).schedule != "plateau":
            reason = f"{around}.{index}.schedule" if stage.schedule else f"{section}.schedule"
            for name in PLATEAU:
                yield f"{around}.{index}.{name}", reason


def _plateaus(training: Any, stages: Sequence[FineTuningStage]) -> bool:
    return any(training.within(stage).schedule == "plateau" for stage in stages)


def _qat(qat: QatRecipe) -> Iterator[Pair]:
    if qat.taught_by == "student":  # no labels
        for name in ("label_smoothing", "class_weights"):
            yield f"qat.training.{name}", "qat.taught_by"
    if qat.frozen_epochs > qat.training.epochs:
        yield "qat.frozen_epochs", "qat.training.epochs"
    if qat.frozen_epochs >= qat.training.epochs:
        yield "qat.range_learning_rate_factor", "qat.frozen_epochs"


def _is_set(values: Values, setting: str) -> bool:
    try:
        reduce(_inner, setting.split("."), values)
    except (LookupError, AttributeError):
        return False
    return True


def _inner(value: Any, name: str) -> Any:
    """What is called `name` in a section, of a recipe or of plain values; a list counts from 0."""
    if isinstance(value, dict):
        return value[name]
    return value[int(name)] if isinstance(value, list | tuple) else getattr(value, name)


def _said(value: Any) -> str:
    return "is given" if isinstance(value, tuple) else f"= {value!r}"
