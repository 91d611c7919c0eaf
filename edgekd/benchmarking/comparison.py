"""Two reports: what changed in every row that both have, whether it is significant, and what goes beyond a `--limit`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from edgekd.benchmarking.limits import Excess, exceeded
from edgekd.benchmarking.schema import (
    ANSWERS,
    REPORT,
    FailedRow,
    HardwareMeasurement,
    Report,
    Row,
    TimedRow,
    read_report,
)
from edgekd.devices.document import Document, Provenance
from edgekd.errors import EdgekdError
from edgekd.measures.drift import drift
from edgekd.measures.intervals import LEVEL
from edgekd.measures.latency_ratio import median, ratio
from edgekd.section import Section

Answers = Mapping[str, np.ndarray]
NAMES = {
    "accuracy_drop_pp": "accuracy before - after, in percentage points",
    "significant_drop_pp": "that drop if it is significant at 5 % (paired, by group where these are known), else 0",
    "recall_drop_pp": "the largest such drop of one class",
    "flips": "images whose answer changed",
    "ece_rise": "ECE after - before",
    "latency_ratio": "median after / before",
    "latency_ratio_low": "lower end of its 95 % interval: above 1 is significantly slower",
    "size_ratio": "bytes after / before",
    "memory_ratio": "peak resident memory after / before",
    "rows_lost": "rows of the first report that the second does not have",
}


class AccuracyChange(Section):
    """Of accuracy, in percentage points, after - before, with its 95 % interval and the p by `groups` where these are known.

    Paired on `images` that both reports answered; where `images` is None the answers are not there, and only the two
    accuracies can be compared.
    """

    before: float
    after: float
    change_pp: float
    interval_pp: tuple[float, float] | None = None
    images: int | None = None
    groups: int | None = None
    flips: int | None = None
    p: float | None = None
    mcnemar_p: float | None = None
    recall_change_pp: dict[str, float | None] = {}

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would seldom do it."""
        return self.p is not None and self.p < LEVEL


class LatencyChange(Section):
    """Medians over rounds, and after / before with its 95 % interval. `rounds`: the fewer of the two."""

    before_ms: float
    after_ms: float
    ratio: float
    interval: tuple[float, float]
    is_significant: bool
    rounds: int


class Change(Section):
    """What became of one row. Only rows from hardware have latency and memory."""

    device: str
    provenance: Provenance
    format: str
    threads: int
    accuracy: AccuracyChange
    ece: tuple[float, float]
    size_bytes: tuple[int, int]
    latency: LatencyChange | None
    peak_rss_mib: tuple[float, float] | None


class Comparison(Document):
    """What changed from one report to another."""

    schema_: Literal["edgekd.benchmark_comparison/2"] = Field("edgekd.benchmark_comparison/2", alias="schema")
    before: str
    after: str
    changes: tuple[Change, ...]
    lost: tuple[str, ...]  # rows of the first alone
    new: tuple[str, ...]
    notes: tuple[str, ...]
    limits: dict[str, float] = {}
    exceeded: tuple[Excess, ...] = ()


def judge(before: str | Path, after: str | Path, limits: Mapping[str, float]) -> Comparison:
    """Compare two report files or folders, and find what goes beyond `limits` (see NAMES).

    Raises: EdgekdError for what is no report, a limit on what no row has, or reports without a common row.
    """
    found = compare(before, after)
    rows = {row_name(c): values_of(c) for c in found.changes} | {"the whole report": {"rows_lost": len(found.lost)}}
    return found.model_copy(update={"limits": dict(limits), "exceeded": exceeded(limits, rows)})


def compare(before: str | Path, after: str | Path) -> Comparison:
    """Compare two report files or folders.

    Raises: EdgekdError for what is no report, or contradicts itself, or reports without a common row.
    """
    reports = read_report(before), read_report(after)
    answers = _answers(before), _answers(after)
    a, b = ({_name(row): row for row in report.rows} for report in reports)
    common = [name for name in a if name in b]
    if not common:
        todo = "measure the same artefacts on the same devices with the same threads"
        raise EdgekdError(f"{before} and {after}", "a row that both have", "none", todo)
    try:
        pairing, notes = _pairing(*reports, *answers)
        changes = tuple(_change(a[name], b[name], *answers, pairing) for name in common)
    except (ValueError, IndexError) as e:  # numbers that the schema allows and that cannot be
        raise EdgekdError(f"{before} or {after}", "consistent numbers and answers", str(e)) from None
    return Comparison(
        before=str(before),
        after=str(after),
        changes=changes,
        lost=tuple(name for name in a if name not in b),
        new=tuple(name for name in b if name not in a),
        notes=notes,
    )


def values_of(change: Change) -> dict[str, float | None]:
    """What a limit may be on, of one row; None for what it does not have."""
    latency, memory, accuracy = change.latency, change.peak_rss_mib, change.accuracy
    significant = None if accuracy.p is None else -accuracy.change_pp if accuracy.is_significant else 0.0
    drops = [-v for v in accuracy.recall_change_pp.values() if v is not None]
    return {
        "accuracy_drop_pp": -accuracy.change_pp,
        "significant_drop_pp": significant,
        "recall_drop_pp": max(drops, default=None),
        "flips": accuracy.flips,
        "ece_rise": change.ece[1] - change.ece[0],
        "latency_ratio": latency.ratio if latency else None,
        "latency_ratio_low": latency.interval[0] if latency else None,
        "size_ratio": change.size_bytes[1] / max(change.size_bytes[0], 1),
        "memory_ratio": memory[1] / memory[0] if memory and memory[0] > 0 else None,
    }


