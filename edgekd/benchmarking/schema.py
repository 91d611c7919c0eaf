"""`report.json` (`edgekd.benchmark/1`): what a benchmark found, for people's pages and for programs.

Without test images it is `times.json` (`edgekd.times/1`), the same without answers.

Provenance is a type: a measurement on hardware has times and memory, an emulated one has no such fields, so that no
report can show them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgekd.bundle import FileRecord
from edgekd.devices.document import (
    Attended,
    Conditions,
    Document,
    Emulation,
    GoldenCheck,
    Provenance,
    RuntimeFacts,
    RuntimeName,
    System,
    Timing,
    Window,
)
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.intervals import LEVEL
from edgekd.preprocess import InputContract
from edgekd.section import Section, validate

REPORT, TIMES = "report.json", "times.json"
ANSWERS = "answers.safetensors"  # `labels` [N], `reference` [N, K], and by row key the probabilities [M, K] float32
FLIPPED = "flipped.safetensors"  # pixels [S, S, 3] uint8 of every image that some row flips, by `Flip.index` as text


class Distribution(Section):
    """Times of one image in ms; `samples_ms` are raw, one list per round (a fresh process each)."""

    samples_ms: tuple[tuple[float, ...], ...]
    count: int
    median_ms: float
    p90_ms: float
    p99_ms: float
    mean_ms: float
    std_ms: float
    round_medians_ms: tuple[float, ...]  # their spread is the error between processes


class Stages(Section):
    """Decode, preprocess and inference apart, of one image."""

    decode: Distribution
    preprocess: Distribution
    inference: Distribution


class Memory(Section):
    """Resident memory of the process; `increase_mib` is what the artefact adds to the bare runtime.

    PSS, which shares pages out among their users, is what Android counts; None elsewhere.
    """

    bare_rss_mib: float
    peak_rss_mib: float
    increase_mib: float
    pss_before_mib: float | None = None
    pss_after_mib: float | None = None


class Sustained(Section):
    """A long run: does the speed hold? `last_over_first` is the throughput of the last window over that of the first."""

    seconds: float
    windows: tuple[Window, ...]
    last_over_first: float


class PacedRun(Section):
    """At a camera's rate: single runs, and how many of the frames came while one was still at work."""

    fps: float
    runs: int
    dropped: int
    latency: Distribution
    temperature_c: float | None = None
    frequency_mhz: float | None = None
    thermal_headroom: float | None = None
    battery_temperature_c: float | None = None


class Limit(Section):
    """How far from what the core's arithmetic units could do: `ratio` is median_ms / limit_ms, 1 being perfect."""

    core: str  # Cortex-A76, Zen 4 with AVX-512 VNNI
    macs_per_cycle: float
    frequency_mhz: float
    limit_ms: float
    ratio: float


class HardwareMeasurement(Section):
    """Measured on the thing itself. Medians over rounds for `load_ms`, `first_ms` and memory."""

    provenance: Literal["hardware"] = "hardware"
    rounds: int
    import_ms: float
    load_ms: float
    first_ms: float
    cooling_s: float | None = None  # the longest wait for a device that was warm; None in a report of an older version
    warmup_runs: int
    latency: Distribution  # of inference
    processor_share: float | None = None  # the least of the rounds; below 1 others had the processor
    stages: Stages
    memory: Memory
    sustained: Sustained | None = None
    paced: tuple[PacedRun, ...] = ()
    limit: Limit | None = None  # None where the core or its clock is not known
    before: tuple[Conditions, ...]  # per round
    after: tuple[Conditions, ...]
    attended: tuple[Attended, ...] = ()  # per round, of phones


class EmulatedMeasurement(Section):
    """Measured under an emulator: numerics (in the row) and instruction counts. Time and memory do not exist here."""

    provenance: Literal["emulated"] = "emulated"
    emulation: Emulation


Measurement = Annotated[HardwareMeasurement | EmulatedMeasurement, Field(discriminator="provenance")]


class Flip(Section):
    """An image whose most probable class is another than the reference's. Classes index `label_names`."""

    name: str
    index: int  # row of `answers.safetensors`
    label: int
    before: int
    after: int
    probs_before: tuple[float, ...]
    probs_after: tuple[float, ...]


class DriftRecord(Section):
    """Paired comparison with the float reference on the same images; a change is `after - before`.

    `p` is that of `edgekd.measures.paired.sign_flip_p` over `groups`, McNemar's where these are not known.
    """

    images: int
    groups: int | None = None
    flips: tuple[Flip, ...]
    only_before_right: int
    only_after_right: int
    accuracy_change_pp: float
    interval_pp: tuple[float, float] | None = None  # 95 %; None in a report of an older version
    p: float | None = None  # None there too
    mcnemar_p: float
    recall_change_pp: dict[str, float | None]  # by label name; None for a class without images
    smallest_significant_pp: float | None  # None: so few groups cannot show a significant change
    largest_probability_change: float

    @property
    def tested_p(self) -> float:
        """The p that verdicts use; of an older report McNemar's."""
        return self.mcnemar_p if self.p is None else self.p

    @property
    def is_significant(self) -> bool:
        """Whether chance alone would seldom do it."""
        return self.tested_p < LEVEL


