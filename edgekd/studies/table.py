"""From answers to rows: accuracy and gain over all patients out of fold, with intervals and tests by patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean, median
from typing import Any

import numpy as np

from edgekd.measures import calibration
from edgekd.measures.clustered import gain_interval, ratio_interval, share_interval
from edgekd.measures.intervals import Groups, members
from edgekd.measures.paired import holm, sign_flip_p
from edgekd.studies.result import Gain, Result, Row, RunRecord

NONE = -1  # an image that a seed has no answer for


@dataclass(frozen=True)
class Answers:
    """A variant's answers to each image, by seed.

    `right` [S, N]: 1, 0 and NONE; `surprise` [S, N]: the negative log-likelihood in nats, NaN where `right` is NONE.
    """

    seeds: tuple[int, ...]
    right: np.ndarray
    surprise: np.ndarray

    def of(self, seeds: Sequence[int], images: Sequence[int]) -> Answers:
        """The part [S', N'] for some seeds and images."""
        part = np.ix_([self.seeds.index(seed) for seed in seeds], images)
        return Answers(tuple(seeds), self.right[part], self.surprise[part])


def with_table(result: Result) -> Result:
    """The result with the rows that its answers give, in the study's order, the control first."""
    names = sorted(result.study.variants, key=lambda name: not result.study.variants[name].control)
    found = {name: answers(result, name) for name in names}
    control, gains = result.study.control, dict[str, Gain]()
    if control is not None:
        gains = adjusted({n: gain(found[control], found[n], result.groups) for n in names if n != control})
    return result.model_copy(update={"table": tuple(_row(result, n, found[n], gains.get(n)) for n in names)})


def answers(result: Result, variant: str) -> Answers:
    """A variant's answers by seed."""
    labels = np.array([image.label for image in result.images])
    right = np.full((len(result.study.seeds), len(labels)), NONE)
    surprise = np.full(right.shape, np.nan)
    for run in _finished(result, variant):
        seed, images = result.study.seeds.index(run.seed), np.array(run.images)
        right[seed, images] = np.array(run.logits).argmax(1) == labels[images]
        surprise[seed, images] = calibration.log_loss(run.probs, labels[images])
    return Answers(result.study.seeds, right, surprise)


def gain(before: Answers, after: Answers, groups: Groups | None) -> Gain | None:
    """The change from one variant to another on the images that both answer with the same seed; None if there are none.

    `groups` [N] are those of the images. Sums over folds and seeds per group are whole numbers; the sign-flip test and the
    interval take groups as the units. Without groups each image is its own.
    """
    seeds = [seed for seed in before.seeds if seed in after.seeds]
    every = range(before.right.shape[1])
    a, b = before.of(seeds, every), after.of(seeds, every)
    both = (a.right != NONE) & (b.right != NONE)
    if not both.any():
        return None
    member = members(groups, len(every))
    differences = np.bincount(member, np.where(both, b.right - a.right, 0).sum(0)).round().astype(np.int64)
    surprise = np.bincount(member, np.where(both, b.surprise - a.surprise, 0).sum(0))
    counts = np.bincount(member, both.sum(0)).round().astype(np.int64)
    differences, surprise, counts = differences[counts > 0], surprise[counts > 0], counts[counts > 0]
    low, high = gain_interval(differences, counts)
    p = sign_flip_p(differences)
    return Gain(
        change_pp=100 * float(differences.sum() / counts.sum()),
        interval_pp=(100 * low, 100 * high),
        p=p,
        p_holm=p,
        nll_change=float(surprise.sum() / counts.sum()),
        nll_interval=ratio_interval(surprise, counts),
        answers=int(counts.sum()),
        groups=len(counts),
    )


def adjusted(gains: dict[str, Gain | None]) -> dict[str, Gain]:
    """The gains that there are, each p adjusted for all."""
    there = {name: found for name, found in gains.items() if found}
    ps = holm([found.p for found in there.values()])
    return {n: found.model_copy(update={"p_holm": p}) for (n, found), p in zip(there.items(), ps, strict=True)}


def _finished(result: Result, variant: str) -> list[RunRecord]:
    return [run for run in result.runs if run.variant == variant and run.images]


def _row(result: Result, variant: str, found: Answers, gained: Gain | None) -> Row:
    every = [run for run in result.runs if run.variant == variant]
    runs = _finished(result, variant)
    facts: dict[str, Any] = {
        "variant": variant,
        "is_control": variant == result.study.control,
        "runs": len(runs),
        "of_runs": len(every),
    }
    if not runs:
        return Row(**facts)
    known = found.right != NONE
    member = members(result.groups, len(result.images))
    right = np.bincount(member, np.where(known, found.right, 0).sum(0))
    counts = np.bincount(member, known.sum(0))
    told = [run.teacher_accuracy for run in runs if run.teacher_accuracy is not None]
    facts |= _by_seed(result, runs)
    return Row(
        **facts,
        images=int(known.any(0).sum()),
        groups=int((counts > 0).sum()) if result.groups is not None else None,
        accuracy=float(right.sum() / counts.sum()),
        interval=share_interval(right[counts > 0], counts[counts > 0]),
        gain=gained,
        recalls=_recalls(result, found),
        teacher_accuracy=fmean(told) if told else None,
        seconds=median(run.seconds for run in runs),
    )


def _recalls(result: Result, found: Answers) -> tuple[float | None, ...]:
    """By class the share of right answers over images and seeds; None for a class without an answer."""
    labels = np.array([image.label for image in result.images])
    recalls: list[float | None] = []
    for k in range(len(result.label_names)):
        of_class = found.right[:, labels == k]
        of_class = of_class[of_class != NONE]
        recalls.append(float(of_class.mean()) if of_class.size else None)
    return tuple(recalls)


def _by_seed(result: Result, runs: list[RunRecord]) -> dict[str, float]:
    """NLL, ECE and its noise floor, each the mean over seeds of what all folds together show."""
    found = []
    for _, same in groupby(sorted(runs, key=lambda run: run.seed), key=lambda run: run.seed):
        folds = list(same)
        probs = np.concatenate([run.probs for run in folds])
        labels = np.array([result.images[i].label for run in folds for i in run.images])
        floor = calibration.noise_floor(probs)[0]
        found.append((calibration.nll(probs, labels), calibration.ece(probs, labels), floor))
    return dict(zip(("nll", "ece", "ece_noise_floor"), (float(v) for v in np.mean(found, axis=0)), strict=True))
