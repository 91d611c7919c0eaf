"""Recipes: TOML in, frozen pydantic models out. An unknown key or a wrong type is one error that lists every problem.

A recipe is data, never code: nothing in it is imported or evaluated.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from edgekd import idle, named
from edgekd.bundle import MANIFEST, DisplayNames, read_manifest
from edgekd.errors import EdgekdError, nearest
from edgekd.fine_tuning import FineTuningStage
from edgekd.overrides import Override, apply
from edgekd.section import Section, known, validate

# To be raised when a field goes or changes its meaning; a new one with a default needs no new number.
SCHEMA: Literal["edgekd.recipe/1"] = "edgekd.recipe/1"
# The default recipe, on phantoms: a student with so little room that teaching shows, also by where the teacher looks, and a
# teacher that leaves it time. A recipe of one's own, or one's own images, start from the plain defaults below.
DEFAULT: dict[str, Any] = {
    "data": {"display_names": {"notumor": "no tumour"}},
    "teacher": {"training": {"epochs": 10}},
    "student": {"width": 0.5},
    "distillation": {"losses": {"kd": 1.0, "attention_transfer": 1.0}},
}
# What is read of a bundle's recipe.
READ_BACK = ("name", "seed", "split_seed", "licence", "cache", "data", "input", "qat")


class DataRecipe(Section):
    """Where images come from and how they are dealt to train, val and test."""

    source: str = "phantom"  # a file name in edgekd/data/sources
    path: str = ""
    options: dict[str, Any] = {}  # checked by the source itself
    unlabelled: str = (
        ""  # a folder of further training images, any below it, that nobody has labelled: the teacher does
    )
    labelled_fraction: float = Field(
        1.0, gt=0, le=1
    )  # of the groups left for training, with labels; the others lose them
    note: str = ""  # what readers of the accuracies must know of the set; stands on the model card
    display_names: DisplayNames = {}  # label -> its name for people; of others, underscores and hyphens are spaces
    validation_fraction: float = Field(0.15, gt=0, lt=0.5)  # cut from train where the source has no val
    test_fraction: float = Field(0.15, gt=0, lt=0.5)  # cut first where the source has no test
    folds: int = Field(0, ge=0, le=100)  # deal all images to so many folds, whatever the source's splits; 0: as it says
    fold: int = Field(0, ge=0)  # which of them is test; val is cut from the others
    max_corrupt: float | None = Field(None, ge=0, le=1)  # fraction; default 0.01, or 0 if strict
    strict: bool = False

    @model_validator(mode="after")
    def _folds(self) -> DataRecipe:
        if self.folds == 1:
            raise ValueError("data.folds must be 0 (the source's own splits) or at least 2")
        if self.fold >= max(self.folds, 1):
            raise ValueError(f"data.fold counts from 0 and must be below data.folds = {self.folds}, found {self.fold}")
        return self

    @property
    def corrupt_limit(self) -> float:
        """The fraction of unreadable images above which a run stops."""
        if self.max_corrupt is not None:
            return self.max_corrupt
        return 0.0 if self.strict else 0.01


class InputRecipe(Section):
    """How a decoded image becomes the network's pixels; copied into the bundle as the input contract."""

    size: int = Field(96, ge=16, le=1024)  # px, square
    fit: Literal["squash", "crop"] = "squash"
    crop_fraction: float = Field(1.0, gt=0, le=1)  # for fit = "crop": side of the crop / side after resizing
    kernel: Literal["bilinear", "bicubic"] = "bilinear"

    @classmethod
    def of(cls, contract: Section) -> InputRecipe:
        """What an input contract says of the pixels."""
        return cls(**contract.model_dump(include=set(cls.model_fields)))


