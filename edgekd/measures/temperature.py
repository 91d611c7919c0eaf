"""What a temperature does to a network's confidence: calibration before and after it, in pairs, with intervals by group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edgekd.measures.calibration import BINS, bin_index, check, ece, nll, noise_floor, reliability_bins, softmax
from edgekd.measures.evaluation import Bin
from edgekd.measures.intervals import RESAMPLES, Groups, Interval, mean_interval, members, percentile
from edgekd.section import Section

SCHEMA: Literal["edgekd.calibration/1"] = "edgekd.calibration/1"
Verdict = Literal["holds", "does not hold", "cannot be told"]


@dataclass(frozen=True, eq=False)
class Answers:
    """What a network says of labelled images: logits [N, K] before its `temperature`, labels [N], groups [N] where known."""

    name: str
    network: str
    temperature: float
    logits: np.ndarray
    labels: np.ndarray
    groups: Groups | None = None

    def probs(self, is_tempered: bool) -> np.ndarray:
        """Probabilities [N, K] before or after the temperature."""
        return softmax(self.logits, self.temperature if is_tempered else 1.0)


class Change(Section):
    """A difference, with its 95 % interval by group."""

    value: float
    interval: Interval

    @property
    def sign(self) -> int:
        """-1 or 1 where the interval leaves no doubt, else 0."""
        return int(self.interval[0] > 0) - int(self.interval[1] < 0)


class Scores(Section):
    """Calibration of one set of probabilities. `gap`: mean confidence - accuracy, above 0 where a network is over-confident."""

    ece: float
    ece_noise_floor: float
    ece_noise_p95: float
    nll: float
    gap: Change
    reliability: tuple[Bin, ...]


class Tempered(Section):
    """A network before and after its temperature, and what that changed."""

    name: str
    network: str
    temperature: float
    images: int
    groups: int | None
    before: Scores
    after: Scores
    ece_change: Change
    nll_change: Change


class Finding(Section):
    """What a source claims, what was measured, and whether the interval decides it."""

    claim: str
    measured: str
    change: Change
    verdict: Verdict


class Calibration(Section):
    """Networks of one run or of several on the same images, and the claims that these can answer."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.calibration/1"] = Field(SCHEMA, alias="schema")
    networks: tuple[Tempered, ...]
    findings: tuple[Finding, ...] = ()


def tempered(answers: Answers) -> Tempered:
    """Measure one network.

    Raises: ValueError as `calibration.check` does.
    """
    before, after = answers.probs(False), answers.probs(True)
    member = members(answers.groups, len(answers.labels))
    picked = np.arange(len(answers.labels)), answers.labels
    losses = np.log(np.maximum(before[picked], 1e-12)) - np.log(np.maximum(after[picked], 1e-12))
    draws = _draws(int(member.max()) + 1)
    changed = _resampled_ece(after, answers.labels, member, draws) - _resampled_ece(
        before, answers.labels, member, draws
    )
    return Tempered(
        name=answers.name,
        network=answers.network,
        temperature=answers.temperature,
        images=len(answers.labels),
        groups=None if answers.groups is None else int(member.max()) + 1,
        before=_scores(before, answers),
        after=_scores(after, answers),
        ece_change=Change(value=ece(after, answers.labels) - ece(before, answers.labels), interval=percentile(changed)),
        nll_change=Change(value=float(losses.mean()), interval=mean_interval(losses, answers.groups)),
    )


def ece_difference(a: Answers, b: Answers) -> Change:
    """ECE of `b` less that of `a` after their temperatures, on the same images, by bootstrap over groups in pairs.

    Raises: ValueError for other images.
    """
    if not np.array_equal(a.labels, b.labels):
        raise ValueError("the two networks answered different images")
    member = members(a.groups, len(a.labels))
    draws = _draws(int(member.max()) + 1)
    drawn = [_resampled_ece(one.probs(True), one.labels, member, draws) for one in (a, b)]
    value = ece(b.probs(True), b.labels) - ece(a.probs(True), a.labels)
    return Change(value=value, interval=percentile(drawn[1] - drawn[0]))


def calibration(networks: Sequence[Answers]) -> Calibration:
    """Measure networks, the first run's before others, and answer what Zenodo 17494928 claims of such networks.

    Its claims: the teacher is over-confident; a temperature helps it; MobileNetV2 has a lower ECE than EfficientNet-Lite0.
    """
    measured = [tempered(answers) for answers in networks]
    findings = []
    if teacher := next((m for m in measured if m.name.endswith("teacher")), None):
        findings += _of_teacher(teacher)
    by_network = {a.network: a for a in reversed(networks) if a.name.endswith("student")}
    if {"mobilenetv2", "efficientnet_lite0"} <= by_network.keys():
        findings.append(_of_students(by_network["efficientnet_lite0"], by_network["mobilenetv2"]))
    return Calibration(networks=tuple(measured), findings=tuple(findings))


def _of_teacher(teacher: Tempered) -> list[Finding]:
    gap, nll_change = teacher.before.gap, teacher.nll_change
    change = teacher.ece_change
    ends = f"ECE {teacher.before.ece:.4f} → {teacher.after.ece:.4f} ({_signed(change)}), NLL {_signed(nll_change)}"
    return [
        Finding(
            claim="the teacher is over-confident",
            measured=f"mean confidence less accuracy, before its temperature: {_signed(gap)}",
            change=gap,
            verdict=_verdict(gap.sign),
        ),
        Finding(
            claim="a temperature makes the teacher better calibrated",
            measured=f"T = {teacher.temperature:.3f}: {ends}",
            change=nll_change,
            verdict=_verdict(-nll_change.sign),
        ),
    ]


def _of_students(lite0: Answers, mobilenet: Answers) -> Finding:
    change = ece_difference(lite0, mobilenet)
    return Finding(
        claim="MobileNetV2 has a lower ECE than EfficientNet-Lite0",
        measured=f"difference, MobileNetV2 less EfficientNet-Lite0, after their temperatures: {_signed(change)}",
        change=change,
        verdict=_verdict(-change.sign),
    )


def _verdict(sign: int) -> Verdict:
    return "holds" if sign > 0 else "does not hold" if sign < 0 else "cannot be told"


def _signed(change: Change) -> str:
    return f"{change.value:+.4f} [{change.interval[0]:+.4f}, {change.interval[1]:+.4f}]"


def _scores(probs: np.ndarray, answers: Answers) -> Scores:
    p, y = check(probs, answers.labels)
    floor, p95 = noise_floor(p)
    gaps = p.max(1) - (p.argmax(1) == y)
    return Scores(
        ece=ece(p, y),
        ece_noise_floor=floor,
        ece_noise_p95=p95,
        nll=nll(p, y),
        gap=Change(value=float(gaps.mean()), interval=mean_interval(gaps, answers.groups)),
        reliability=tuple(Bin(**asdict(b)) for b in reliability_bins(p, y)),
    )


def _draws(groups: int, seed: int = 0) -> np.ndarray:
    """How often each group is drawn [R, G] in resamples of whole groups."""
    return np.random.default_rng(seed).multinomial(groups, np.full(groups, 1 / groups), RESAMPLES)


def _resampled_ece(probs: np.ndarray, labels: np.ndarray, member: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """ECE [R] of each resample of groups."""
    p, y = check(probs, labels)
    gaps, index = p.max(1) - (p.argmax(1) == y), bin_index(p.max(1), BINS)
    groups = draws.shape[1]
    sums = np.bincount(member * BINS + index, gaps, groups * BINS).reshape(groups, BINS)
    return np.abs(draws @ sums).sum(1) / (draws @ np.bincount(member, minlength=groups))
