"""Run the jobs: devices side by side, artefacts in turn over rounds, every document kept as soon as it is there."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from edgekd.benchmarking.jobs import Entry, Workshop
from edgekd.benchmarking.schema import FailedRow
from edgekd.benchmarking.subject import Artefact
from edgekd.devices import Device, DeviceLost, software
from edgekd.devices.document import DeviceDocument, Job, System, printable, read_document
from edgekd.errors import EdgekdError, several
from edgekd.files import write_atomic

HERE = "here"  # the place of devices that share this machine

Step = Callable[[str], None]


@dataclass
class DeviceOutcome:
    """What one device gave: its rows with their documents in order of rounds, what failed, and why it gave up."""

    device: Device
    entries: list[Entry] = field(default_factory=list)
    documents: dict[str, list[DeviceDocument]] = field(default_factory=dict)  # by key
    failed: dict[str, FailedRow] = field(default_factory=dict)  # by key
    failure: str = ""

    @property
    def system(self) -> System | None:
        """The machine as it described itself last."""
        return next((d.system for found in self.documents.values() for d in reversed(found)), None)


@dataclass(frozen=True)
class DocumentStore:
    """Documents on disk, one file per row and round: what an interrupted benchmark goes on from."""

    folder: Path

    def path(self, job: Job) -> Path:
        """Where the document of a job is."""
        return self.folder / f"{job.key}.{job.round}.json"

    def load(self, job: Job) -> DeviceDocument | None:
        """The document of a job; None if there is none, or none that is whole."""
        try:
            return read_document(self.path(job).read_bytes(), str(self.path(job)), job)
        except (OSError, EdgekdError):
            return None

    def save(self, job: Job, document: DeviceDocument) -> None:
        """Keep a document."""
        write_atomic(self.path(job), document.text() + "\n")


@dataclass(frozen=True)
class BenchmarkPlan:
    """What to measure, how often, and where documents are kept."""

    workshop: Workshop
    artefacts: list[Artefact]
    threads: tuple[int, ...]
    rounds: int
    store: DocumentStore
    step: Step
    stop: threading.Event = field(default_factory=threading.Event)


def run(plan: BenchmarkPlan, devices: dict[str, Device]) -> dict[str, DeviceOutcome]:
    """Measure on all devices; those at different places side by side.

    What a device cannot do is in its outcome. An interrupt ends the benchmark after the jobs under way; their documents
    are kept.
    """
    outcomes = {name: DeviceOutcome(device) for name, device in devices.items()}
    places: dict[str, list[str]] = {}
    for name, device in sorted(devices.items(), key=lambda item: item[1].provenance == "emulated"):
        places.setdefault(place(name, device), []).append(name)
    groups = [[(name, outcomes[name]) for name in names] for names in places.values()]
    if len(groups) == 1:  # in this thread, so that an interrupt reaches the job at once
        _run_each(plan, groups[0])
    else:
        _side_by_side(plan, groups)
    return outcomes


def place(name: str, device: Device) -> str:
    """Where a device is; an emulator is on this machine."""
    return device.options.place or (HERE if device.provenance == "emulated" else f"device {name}")


def _side_by_side(plan: BenchmarkPlan, groups: list[list[tuple[str, DeviceOutcome]]]) -> None:
    faults: list[BaseException] = []

    def work(group: list[tuple[str, DeviceOutcome]]) -> None:
        try:
            _run_each(plan, group)
        except BaseException as e:
            faults.append(e)

    threads = [threading.Thread(target=work, args=(group,), daemon=True) for group in groups]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        plan.stop.set()
        plan.step("the jobs under way come to their end first; interrupt again to leave at once")
        for thread in threads:
            thread.join()
        raise
    if faults:
        raise faults[0]


def _run_each(plan: BenchmarkPlan, group: Iterable[tuple[str, DeviceOutcome]]) -> None:
    for name, outcome in group:
        try:
            with outcome.device:
                _run_device(plan, name, outcome)
        except Exception as e:  # lost, or a fault of its module: neither may cost the rows of others
            outcome.failure = printable(str(e) if isinstance(e, EdgekdError) else f"{type(e).__name__}: {e}")
            if not outcome.entries:
                outcome.entries = list(plan.workshop.entries(name, outcome.device, plan.artefacts, plan.threads))
            for entry in outcome.entries:
                if len(outcome.documents.get(entry.key, [])) < _rounds(plan, outcome.device):
                    outcome.failed.setdefault(entry.key, failed(entry, "device", outcome.failure))
            plan.step(f"{name}: {outcome.failure}")


def _rounds(plan: BenchmarkPlan, device: Device) -> int:
    """Numerics are the same in every round."""
    return plan.rounds if device.provenance == "hardware" else 1


def _run_device(plan: BenchmarkPlan, name: str, outcome: DeviceOutcome) -> None:
    device = outcome.device
    outcome.entries = list(plan.workshop.entries(name, device, plan.artefacts, plan.threads))
    for round in range(_rounds(plan, device)):
        for entry in outcome.entries:
            if plan.stop.is_set():
                return
            if entry.key not in outcome.failed:
                _run_entry(plan, entry, round, outcome)


def _run_entry(plan: BenchmarkPlan, entry: Entry, round: int, outcome: DeviceOutcome) -> None:
    """One job: taken up from disk, or run. What fails is not kept, so that it is tried again by `--resume`."""
    parcel = plan.workshop.parcel(entry, round, outcome.device)
    versions = {**_told(outcome, entry), **entry.software}
    document = plan.store.load(parcel.job)
    if document is None or software.differing(document, versions):
        plan.step(f"{entry}, round {round + 1} of {_rounds(plan, outcome.device)}")
        try:
            document = read_document(outcome.device.run(parcel), f"result of {entry}", parcel.job)
            if document.failure is None:
                _check_versions(document, versions, entry)
        except DeviceLost:
            raise
        except EdgekdError as e:
            outcome.failed[entry.key] = failed(entry, "device", str(e))
            return
        if document.failure:
            outcome.failed[entry.key] = failed(entry, document.failure.stage, document.failure.reason)
            return
        plan.store.save(parcel.job, document)
    outcome.documents.setdefault(entry.key, []).append(document)


def _check_versions(document: DeviceDocument, expected: dict[str, str], entry: Entry) -> None:
    """Refuse what other versions answered: something was installed while the benchmark ran."""
    problems = software.differing(document, expected)
    if problems:
        todo = "--resume asks the device again, and measures anew what other versions have answered"
        raise several(f"result of {entry} by other versions than when the device was asked", problems, todo)


def _told(outcome: DeviceOutcome, entry: Entry) -> dict[str, str]:
    """The versions of the row's earlier rounds: a row is of one runtime, also where a device tells versions only then."""
    return {
        name: version for d in outcome.documents.get(entry.key, [])[:1] for name, version in software.told(d).items()
    }


def failed(entry: Entry, stage: str, reason: str) -> FailedRow:
    """A row that a device owes."""
    return FailedRow(
        device=entry.device,
        format=entry.artefact.format,
        threads=entry.threads,
        stage=stage,
        reason=printable(reason),
    )
