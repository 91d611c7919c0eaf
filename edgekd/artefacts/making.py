"""One format, from the graph to a verified file with its row in the manifest, or to a rejected one with its reasons."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import __version__
from edgekd.artefacts import heatmaps, verification
from edgekd.artefacts.validation import Validation, golden
from edgekd.artefacts.verification import Calibration, Limits, ReferenceLogits
from edgekd.bundle import ARTEFACTS, CARD, ArtefactRecord, Bundle, FileRecord
from edgekd.errors import EdgekdError, missing_package
from edgekd.files import sha256_file, write_atomic
from edgekd.measures import selective
from edgekd.measures.calibration import fit_temperature, softmax
from edgekd.measures.drift import Drift
from edgekd.quantization.graph import Graph
from edgekd.reports.card import model_card
from edgekd.runtimes import FileFacts, Format, Io, Runtime
from edgekd.runtimes.isolated import Isolated

DESCRIPTION = "Image classifier written by edgekd. Research demonstration, not a medical device."

Step = Callable[[str], None]
Writer = Callable[[FileFacts, Path], None]  # writes the format's file(s)


@dataclass
class ExportPlan:
    """A format to write, from which graph, and under which limits."""

    bundle: Bundle
    format: Format
    module: Runtime
    graph: Graph | None  # None for what a generic converter makes of a network that has none
    source: str
    reference: ReferenceLogits
    io: Io = "uint8"
    limits: Limits = field(default_factory=Limits)
    write: Writer | None = None  # other than the runtime's own; its file is no writing of the graph, so not linted
    instead_of: Mapping[str, tuple[str, ...]] = field(
        default_factory=dict
    )  # sources rejected before, and their problems
    heatmap: heatmaps.Wanted | None = None  # the second output, where the file shall have it

    def facts(self, temperature: float) -> FileFacts:
        """What goes into the file beside the graph."""
        m = self.bundle.manifest
        name = f"{m.name} {self.format.name}"
        return FileFacts(name, DESCRIPTION, m.label_names, m.input, temperature, self.io, m.licence, __version__)

    @property
    def step(self) -> float | None:
        """The scale of int8 logits."""
        graph = self.int8_graph
        return graph.grid(graph.output.name).scale if graph is not None else None

    @property
    def int8_graph(self) -> Graph | None:
        """The graph on the int8 grid that the file is a writing of; None for every other file."""
        if self.graph is None or self.write is not None:
            return None
        return self.written if self.graph.is_quantized else None

    @property
    def written(self) -> Graph:
        """The graph as it is written: with its heat map, where the file shall have one."""
        assert self.graph is not None  # only other writers do without
        return self.heatmap.graph if self.heatmap else self.graph

    def path(self, folder: Path) -> Path:
        """The file to load, in `folder`."""
        return folder / f"{self.format.name}{self.format.suffixes[0]}"

    def hashes(self, path: Path) -> dict[str, str]:
        """sha256 of the format's files by name, the one to load, `path`, first."""
        return {path.with_suffix(s).name: sha256_file(path.with_suffix(s)) for s in self.format.suffixes}

    def file_records(self, path: Path) -> dict[str, FileRecord]:
        """Hash and size of the same."""
        found = self.hashes(path)
        return {n: FileRecord(sha256=h, size_bytes=path.with_name(n).stat().st_size) for n, h in found.items()}

    def make(self, temperature: float, folder: Path) -> Path:
        """Write the file(s) into `folder`."""
        path = self.path(folder)
        if self.write:
            self.write(self.facts(temperature), path)
        else:
            self.module.write(self.written, self.format, self.facts(temperature), path)
        return path


@dataclass
class ExportOutcome:
    """What became of a format. `problems` is empty for a file that ships."""

    format: str
    path: Path
    seconds: float
    problems: list[str]
    record: ArtefactRecord | None = None
    report: dict[str, Any] = field(default_factory=dict)