class AugmentRecipe(Section):
    """Random changes of a training view. Ranges are symmetric around no change unless said otherwise."""

    rotation_deg: float = Field(15.0, ge=0, le=180)
    shift: float = Field(0.1, ge=0, le=0.5)  # fraction of the side
    zoom: float = Field(0.1, ge=0, lt=1)
    shear: float = Field(0.1, ge=0, lt=1)
    horizontal_flip: float = Field(0.5, ge=0, le=1)  # probability
    vertical_flip: float = Field(0.0, ge=0, le=1)
    brightness: float = Field(0.15, ge=0, lt=1)  # factor 1 +- brightness
    contrast: float = Field(0.0, ge=0, lt=1)  # factor 1 +- contrast about the view's mean
    saturation: float = Field(0.0, ge=0, lt=1)
    noise: float = Field(0.0, ge=0, le=0.5)  # largest standard deviation of Gaussian noise, fraction of full range
    elastic_alpha: float = Field(0.0, ge=0)  # px; 34 in Simard et al. 2003 for 4 * sigma displacement fields
    elastic_sigma: float = Field(4.0, gt=0)  # px
    erase: float = Field(0.0, ge=0, le=1)  # probability of one grey rectangle of 2-20 % of the area


class Network(Section):
    """Which network, and where its first weights come from."""

    network: str = "mobilenetv2"
    width: float = Field(1.0, gt=0, le=4)  # channel multiplier, for families that have one
    pretrained: bool = (
        False  # timm's published weights, whatever `weights` says; never silently replaced by random ones
    )
    weights: str = ""  # a .safetensors, .pth or .pt file to start from (its classifier may have other classes)
    weights_from: str = Field(
        "", exclude=True
    )  # what makes `weights`, told where the file is not there; decides nothing
    options: dict[str, Any] = {}  # further arguments of the builder, checked by its signature

    @property
    def weights_file(self) -> str:
        """The file that the first weights are read from; "" where they are timm's or random."""
        return "" if self.pretrained else self.weights


class StageRecipe(Section):
    """One training stage."""

    epochs: int = Field(12, ge=1)
    batch_size: int = Field(32, ge=2)  # over all processes together
    learning_rate: float = Field(2e-3, gt=0)
    min_learning_rate: float = Field(1e-6, ge=0)
    warmup_epochs: float = Field(1.0, ge=0)
    schedule: Literal["cosine", "plateau"] = "cosine"
    plateau_patience: int = Field(3, ge=0)
    plateau_factor: float = Field(0.3, gt=0, lt=1)
    weight_decay: float = Field(0.02, ge=0)
    label_smoothing: float = Field(0.05, ge=0, lt=1)
    class_weights: bool = True  # N / (K n_i), computed on the images trained on
    gradient_clip: float = Field(1.0, ge=0)  # largest norm; 0 turns it off
    ema_decay: float = Field(0.99, ge=0, lt=1)  # 0 turns the averaged weights off
    early_stopping_patience: int = Field(0, ge=0)  # epochs without a better val; 0 turns it off
    best_by: Literal["nll", "accuracy", "last"] = "nll"  # on validation; or the last epoch, whatever validation says
    precision: Literal["auto", "fp32", "bf16"] = "auto"

    @model_validator(mode="after")
    def _stopping(self) -> StageRecipe:
        if self.early_stopping_patience and self.best_by == "last":
            raise ValueError("early_stopping_patience waits for a better epoch, and best_by = 'last' compares none")
        return self


class TrainingRecipe(StageRecipe):
    """A stage in float, of a network with a classifier, on views of its own."""

    head_learning_rate_factor: float = Field(1.0, gt=0)  # the new classifier learns faster than a pretrained body
    mixup_alpha: float = Field(0.0, ge=0)  # Beta(alpha, alpha); 0 turns mixup off
    images_per_class: int | None = Field(
        None, ge=1
    )  # drawn for every epoch, whatever a class has; None: each image once
    # Epochs whose images and views come again, so that a teacher answers no others; None or 0: every epoch has its own.
    view_epochs: int | None = Field(None, ge=0)
    # One after the other, each from the best weights of the one before; None: everything learns in all epochs.
    stages: tuple[FineTuningStage, ...] | None = Field(None, strict=False)

    @field_validator("view_epochs")
    @classmethod
    def _none_come_again(cls, value: int | None) -> int | None:
        return value or None  # 0 is how a study takes back what its recipe says

    @model_validator(mode="after")
    def _some_stage(self) -> TrainingRecipe:
        if self.stages == ():
            raise ValueError("stages is empty; leave it out, and everything learns in all epochs")
        return self

    def within(self, stage: FineTuningStage) -> TrainingRecipe:
        """The settings that hold in a stage."""
        return self.model_copy(update=stage.given() | {"stages": None})


