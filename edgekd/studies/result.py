"""study.json: every answer out of fold, and the table that follows from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.calibration import softmax
from edgekd.measures.intervals import Interval
from edgekd.section import Section, validate
from edgekd.studies.schema import Study

SCHEMA: Literal["edgekd.study_result/1"] = "edgekd.study_result/1"
NAME = "study.json"


class ImageRecord(Section):
    """An image that is answered; the group is a number, so that no patient's id travels. None: no groups are known."""

    name: str
    label: int = Field(ge=0)
    group: int | None = None


class RunRecord(Section):
    """One run: where its bundle lies, and its answers on the fold's test images; or the reason why there are none."""

    variant: str
    fold: int
    seed: int
    asked: str = ""  # the identity of what decides the answers; "" of a run without any
    folder: str = ""  # below the study's
    teacher: str = ""  # below the study's; "" without one, or for one that lies elsewhere
    reason: str = ""
    seconds: float = 0.0  # of the student's training
    teacher_accuracy: float | None = None  # on the same test images
    calibration_temperature: float = 1.0
    images: tuple[int, ...] = ()  # indices of the study's images
    logits: tuple[tuple[float, ...], ...] = ()  # float32, as many rows as images

    def accuracy(self, result: Result) -> float:
        """The share of right answers of a run that has some."""
        labels = [result.images[i].label for i in self.images]
        return float((np.array(self.logits).argmax(1) == labels).mean())

    @property
    def probs(self) -> np.ndarray:
        """Calibrated probabilities [N, K]."""
        return softmax(np.array(self.logits), self.calibration_temperature)


class Gain(Section):
    """A change of accuracy and NLL over the control, paired by image, fold and seed."""

    change_pp: float
    interval_pp: Interval  # 95 %, by group
    p: float  # of the sign-flip test by group, for this variant alone
    p_holm: float  # the same, adjusted for all variants that are tested against the control
    answers: int
    groups: int
    nll_change: float | None = None  # nats per image; None in a file of an older version
    nll_interval: Interval | None = None  # 95 %, by group


class Row(Section):
    """A variant over all its answers; what is measured by seed is the mean over seeds."""

    variant: str
    is_control: bool
    runs: int
    of_runs: int
    images: int = 0
    groups: int | None = None
    accuracy: float | None = None
    interval: Interval | None = None  # 95 %, by group
    gain: Gain | None = None
    recalls: tuple[float | None, ...] = ()  # by class
    nll: float | None = None
    ece: float | None = None
    ece_noise_floor: float | None = None
    teacher_accuracy: float | None = None
    seconds: float | None = None  # of a student's training, the median over runs


class Result(Section):
    """What came of a study."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.study_result/1"] = Field(SCHEMA, alias="schema")
    edgekd: str
    study: Study
    label_names: tuple[str, ...]
    images: tuple[ImageRecord, ...]
    runs: tuple[RunRecord, ...]
    table: tuple[Row, ...] = ()

    @property
    def groups(self) -> np.ndarray | None:
        """The group [N] of each image; None where they are not known."""
        found = [image.group for image in self.images if image.group is not None]
        return np.array(found) if len(found) == len(self.images) else None

    def save(self, path: Path) -> None:
        """Write as JSON, atomically; one line for each image and run."""
        values = self.model_dump(mode="json", by_alias=True)
        parts = [f'"{key}": {_listed(value)}' for key, value in values.items()]
        write_atomic(path, "{" + ",\n".join(parts) + "}\n")


def _listed(value: object) -> str:
    if not isinstance(value, list) or not value or not isinstance(value[0], dict):
        return json.dumps(value, ensure_ascii=False)
    return "[\n" + ",\n".join(json.dumps(item, ensure_ascii=False) for item in value) + "\n]"


def load(path: str | Path) -> Result:
    """Read a study's result: study.json, or the folder that holds it.

    Raises: EdgekdError for a file that is missing or not one of ours.
    """
    path = Path(path)
    path = path / NAME if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        todo = "python -m edgekd.study STUDY.toml"
        raise EdgekdError(str(path), "the result of a study in JSON", str(e), todo) from None
    return validate(Result, values, str(path), from_json=True)
