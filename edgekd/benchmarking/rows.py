"""From the documents of a row's rounds to the row of the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from edgekd.benchmarking import trust
from edgekd.benchmarking.jobs import Entry
from edgekd.benchmarking.schema import (
    Distribution,
    DriftRecord,
    EmulatedMeasurement,
    Flip,
    FromFiles,
    HardwareMeasurement,
    Limit,
    Memory,
    Numerics,
    PacedRun,
    Row,
    Stages,
    Sustained,
    TimedRow,
)
from edgekd.benchmarking.subject import Images
from edgekd.devices.document import Conditions, DeviceDocument, FromFile, System, Times
from edgekd.errors import EdgekdError
from edgekd.measures.drift import drift
from edgekd.measures.evaluation import evaluate
from edgekd.measures.latency import core, limit_ms, summarize

Part = TypeVar("Part")


def row(
    entry: Entry,
    documents: Sequence[DeviceDocument],
    images: Images,
    label_names: Sequence[str],
    macs: int,
) -> Row:
    """One row of the report; its drift is still open. The first document is that of round 0, which has the answers.

    Raises: EdgekdError for answers that are no probabilities.
    """
    found = timed(entry, documents, macs)
    probs = answers(documents[0])
    numerics = _numerics(entry, probs, images, label_names)
    files = from_files(entry, documents[0].from_files, probs) if documents[0].from_files else None
    return Row(**dict(found), numerics=numerics.model_copy(update={"from_files": files}))


def timed(entry: Entry, documents: Sequence[DeviceDocument], macs: int) -> TimedRow:
    """The row without answers: what the rounds' documents say of times, memory and golden images."""
    first, record = documents[0], entry.artefact.record
    found = TimedRow(
        key=entry.key,
        device=entry.device,
        format=entry.artefact.format,
        runtime=entry.artefact.runtime,
        scheme=record.scheme,
        source=record.source,
        io=record.io,
        files=record.files,
        size_bytes=sum(f.size_bytes for f in record.files.values()),
        threads=entry.threads,
        ran=_whole(first.runtime).model_copy(update={"threads_ran": threads_ran(documents)}),
        system=first.system,
        golden=_whole(first.golden),
        measurement=_measurement(entry, documents, macs),
    )
    notes = tuple(dict.fromkeys(note for document in documents for note in document.notes))
    return found.model_copy(update={"warnings": (*trust.warnings(found), *notes)})


def _whole(part: Part | None) -> Part:
    """A part that a document without a failure has: `read_document` refuses it otherwise."""
    assert part is not None
    return part


def answers(document: DeviceDocument) -> np.ndarray:
    """The document's probabilities [M, K] as float32."""
    return np.array(document.probs, np.float32)


def _numerics(entry: Entry, probs: np.ndarray, images: Images, label_names: Sequence[str]) -> Numerics:
    facts = images.facts
    labels = np.array(facts.labels)[list(entry.indices)]
    try:
        conformal = entry.artefact.record.conformal
        found = evaluate(probs, labels, label_names, groups=_groups(entry.indices, images), conformal=conformal)
    except ValueError as e:
        raise EdgekdError(str(entry), "probabilities of the test images", str(e)) from None
    return Numerics(answers=entry.key, indices=entry.indices, evaluation=found)


def from_files(entry: Entry, found: Sequence[FromFile], probs: np.ndarray) -> FromFiles:
    """What the way from the file changed: `found` [F] beside the device's answers [M, K] to the tensors."""
    position = {index: i for i, index in enumerate(entry.indices)}
    decoded = [(f, probs[position[sent.row]]) for f, sent in zip(found, entry.files, strict=True) if not f.problem]
    changed = [f for f, tensor in decoded if int(np.argmax(f.probs)) != int(tensor.argmax())]
    return FromFiles(
        rows=tuple(sent.row for sent in entry.files),
        not_decoded=len(found) - len(decoded),
        decoded_differ=sum(not f.decoded_equal for f, _ in decoded),
        pixels_differ=sum(f.decoded_equal and not f.pixels_equal for f, _ in decoded),
        decoder_answers=sum(not f.decoded_equal for f in changed),
        resize_answers=sum(f.decoded_equal and not f.pixels_equal for f in changed),
        largest_change=max(
            (float(np.abs(np.array(f.probs, np.float32) - tensor).max()) for f, tensor in decoded), default=0.0
        ),
    )


def _groups(indices: Sequence[int], images: Images) -> list[str] | None:
    """The groups of the images that a row answered, where they are known."""
    groups = images.facts.groups
    return [groups[i] for i in indices] if groups else None


def with_drift(found: Row, probs: np.ndarray, reference: np.ndarray, images: Images) -> Row:
    """The row with its drift: its probabilities [M, K] against the reference's [N, K] on the same images."""
    indices, names = list(found.numerics.indices), images.facts.image_names
    before, labels = reference[indices], np.array(images.facts.labels)[indices]
    d = drift(before, probs, labels, _groups(found.numerics.indices, images))
    flips = [
        Flip(
            name=names[indices[i]],
            index=indices[i],
            label=int(labels[i]),
            before=int(before[i].argmax()),
            after=int(probs[i].argmax()),
            probs_before=tuple(before[i].tolist()),
            probs_after=tuple(probs[i].tolist()),
        )
        for i in d.flips
    ]
    classes = [c.label_name for c in found.numerics.evaluation.classes]
    record = DriftRecord(
        images=d.images,
        groups=d.groups,
        flips=tuple(flips),
        only_before_right=d.only_a_right,
        only_after_right=d.only_b_right,
        accuracy_change_pp=d.accuracy_change_pp,
        interval_pp=d.interval_pp,
        p=d.p,
        mcnemar_p=d.mcnemar_p,
        recall_change_pp=dict(zip(classes, d.recall_change_pp, strict=True)),
        smallest_significant_pp=d.smallest_significant_pp,
        largest_probability_change=float(np.abs(probs - before).max()),
    )
    files = found.numerics.from_files
    if files is not None:
        flipped = {flip.index for flip in flips}
        files = files.model_copy(update={"kernel_answers": sum(row in flipped for row in files.rows)})
    return found.model_copy(
        update={"numerics": found.numerics.model_copy(update={"drift": record, "from_files": files})}
    )