def make(plan: ExportPlan, validation: Validation | None, step: Step) -> ExportOutcome:
    """Write, verify, and name a format's files; without `validation` only what was verified before can be made again.

    Raises: EdgekdError if a package is missing, the runtime crashes, or there is nothing to verify with.
    """
    if plan.format.missing:
        where = f"format {plan.format.name!r}"
        raise missing_package(plan.format.missing[0].replace("_", "-"), plan.format.extra, where)
    begin = time.perf_counter()
    folder = plan.bundle.folder / ARTEFACTS
    temporary = folder / f".{plan.format.name}.{os.getpid()}.tmp"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise EdgekdError(str(folder), "a place that can be written", str(e)) from None
    try:
        if validation is None:
            return _again(plan, temporary, begin, step)
        return _verified(plan, validation, temporary, begin, step)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _again(plan: ExportPlan, temporary: Path, begin: float, step: Step) -> ExportOutcome:
    """Write a file that was verified before, and see that it has the same bytes."""
    record = plan.bundle.manifest.artefacts.get(plan.format.name)
    where = f"format {plan.format.name!r} of {plan.bundle.folder}"
    todo = "--data PATH of the images that the bundle was made from"
    if record is None or record.source != plan.source or record.io != plan.io:
        raise EdgekdError(where, "images to verify it on", "none, and it was not verified before", todo)
    step("write")
    path = plan.make(record.calibration_temperature, temporary)
    verified, checked = heatmaps.files_of(record, plan.heatmap is not None), (plan, path)
    if verified is None:  # a map is new to the file, whose verification holds if it is the same without one
        bare = replace(plan, heatmap=None)
        verified, checked = record.files, (bare, bare.make(record.calibration_temperature, temporary / "bare"))
    if checked[0].hashes(checked[1]) != {name: f.sha256 for name, f in verified.items()}:
        others = "other bytes than those that were verified (another version of a package writes them)"
        raise EdgekdError(where, "images to verify it on", f"none, and {others}", todo)
    step("verify")
    problems, pixels = _lint(plan, record.calibration_temperature, path), golden(plan.bundle)["pixels"]
    with Isolated() as child:
        probs = child.load(plan.format.name, path).probs(pixels)
    found = verification.parity(probs, plan.reference.golden, record.calibration_temperature, plan.step)
    if plan.write is None:
        problems += verification.parity_problems(found, plan.format)
    report: dict[str, Any] = {}
    if checked[0] is not plan:
        step("heat map")
        record, report, wrong = heatmaps.added(plan, record, path, pixels)
        problems += wrong
    elif (plan.heatmap is not None) != record.has_heatmap:
        record = heatmaps.turned(record)
    outcome = ExportOutcome(plan.format.name, plan.path(path.parent.parent), 0.0, problems, record, report)
    return _settle(plan, outcome, path, begin)


def _verified(plan: ExportPlan, validation: Validation, temporary: Path, begin: float, step: Step) -> ExportOutcome:
    step("write")
    path = plan.make(1.0, temporary)
    with Isolated() as child:
        step("temperature")
        child.load(plan.format.name, path)
        logits = verification.logits_of(child.probs(validation.pixels), 1.0)
    temperature = fit_temperature(logits, validation.labels)
    path = plan.make(temperature, temporary)
    step("lint")
    problems = _lint(plan, temperature, path)
    step("parity")
    images = validation.pixels[: verification.PARITY_IMAGES]
    golden_pixels = golden(plan.bundle)["pixels"]
    with Isolated() as child:  # a fresh process, on the file that will ship
        child.load(plan.format.name, path)
        probs, on_golden, runtime = child.probs(images), child.probs(golden_pixels), child.describe()
    assert plan.reference.validation is not None  # as there are images
    expected = np.concatenate([plan.reference.golden, plan.reference.validation])
    parity = verification.parity(np.concatenate([on_golden, probs]), expected, temperature, plan.step)
    if plan.write is None:  # other writers choose their own ranges: for them the drift gate alone decides
        problems += verification.parity_problems(parity, plan.format)
    if np.abs(probs - softmax(logits[: len(images)], temperature)).max() > 1e-4:
        problems.append("with its temperature the file gives other probabilities than without it")
    report: dict[str, Any] = {"parity": parity.model_dump(), "runtime": runtime}
    if hasattr(plan.module, "KEEPS_TENSORS") and (graph := plan.int8_graph) is not None:
        step("operators")
        found_operators, wrong = verification.recomputed(graph, plan.format, path, golden_pixels)
        report["operators"], problems = found_operators, problems + wrong
    mapped = None
    if plan.heatmap:
        step("heat map")
        both = np.concatenate([golden_pixels, images])
        mapped, wrong = heatmaps.verify(plan, plan.heatmap, path, temperature, both)
        problems += wrong
    step("drift")
    float_probs = softmax(validation.float_logits)
    found, over = verification.gate(softmax(logits, temperature), validation, float_probs, plan.limits)
    problems += over
    calibration = verification.calibration(logits, validation.labels, temperature)
    report |= _facts(plan, validation, found, calibration) | {"golden_probs": on_golden.tolist()}
    conformal = selective.fit(softmax(logits, temperature), validation.labels, validation.groups)
    record = _record(plan, path, report, found, calibration, validation, parity.top1_agreement)
    if mapped is None:
        mapped = heatmaps.kept(plan.bundle.manifest.artefacts.get(plan.format.name), record)
    record = record.model_copy(update={"conformal": conformal, "heatmap": mapped})
    report |= {"heatmap": mapped.model_dump(exclude={"other_files"})} if plan.heatmap and mapped else {}
    outcome = ExportOutcome(plan.format.name, plan.path(temporary.parent), 0.0, problems, record, report)
    return _settle(plan, outcome, path, begin)


