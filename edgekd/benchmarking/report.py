"""One benchmark from start to end: measure, merge, compare with the float student, and write the report's files."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import __version__
from edgekd.benchmarking import rows as merging
from edgekd.benchmarking import running, subject
from edgekd.benchmarking.jobs import Entry, Workshop
from edgekd.benchmarking.running import BenchmarkPlan, DeviceOutcome, DocumentStore
from edgekd.benchmarking.schema import (
    ANSWERS,
    FLIPPED,
    DeviceRecord,
    FailedRow,
    LeftOut,
    ReferenceRecord,
    Report,
    Row,
    Settings,
    TimedRow,
    TimesReport,
)
from edgekd.benchmarking.subject import Images
from edgekd.bundle import ARTEFACTS, Bundle
from edgekd.devices import Device
from edgekd.devices.document import DeviceDocument, Timing
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.evaluation import evaluate

PARTS, WORK = "parts", ".work"  # documents, kept; files for devices, removed at the end


@dataclass(frozen=True)
class Wish:
    """What to measure: formats () for all, threads () for 1, 2 and 4, images None for the whole test split."""

    formats: tuple[str, ...] = ()
    threads: tuple[int, ...] = ()
    rounds: int = 3
    timing: Timing = field(default_factory=Timing)
    data: str = ""
    images: int | None = None
    command: str = "python -m edgekd.benchmark"


def benchmark(
    bundle: Bundle, devices: dict[str, Device], wish: Wish, out: Path, step: Callable[[str], None]
) -> Report | TimesReport:
    """Measure the bundle's artefacts on the devices, and write `report.json` and what belongs to it into `out`.

    Where no data is named and the bundle's own images are not there, it is `times.json`.
    Raises: EdgekdError if there is nothing to measure, or no device gave a row; what single devices cannot do is in the
    report.
    """
    images = subject.images(bundle, wish.data, wish.images)
    if images is None:
        step("no images: times and golden vectors only; with --data PATH images are answered too")
    artefacts, left_out = subject.artefacts(bundle, wish.formats, out / ARTEFACTS, step)
    try:
        workshop = Workshop.open(bundle, images, wish.timing, out / WORK)
        plan = BenchmarkPlan(workshop, artefacts, wish.threads, wish.rounds, DocumentStore(out / PARTS), step)
        outcomes = running.run(plan, devices)
    finally:
        shutil.rmtree(out / WORK, ignore_errors=True)
    return assemble(plan, outcomes, wish, out, left_out)


def assemble(
    plan: BenchmarkPlan,
    outcomes: dict[str, DeviceOutcome],
    wish: Wish,
    out: Path,
    left_out: tuple[LeftOut, ...] = (),
) -> Report | TimesReport:
    """The report of what devices gave, written into `out`.

    Raises: EdgekdError if there is no row at all.
    """
    bundle, images = plan.workshop.bundle, plan.workshop.images
    found, failed, probs = _rows(bundle, images, outcomes)
    if not found:
        reasons = "; ".join(dict.fromkeys(f"{f.device} {f.format}: {f.reason}" for f in failed))
        raise EdgekdError("benchmark", "at least one row", f"none ({reasons or 'no device takes these artefacts'})")
    facts: dict[str, Any] = {
        "edgekd": __version__,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": wish.command,
        "bundle": subject.bundle_facts(bundle),
        "settings": Settings(rounds=wish.rounds, timing=wish.timing, threads=wish.threads, formats=wish.formats),
        "devices": {name: _device(outcome) for name, outcome in outcomes.items()},
        "failed": tuple(failed),
        "left_out": left_out,
    }
    if images is None:
        times = TimesReport(**facts, rows=tuple(found))
        times.save(out)
        return times
    reference, answers = _reference(images, found, probs, bundle.manifest.label_names)
    if answers is not None:
        found = [merging.with_drift(row, probs[row.key], answers, images) for row in found]
    report = Report(**facts, data=images.facts, reference=reference, rows=tuple(found))
    _write_arrays(report, images, probs, answers, out)
    report.save(out)
    return report


def _rows(
    bundle: Bundle, images: Images | None, outcomes: dict[str, DeviceOutcome]
) -> tuple[list[Any], list[FailedRow], dict[str, np.ndarray]]:
    """Rows that were measured (`TimedRow` without images), those that were not, and the answers by key."""
    found: list[Any] = []
    failed, probs = [], {}
    names, macs = bundle.manifest.label_names, bundle.manifest.network.macs
    for outcome in outcomes.values():
        for entry in outcome.entries:
            problem = outcome.failed.get(entry.key)
            documents = outcome.documents.get(entry.key, [])
            if documents:
                try:
                    row = _row(entry, documents, images, names, macs)
                    if problem:  # what was measured before is not lost
                        words = f"only {len(documents)} rounds were measured: {problem.reason}"
                        row = row.model_copy(update={"warnings": (*row.warnings, words)})
                    found.append(row)
                    if images is not None:
                        probs[entry.key] = merging.answers(documents[0])
                except EdgekdError as e:
                    problem = running.failed(entry, "probabilities", str(e))
            if problem:
                failed.append(problem)
    return found, failed, probs


def _row(
    entry: Entry, documents: list[DeviceDocument], images: Images | None, names: Sequence[str], macs: int
) -> TimedRow:
    if images is None:
        return merging.timed(entry, documents, macs)
    return merging.row(entry, documents, images, names, macs)


def _reference(
    images: Images, rows: Sequence[Row], probs: dict[str, np.ndarray], names: Sequence[str]
) -> tuple[ReferenceRecord | None, np.ndarray | None]:
    """What drift is against, with its answers [N, K]; None where no float network answered all images."""
    row = None
    found, words = images.reference, "the float student in torch"
    if found is None:
        whole = [r for r in rows if r.scheme == "fp32" and len(r.numerics.indices) == images.facts.images]
        whole.sort(key=lambda r: r.measurement.provenance == "emulated")
        if not whole:
            return None, None
        row = whole[0]
        found, words = probs[row.key], f"{row.format} on {row.device}"
    reference = ReferenceRecord(
        source="row" if row else "bundle",
        row=row.key if row else "",
        answers=row.key if row else "reference",
        words=words,
        evaluation=evaluate(found, np.array(images.facts.labels), names, groups=images.facts.groups),
    )
    return reference, found


def _device(outcome: DeviceOutcome) -> DeviceRecord:
    options = outcome.device.options
    return DeviceRecord(
        kind=options.kind,
        description=options.description,
        provenance=outcome.device.provenance,
        system=outcome.system,
        failure=outcome.failure,
    )


def _write_arrays(
    report: Report, images: Images, probs: dict[str, np.ndarray], reference: np.ndarray | None, out: Path
) -> None:
    """Write the answers of all rows, and the pixels of images that some row flips."""
    from safetensors.numpy import save

    answers = probs | {"labels": np.array(images.facts.labels, np.int64)}
    if reference is not None and report.reference and report.reference.source == "bundle":
        answers["reference"] = reference.astype(np.float32)
    flips = {f.index for row in report.rows if row.numerics.drift for f in row.numerics.drift.flips}
    write_atomic(out / ANSWERS, save(answers))
    write_atomic(out / FLIPPED, save({str(i): np.ascontiguousarray(images.pixels[i]) for i in sorted(flips)}))