def _measurement(
    entry: Entry, documents: Sequence[DeviceDocument], macs: int
) -> HardwareMeasurement | EmulatedMeasurement:
    first = documents[0]
    if first.emulation is not None:
        return EmulatedMeasurement(emulation=first.emulation)
    times = [_whole(d.times) for d in documents]
    inference = distribution(times, lambda t: t.inference_ms)
    stages = Stages(
        decode=distribution(times, lambda t: t.decode_ms),
        preprocess=distribution(times, lambda t: t.preprocess_ms),
        inference=inference,
    )
    threads = threads_ran(documents) or entry.threads
    shares = [t.processor_share for t in times if t.processor_share is not None]
    is_int8 = entry.artefact.record.scheme == "static_wi8_ai8"
    return HardwareMeasurement(
        rounds=len(times),
        import_ms=_median(times, lambda t: t.import_ms),
        load_ms=_median(times, lambda t: t.load_ms),
        first_ms=_median(times, lambda t: t.first_ms),
        cooling_s=max((t.cooling_s for t in times if t.cooling_s is not None), default=None),
        warmup_runs=min(t.warmup_runs for t in times),
        latency=inference,
        processor_share=min(shares, default=None),
        stages=stages,
        memory=_memory(times),
        sustained=_sustained(times[0]),
        paced=tuple(_paced(times[0], number) for number in range(len(times[0].paced))),
        limit=limit(first.system, [t.after for t in times], macs, threads, is_int8, inference.median_ms),
        before=tuple(t.before for t in times),
        after=tuple(t.after for t in times),
        attended=tuple(d.attended for d in documents if d.attended is not None),
    )


def threads_ran(documents: Sequence[DeviceDocument]) -> int | None:
    """The most threads that worked in a round: a busy machine may leave one of them without a processor."""
    ran = [_whole(d.runtime).threads_ran for d in documents]
    return max((count for count in ran if count is not None), default=None)


def distribution(times: Sequence[Times], samples: Callable[[Times], tuple[float, ...]]) -> Distribution:
    """The samples of all rounds, raw and summed up."""
    rounds = tuple(samples(t) for t in times)
    s = summarize([v for r in rounds for v in r])
    return Distribution(samples_ms=rounds, round_medians_ms=tuple(summarize(r).median_ms for r in rounds), **vars(s))


def _median(times: Sequence[Times], value: Callable[[Times], float]) -> float:
    return float(np.median([value(t) for t in times]))


def _median_known(times: Sequence[Times], value: Callable[[Times], float | None]) -> float | None:
    """None where no round tells it."""
    known = [v for v in map(value, times) if v is not None]
    return float(np.median(known)) if known else None


def _memory(times: Sequence[Times]) -> Memory:
    increase = _median(times, lambda t: t.peak_rss_mib - t.bare_rss_mib)
    bare, peak = _median(times, lambda t: t.bare_rss_mib), _median(times, lambda t: t.peak_rss_mib)
    return Memory(
        bare_rss_mib=bare,
        peak_rss_mib=peak,
        increase_mib=increase,
        pss_before_mib=_median_known(times, lambda t: t.pss_before_mib),
        pss_after_mib=_median_known(times, lambda t: t.pss_after_mib),
    )


def _sustained(times: Times) -> Sustained | None:
    windows = times.sustained
    if not windows:
        return None
    last = windows[-1]
    seconds = last.start_s + last.runs / last.images_per_s
    return Sustained(seconds=seconds, windows=windows, last_over_first=last.images_per_s / windows[0].images_per_s)


def _paced(times: Times, number: int) -> PacedRun:
    found = times.paced[number]
    return PacedRun(
        fps=found.fps,
        runs=len(found.runs_ms),
        dropped=found.dropped,
        latency=distribution([times], lambda t: t.paced[number].runs_ms),
        temperature_c=found.temperature_c,
        frequency_mhz=found.frequency_mhz,
        thermal_headroom=found.thermal_headroom,
        battery_temperature_c=found.battery_temperature_c,
    )


def limit(
    system: System, after: Sequence[Conditions], macs: int, threads: int, is_int8: bool, median_ms: float
) -> Limit | None:
    """The ratio to the arithmetic limit; None where the core or its clock is not known."""
    known = core(system.cpu, system.cpu_features)
    clocks = [c.frequency_mhz for c in after if c.frequency_mhz]
    frequency = system.max_frequency_mhz or (float(np.median(clocks)) if clocks else None)
    if known is None or frequency is None:
        return None
    least = limit_ms(known, macs, frequency, threads, is_int8)
    return Limit(
        core=known.name,
        macs_per_cycle=float(known.int8 if is_int8 else known.fp32),
        frequency_mhz=frequency,
        limit_ms=least,
        ratio=median_ms / least,
    )