class MemberRecipe(Network):
    """A network that teaches: a finished bundle or checkpoint, or a network to train first."""

    network: str = "hybrid_resnet_vit"
    input_size: int = Field(
        0, ge=0, le=1024
    )  # px, square; 0: the student's. A teacher sees the picture at its own size
    seed: int = Field(0, ge=0, lt=2**31)  # of first weights and order; another one makes another member of one network
    bundle: str = ""  # a teacher bundle to read instead of training one
    bundle_from: str = Field("", exclude=True)  # the command that makes `bundle`, told where it is not there
    checkpoint: str = ""  # a fine-tuned .safetensors/.pth/.pt of `network`, whose head must fit the label names
    training: TrainingRecipe = TrainingRecipe()


class CommitteeMember(MemberRecipe):
    """A member of a committee."""

    weight: float = Field(1.0, gt=0)  # of its answer in the mean


class TeacherRecipe(MemberRecipe):
    """The teacher: one network, or a committee of several, whose answers are averaged."""

    members: tuple[CommitteeMember, ...] = Field((), strict=False)  # [[teacher.members]]

    @property
    def sections(self) -> dict[str, MemberRecipe]:
        """The networks that it consists of, by the name of their section: its members, or itself."""
        found: dict[str, MemberRecipe] = {f"teacher.members.{n}": member for n, member in enumerate(self.members)}
        return found or {"teacher": self}

    @property
    def one(self) -> MemberRecipe | None:
        """The one network that teaches, also as a committee's only member; None for a committee of several."""
        networks = tuple(self.sections.values())
        return networks[0] if len(networks) == 1 else None


class DistillationRecipe(Section):
    """L = task_loss_weight * CE + distill_loss_weight * sum_i weight_i * loss_i."""

    losses: dict[str, float | dict[str, Any]] = {
        "kd": 1.0
    }  # a file in edgekd/distillation/losses -> weight, or options
    task_loss_weight: float = Field(0.3, ge=0)
    distill_loss_weight: float = Field(0.7, ge=0)
    kd_temperature: float = Field(4.0, gt=0)
    store: bool = True  # keep the teacher's outputs; a second student never runs the teacher

    @model_validator(mode="after")
    def _weights(self) -> DistillationRecipe:
        weights = [w.get("weight", 1.0) if isinstance(w, dict) else w for w in self.losses.values()]
        if any(isinstance(w, int | float) and w < 0 for w in weights):
            raise ValueError("every weight in losses must be >= 0")
        if not any((self.task_loss_weight, self.distill_loss_weight)):
            raise ValueError("task_loss_weight and distill_loss_weight are both 0: nothing would be learnt")
        return self


class QatTrainingRecipe(StageRecipe):
    """The training of the quantization-aware stage: short, gentle, in float32, so that the grid is the only rounding."""

    elsewhere = {
        "mixup_alpha": "set qat.mixup_alpha, or training.mixup_alpha for both stages",
        "head_learning_rate_factor": "the stage has one rate for all weights; set qat.range_learning_rate_factor for the "
        "ranges, or training.head_learning_rate_factor for the float stage",
        "view_epochs": "the stage sees the float stage's first views; set training.view_epochs for the float stage",
        "images_per_class": "the stage shows every image once; set training.images_per_class for the float stage",
        "stages": "all weights learn on the int8 grid at once; set training.stages for the float stage",
    }

    epochs: int = Field(3, ge=1)
    learning_rate: float = Field(1e-5, gt=0)  # more moves on, and answers flip
    min_learning_rate: float = Field(1e-6, ge=0)
    warmup_epochs: float = Field(0.25, ge=0)
    weight_decay: float = Field(0.01, ge=0)
    best_by: Literal["nll", "accuracy", "last"] = "last"  # only then do the ranges stand still
    precision: Literal["fp32"] = "fp32"