def _lint(plan: ExportPlan, temperature: float, path: Path) -> list[str]:
    """What is wrong with a file's structure; other writers' files have their own."""
    if plan.write or plan.graph is None:
        return []
    return plan.module.lint(plan.written, plan.format, plan.facts(temperature), path)


def _facts(plan: ExportPlan, validation: Validation, found: Drift, calibration: Calibration) -> dict[str, Any]:
    names = plan.bundle.manifest.label_names
    return {
        "schema": "edgekd.verification/1",
        "format": plan.format.name,
        "source": plan.source,
        "instead_of": dict(plan.instead_of),
        "limits": plan.limits.model_dump(),
        "drift": {
            "images": found.images,
            **found.facts,
            "smallest_significant_pp": found.smallest_significant_pp,
            "recall_change_pp": dict(zip(names, found.recall_change_pp, strict=True)),
            "flips": [validation.names[i] for i in found.flips],
        },
        "calibration": calibration.model_dump(),
    }


def _record(
    plan: ExportPlan,
    path: Path,
    report: dict[str, Any],
    found: Drift,
    calibration: Calibration,
    validation: Validation,
    agreement: float,
) -> ArtefactRecord:
    float_right = float((validation.float_logits.argmax(1) == validation.labels).mean())
    return ArtefactRecord(
        scheme=plan.format.scheme,
        source=plan.source,
        instead_of=dict(plan.instead_of),
        io=plan.io,
        files=plan.file_records(path),
        report=f"{ARTEFACTS}/{plan.format.name}.json",
        calibration_temperature=calibration.temperature,
        val_accuracy=float_right + found.accuracy_change_pp / 100,
        val_images=found.images,
        drift_pp=found.accuracy_change_pp,
        flips=len(found.flips),
        drift_interval_pp=found.interval_pp,
        groups=found.groups,
        p=found.p,
        mcnemar_p=found.mcnemar_p,
        **calibration.model_dump(exclude={"temperature"}),
        top1_agreement=agreement,
    )


def _settle(plan: ExportPlan, outcome: ExportOutcome, path: Path, begin: float) -> ExportOutcome:
    """Give a file its name; a file with problems gets another name, and a report that says why."""
    outcome.seconds = time.perf_counter() - begin
    ending = ".rejected" if outcome.problems else ""
    if not ending:
        _release(plan)
    for suffix in reversed(plan.format.suffixes):  # the one to load appears last
        target = outcome.path.with_suffix(suffix)
        path.with_suffix(suffix).replace(target.with_name(target.name + ending))
    if not outcome.problems:
        for old in outcome.path.parent.glob(f"{plan.format.name}.*rejected*"):  # of an earlier attempt
            old.unlink()
    if outcome.problems:
        outcome.report["problems"] = outcome.problems
        outcome.path = outcome.path.with_name(outcome.path.name + ending)
    if outcome.report:
        report = outcome.path.parent / f"{plan.format.name}{ending}.json"
        write_atomic(report, json.dumps(outcome.report, indent=1, ensure_ascii=False) + "\n")
    return outcome


def _release(plan: ExportPlan) -> None:
    """Take files that are about to change out of the manifest: a kill between the two leaves a bundle that still opens."""
    if plan.format.name in plan.bundle.manifest.artefacts:
        plan.bundle = plan.bundle.without_artefacts([plan.format.name])


def amend(outcome: ExportOutcome, found: dict[str, Any]) -> None:
    """Add to the report of a rejected file."""
    outcome.report |= found
    report = outcome.path.parent / f"{outcome.format}.rejected.json"
    write_atomic(report, json.dumps(outcome.report, indent=1, ensure_ascii=False) + "\n")


def enter(bundle: Bundle, outcome: ExportOutcome) -> Bundle:
    """The bundle with the outcome's files and record in its manifest."""
    record = outcome.record
    assert record is not None  # what was verified has one
    names = [f"{ARTEFACTS}/{name}" for name in record.files]
    if (bundle.folder / record.report).is_file():
        names.append(record.report)
    artefacts = bundle.manifest.artefacts | {outcome.format: record}
    card = model_card(bundle.manifest.model_copy(update={"artefacts": artefacts}), bundle.folder)
    bundle = bundle.without([CARD], artefacts=artefacts)  # so that a kill before the end leaves a bundle that opens
    write_atomic(bundle.folder / CARD, card)
    return bundle.enriched([*names, CARD])
