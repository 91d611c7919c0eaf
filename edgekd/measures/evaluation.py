"""Everything measured of one set of answers, as one JSON document."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edgekd.bundle import ConformalRecord
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures import accuracy as acc
from edgekd.measures import calibration as cal
from edgekd.measures.intervals import Groups
from edgekd.measures.selective import Selective, Sets, score, selective
from edgekd.section import Section, validate

Interval = tuple[float, float]


class ClassScores(Section):
    """Scores of one class; `auc` is one against the rest, None where it is not defined."""

    label_name: str
    precision: float
    recall: float
    f1: float
    images: int
    auc: float | None


class Averages(Section):
    """Averages over classes."""

    precision: float
    recall: float
    f1: float


class Bin(Section):
    """One bin (low, high] of the reliability diagram."""

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float


class Evaluation(Section):
    """Measures on one split; all fractions in [0, 1], intervals are of 95 %, by bootstrap or exact."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.evaluation/1"] = Field("edgekd.evaluation/1", alias="schema")
    images: int
    groups: int | None = None  # if not None, the intervals resample whole groups
    accuracy: float
    accuracy_interval: Interval
    macro_f1_interval: Interval
    macro: Averages
    weighted: Averages
    macro_auc: float | None
    classes: tuple[ClassScores, ...]
    confusion: tuple[tuple[int, ...], ...]  # rows are labels, columns predictions
    ece: float
    ece_noise_floor: float  # mean ECE of a perfectly calibrated model with the same confidences
    ece_noise_p95: float
    adaptive_ece: float
    classwise_ece: float
    debiased_ece: float
    nll: float
    brier: float
    reliability: tuple[Bin, ...]
    selective: Selective | None = None  # None in a document of an older version
    sets: Sets | None = None  # None where the network has no conformal record

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        text = json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
        write_atomic(path, text + "\n")

    @classmethod
    def load(cls, path: Path) -> Evaluation:
        """Read what `save` wrote.

        Raises: EdgekdError for a file that is missing or not one of ours.
        """
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as e:
            raise EdgekdError(str(path), "an evaluation in JSON", str(e)) from None
        return validate(cls, values, str(path), from_json=True)


def evaluate(
    probs: np.ndarray,
    labels: np.ndarray,
    label_names: Sequence[str],
    *,
    groups: Groups | None = None,
    conformal: ConformalRecord | None = None,
    seed: int = 0,
) -> Evaluation:
    """Measure probabilities [N, K] against labels [N]; `groups` [N] makes the intervals honest about patients.

    `conformal` is the network's own record, where it has one.
    Raises: ValueError as `calibration.check` does, or if there is not one name per class or one group per image.
    """
    p, y = cal.check(probs, labels)
    if len(label_names) != p.shape[1]:
        raise ValueError(f"expected {p.shape[1]} label names, found {len(label_names)}")
    intervals = acc.bootstrap_intervals(p, y, groups, seed)
    auc = acc.one_vs_rest_auc(p, y)
    known = [a for a in auc if a is not None]
    floor, p95 = cal.noise_floor(p, seed=seed)
    return Evaluation(
        images=len(y),
        groups=len({str(g) for g in groups}) if groups is not None else None,
        accuracy=acc.accuracy(p, y),
        accuracy_interval=intervals["accuracy"],
        macro_f1_interval=intervals["macro_f1"],
        macro=Averages(**acc.averages(p, y, "macro")),
        weighted=Averages(**acc.averages(p, y, "weighted")),
        macro_auc=float(np.mean(known)) if known else None,
        classes=_classes(p, y, label_names, auc),
        confusion=tuple(tuple(row) for row in acc.confusion(p, y)),
        ece=cal.ece(p, y),
        ece_noise_floor=floor,
        ece_noise_p95=p95,
        adaptive_ece=cal.adaptive_ece(p, y),
        classwise_ece=cal.classwise_ece(p, y),
        debiased_ece=cal.debiased_ece(p, y),
        nll=cal.nll(p, y),
        brier=cal.brier(p, y),
        reliability=tuple(Bin(**asdict(b)) for b in cal.reliability_bins(p, y)),
        selective=selective(p, y),
        sets=score(p, y, tuple(label_names), conformal, groups, seed) if conformal else None,
    )


def _classes(p: np.ndarray, y: np.ndarray, names: Sequence[str], auc: list[float | None]) -> tuple[ClassScores, ...]:
    scores = acc.per_class(p, y)
    return tuple(
        ClassScores(
            label_name=name,
            precision=scores["precision"][k],
            recall=scores["recall"][k],
            f1=scores["f1"][k],
            images=int(scores["support"][k]),
            auc=auc[k],
        )
        for k, name in enumerate(names)
    )