def row_name(row: TimedRow | FailedRow | Change) -> str:
    """How a row is called: tflite-int8 on pi5, 2 threads."""
    return f"{row.format} on {row.device}, {row.threads} thread{'s' if row.threads > 1 else ''}"


def _name(row: Row) -> str:
    return row_name(row) + (" (int8 in and out)" if row.io == "int8" else "")


def _answers(path: str | Path) -> Answers:
    """The probabilities beside a report, by tensor; none where the file is not there or is no such file."""
    folder = Path(path) if Path(path).is_dir() else Path(path).parent
    if not (folder / ANSWERS).is_file():
        return {}
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ModuleNotFoundError:
        return {}
    try:
        return load_file(folder / ANSWERS)
    except (OSError, ValueError, SafetensorError):
        return {}


@dataclass(frozen=True)
class Pairing:
    """For each image of A its index in B; labels and groups (where known) of A's images, and the label names."""

    place: dict[int, int]
    labels: tuple[int, ...]
    groups: tuple[str, ...] | None
    label_names: tuple[str, ...]


def _pairing(a: Report, b: Report, in_a: Answers, in_b: Answers) -> tuple[Pairing | None, tuple[str, ...]]:
    """The images that both have; None, with a note, where there can be no pairs."""
    if not in_a or not in_b:
        return None, (
            f"not paired, so no significance: no readable {ANSWERS} beside {REPORT}, or no safetensors package",
        )
    if a.bundle.label_names != b.bundle.label_names:
        return None, ("not paired: the label names differ",)
    place = {(name, label): i for i, (name, label) in enumerate(zip(b.data.image_names, b.data.labels, strict=True))}
    pairs = enumerate(zip(a.data.image_names, a.data.labels, strict=True))
    found = {i: place[image] for i, image in pairs if image in place}
    if not found or len(place) < len(b.data.labels):
        return None, ("not paired: the reports have no common images, or images of one name",)
    same = a.data.listing_sha256 == b.data.listing_sha256
    notes = () if same else (f"the images differ: paired by name and label, {len(found)} are in both",)
    return Pairing(found, a.data.labels, a.data.groups, a.bundle.label_names), notes


def _change(a: Row, b: Row, in_a: Answers, in_b: Answers, pairing: Pairing | None) -> Change:
    x, y = a.measurement, b.measurement
    latency: LatencyChange | None = None
    peak_rss_mib: tuple[float, float] | None = None
    if isinstance(x, HardwareMeasurement) and isinstance(y, HardwareMeasurement):
        latency = _latency(x.latency.samples_ms, y.latency.samples_ms)
        peak_rss_mib = x.memory.peak_rss_mib, y.memory.peak_rss_mib
    return Change(
        device=b.device,
        provenance=y.provenance,
        format=b.format,
        threads=b.threads,
        accuracy=_accuracy(a, b, in_a, in_b, pairing),
        ece=(a.numerics.evaluation.ece, b.numerics.evaluation.ece),
        size_bytes=(a.size_bytes, b.size_bytes),
        latency=latency,
        peak_rss_mib=peak_rss_mib,
    )


def _latency(before: tuple[tuple[float, ...], ...], after: tuple[tuple[float, ...], ...]) -> LatencyChange:
    found = ratio(before, after)
    return LatencyChange(
        before_ms=median(before),
        after_ms=median(after),
        ratio=found.value,
        interval=(found.low, found.high),
        is_significant=found.is_significant,
        rounds=min(len(before), len(after)),
    )


def _accuracy(a: Row, b: Row, in_a: Answers, in_b: Answers, pairing: Pairing | None) -> AccuracyChange:
    """Paired on the images that both rows answered, or else the difference of two accuracies."""
    before, after = a.numerics.evaluation.accuracy, b.numerics.evaluation.accuracy
    probs_a, probs_b = in_a.get(a.numerics.answers), in_b.get(b.numerics.answers)
    if pairing and probs_a is not None and probs_b is not None:
        in_row_b = {image: i for i, image in enumerate(b.numerics.indices)}
        both = [(i, in_row_b.get(pairing.place.get(image, -1)), image) for i, image in enumerate(a.numerics.indices)]
        kept = np.array([found for found in both if found[1] is not None], int).reshape(-1, 3)
        if len(kept):
            labels = np.array(pairing.labels)[kept[:, 2]]
            groups = [pairing.groups[image] for image in kept[:, 2]] if pairing.groups else None
            d = drift(probs_a[kept[:, 0]], probs_b[kept[:, 1]], labels, groups)
            return AccuracyChange(
                before=before,
                after=after,
                change_pp=d.accuracy_change_pp,
                interval_pp=d.interval_pp,
                images=d.images,
                groups=d.groups,
                flips=len(d.flips),
                p=d.p,
                mcnemar_p=d.mcnemar_p,
                recall_change_pp=dict(zip(pairing.label_names, d.recall_change_pp, strict=True)),
            )
    return AccuracyChange(before=before, after=after, change_pp=100 * (after - before))