class QatRecipe(Section):
    """The quantization-aware stage after the float one, with the distillation loss on; it sees the float stage's views.

    Taught by the float student itself, answers change least: what it learns is to say the same on the int8 grid. Taught by
    the run's teacher, and by labels, it goes on learning, and more answers flip. With `mixup_alpha` the pictures that the
    student teaches itself on are mixed in pairs: they lie between classes, where rounding decides.
    """

    enabled: bool = True
    taught_by: Literal["student", "teacher"] = "student"
    mixup_alpha: float | None = Field(None, ge=0)  # of the stage's own views; unset: training.mixup_alpha
    training: QatTrainingRecipe = QatTrainingRecipe()
    range_learning_rate_factor: float = Field(10.0, ge=0)  # activation ranges, as a multiple of the weights' rate
    observed_batches: int = Field(32, ge=1)  # whose running minima and maxima the ranges start from
    frozen_epochs: int = Field(1, ge=0)  # at the end, with fixed ranges
    representative_images: int = Field(256, ge=1)  # of the training images, for post-training quantization

    @model_validator(mode="after")
    def _own_views(self) -> QatRecipe:
        if self.mixup_alpha is not None and self.taught_by == "teacher":
            raise ValueError(
                "qat.mixup_alpha needs qat.taught_by = 'student': the teacher answered the float stage's views"
            )
        return self


class AuditRecipe(Section):
    """When two images count as one picture. Similarity runs to 1 and is that of local structure (edgekd.auditing)."""

    duplicate: float = Field(0.94, gt=0, le=1)  # from here on two files are copies of one picture
    similar: float = Field(0.80, gt=0, le=1)  # from here on two pictures are taken to be of one patient
    neighbours: int = Field(16, ge=1, le=256)  # the nearest images that each one is compared with
    shown: int = Field(40, ge=0, le=1000)  # pairs on the page for each kind of finding, dealt to the kinds of copy
    estimate_groups: Literal["auto", "always", "never"] = (
        "auto"  # for images without a group, from chains of alike ones
    )
    longest_chain: float = Field(0.02, gt=0, le=1)  # "auto": a chain of a larger share of the images is no patient's

    @model_validator(mode="after")
    def _order(self) -> AuditRecipe:
        if self.similar > self.duplicate:
            raise ValueError("audit.similar must not be above audit.duplicate")
        return self


class Recipe(Section):
    """Everything that decides a run. `load()` gives the default recipe of `python -m edgekd.distill`."""

    model_config = ConfigDict(serialize_by_alias=True)

    schema_: Literal["edgekd.recipe/1"] = Field(SCHEMA, alias="schema")
    name: str = "default"
    seed: int = Field(0, ge=0, lt=2**31)  # of first weights, views, order and dropout
    split_seed: int | None = Field(None, ge=0, lt=2**31)  # of dealing images to splits; unset: `seed`
    view_seed: int | None = Field(
        None, ge=0, lt=2**31
    )  # of training views; given, one store of a teacher serves all seeds
    licence: str = ""  # of the data and so of the trained weights; written into the bundle
    cache: str = "runs/cache"  # decoded pixels and teacher outputs, shared by runs
    data: DataRecipe = DataRecipe()
    input: InputRecipe = InputRecipe()
    augment: AugmentRecipe = AugmentRecipe()
    teacher: TeacherRecipe = TeacherRecipe()
    student: Network = Network()
    distillation: DistillationRecipe = DistillationRecipe()
    training: TrainingRecipe = TrainingRecipe()
    qat: QatRecipe = QatRecipe()
    audit: AuditRecipe = AuditRecipe()

    @property
    def dealing_seed(self) -> int:
        """What the dealing of images to splits is drawn with."""
        return self.seed if self.split_seed is None else self.split_seed

    @property
    def viewing_seed(self) -> int:
        """What training views are drawn with."""
        return self.seed if self.view_seed is None else self.view_seed

    @model_validator(mode="before")
    @classmethod
    def _batches_of_the_float_stage(cls, values: Any) -> Any:
        """The quantization-aware stage trains in the float stage's batches unless it names its own."""
        training = values.get("training") if isinstance(values, dict) else None
        if not isinstance(training, dict) or "batch_size" not in training:
            return values
        qat = values.get("qat", {})
        own = qat.get("training", {}) if isinstance(qat, dict) else None
        if not isinstance(own, dict):
            return values  # wrong, and told so below
        return values | {"qat": qat | {"training": {"batch_size": training["batch_size"]} | own}}