class FromFiles(Section):
    """Test images answered from their files on as well, beside the tensors that were sent, on the same device.

    The step to blame is the first that gives other bytes than the sender's: the decoder, or the resize of an image that was
    decoded alike. `..._answers`: images whose most probable class it changed. `kernel_answers`: to the same tensor the device
    gives another class than the reference.
    """

    rows: tuple[int, ...]  # of `answers.safetensors`
    not_decoded: int
    decoded_differ: int
    pixels_differ: int
    decoder_answers: int
    resize_answers: int
    kernel_answers: int | None = None  # None without a reference
    largest_change: float  # of a probability, file against tensor


class Numerics(Section):
    """The device's own answers. `answers` is the tensor's name in `answers.safetensors`.

    `indices`: the images that this row answered, as rows of `Report.data.image_names`; an emulator may answer few.
    """

    answers: str
    indices: tuple[int, ...]
    evaluation: Evaluation
    drift: DriftRecord | None = None  # None where there is no float reference
    from_files: FromFiles | None = None  # None where no files were sent, or the device takes tensors alone


class TimedRow(Section):
    """One artefact on one device with one number of threads: what can be measured without test images."""

    key: str
    device: str
    format: str
    runtime: RuntimeName
    scheme: Literal["fp32", "fp16", "static_wi8_ai8"]
    source: str  # float, qat, or the method of post-training quantization
    io: Literal["uint8", "int8"]
    files: dict[str, FileRecord]
    size_bytes: int
    threads: int  # asked for; `ran.threads_ran` says what was observed
    ran: RuntimeFacts
    system: System
    golden: GoldenCheck
    measurement: Measurement
    warnings: tuple[str, ...] = ()  # why a number cannot be trusted


class Row(TimedRow):
    """The same with the device's answers to the test images."""

    numerics: Numerics


class FailedRow(Section):
    """A row that a device owes, and why."""

    device: str
    format: str
    threads: int
    stage: str  # one of `edgekd.devices.document.STAGES`, or "device" if the device itself failed
    reason: str


class LeftOut(Section):
    """An artefact of the bundle that no device was given: its file did not travel, and cannot be made here. `reason`: why."""

    format: str
    reason: str


class DeviceRecord(Section):
    """A device that took part. `failure` "" or why it gave up; `system` None if it never answered."""

    kind: str  # module in edgekd.devices
    description: str
    provenance: Provenance
    system: System | None
    failure: str = ""


class BundleFacts(Section):
    """What was measured."""

    name: str
    manifest_sha256: str
    network: str
    width: float
    parameters: int
    macs: int
    label_names: tuple[str, ...]
    input: InputContract
    licence: str
    teacher: str = ""


class DataFacts(Section):
    """On what. `image_names` and `labels` [N] are in the order of the answers."""

    source: str
    split: str
    images: int
    of_images: int  # in the split, of which `images` were taken evenly
    listing_sha256: str
    image_names: tuple[str, ...]
    labels: tuple[int, ...]
    groups: tuple[str, ...] | None = None


class Settings(Section):
    """How it was measured."""

    rounds: int
    timing: Timing
    threads: tuple[int, ...]
    formats: tuple[str, ...]


class ReferenceRecord(Section):
    """What drift is against: the float student's stored answers (`bundle`), or a float row of this report."""

    source: Literal["bundle", "row"]
    row: str = ""  # its key
    answers: str  # tensor in `answers.safetensors`
    words: str
    evaluation: Evaluation


class Findings(Document):
    """What every benchmark tells, with test images and without."""

    edgekd: str
    created: str  # ISO 8601, UTC
    command: str  # how to reproduce it
    bundle: BundleFacts
    settings: Settings
    devices: dict[str, DeviceRecord]
    rows: tuple[TimedRow, ...]
    failed: tuple[FailedRow, ...] = ()
    left_out: tuple[LeftOut, ...] = ()


class Report(Findings):
    """All that one benchmark found."""

    schema_: Literal["edgekd.benchmark/1"] = Field("edgekd.benchmark/1", alias="schema")
    data: DataFacts
    reference: ReferenceRecord | None
    rows: tuple[Row, ...]

    def save(self, folder: Path) -> Path:
        """Write `report.json` into a folder, atomically."""
        write_atomic(folder / REPORT, self.text(indent=1) + "\n")
        return folder / REPORT


class TimesReport(Findings):
    """What a benchmark without test images found: times, memory, and that golden images are answered as verified."""

    schema_: Literal["edgekd.times/1"] = Field("edgekd.times/1", alias="schema")

    def save(self, folder: Path) -> Path:
        """Write `times.json` into a folder, atomically."""
        write_atomic(folder / TIMES, self.text(indent=1) + "\n")
        return folder / TIMES


def read_report(path: str | Path) -> Report:
    """Read what `Report.save` wrote; `path` may be its folder.

    Raises: EdgekdError for a file that is missing, or not one of ours.
    """
    path = Path(path)
    path = path / REPORT if path.is_dir() else path
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as e:
        raise EdgekdError(str(path), "a benchmark's report.json", str(e)) from None
    found = values.get("schema") if isinstance(values, dict) else None
    if found != "edgekd.benchmark/1":
        todo = "measure again, or use the edgekd version that wrote it"
        raise EdgekdError(str(path), "schema 'edgekd.benchmark/1'", repr(found), todo)
    return validate(Report, values, str(path), from_json=True)