def load(
    path: str | Path | None = None, overrides: Sequence[Override] | None = None, own_images: bool = False
) -> Recipe:
    """Read a recipe, a file or a name, and apply overrides: `section.key=value`, or key and value.

    Without a file it is the default recipe for phantoms, and for images of one's own the plain defaults.

    A bundle's manifest.json stands for the recipe that the bundle was made with.
    Raises: EdgekdError that lists all problems at once, each with the nearest valid name; for settings without effect too.
    """
    path = named.recipe(path) if path else None
    where = str(path) if path else "default recipe"
    given: dict[str, Any] = {}
    for override in overrides or []:
        apply(given, override)
    values = {} if path or own_images else _default(given)
    is_record = False
    if path and path.name == MANIFEST:
        is_record = True
        values = recorded(read_manifest(path.parent).recipe, str(path.parent)).model_dump(mode="json")
    elif path:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            todo = nearest(path.stem, named.names("recipes"))
            raise EdgekdError(where, "a recipe file", "no such file", todo) from None
        except (OSError, UnicodeDecodeError) as e:
            raise EdgekdError(where, "a readable text file", str(e)) from None
        except tomllib.TOMLDecodeError as e:
            raise EdgekdError(where, "TOML", str(e)) from None
    for override in overrides or []:
        apply(values, override)
    recipe = validate(Recipe, values, where)
    if is_record:  # it names every setting, with effect or not: the overrides alone are judged
        idle.left_out(recipe, given, given, where)
        return recipe
    return validate(Recipe, idle.left_out(recipe, values, given, where), where)


def _default(given: dict[str, Any]) -> dict[str, Any]:
    """What `DEFAULT` says of phantoms, and of the networks that the overrides leave as they are."""
    values = copy.deepcopy(DEFAULT)
    if given.get("data", {}).keys() & {"source", "path"}:
        return {}
    if "network" in given.get("student", {}):
        del values["student"]
    teacher = given.get("teacher", {})
    if teacher.keys() & {"network", "members"}:
        del values["teacher"]
    if teacher.get("members"):
        del values["distillation"]  # a committee has no features
    return values


def overridden(recipe: Recipe, overrides: Sequence[Override]) -> Recipe:
    """The recipe with `section.key=value` overrides applied.

    Raises: EdgekdError as `load` does.
    """
    values = recipe.model_dump(mode="json")
    for override in overrides:
        apply(values, override)
    return validate(Recipe, values, "--set", from_json=True)


def recorded(values: dict[str, Any], where: str) -> Recipe:
    """The recipe that a bundle's manifest holds; `where` names the bundle.

    One of an older schema is a record of what was done then, and not judged by what holds today: unknown keys are passed
    over, and so are sections that no longer fit, unless they are read back.
    Raises: EdgekdError for a newer schema, a recipe of this one that is wrong, or wrong values in what is read back.
    """
    where, found = f"recipe of {where}", values.get("schema")
    if found == SCHEMA:
        return validate(Recipe, values, where, from_json=True)
    if found is not None and not _is_older(found):
        todo = "use the edgekd version that wrote it"
        raise EdgekdError(where, f"schema {SCHEMA!r} or an older one", repr(found), todo)
    facts = known(Recipe, {name: value for name, value in values.items() if name != "schema"})
    facts = {name: value for name, value in facts.items() if name in READ_BACK or _fits(name, value)}
    return validate(Recipe, facts, where, from_json=True)


def _is_older(schema: Any) -> bool:
    name, _, number = str(schema).rpartition("/")
    own, _, today = SCHEMA.rpartition("/")
    return name == own and number.isdecimal() and int(number) < int(today)


def _fits(section: str, value: Any) -> bool:
    try:
        validate(Recipe, {section: value}, section, from_json=True)
    except EdgekdError:
        return False
    return True
