"""What goes to a device (`edgekd.job/1`) and what comes back (`edgekd.device/1`): plain JSON, so that any language can.

One document comes from one fresh process. The Python runner (`edgekd/devices/runner.py`) and the demo app write the same.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from edgekd.bundle import FileRecord
from edgekd.errors import EdgekdError
from edgekd.preprocess import Finite, InputContract, Positive
from edgekd.section import Section, validate

MAX_DOCUMENT_BYTES = 64 * 2**20  # 1,000 classes of 1,000 images are 20 MiB; more is not one of ours

Provenance = Literal["hardware", "emulated"]
RuntimeName = Literal["tflite", "onnx", "openvino"]
STAGES = ("files", "runtime", "decode", "preprocess", "probabilities", "measure")  # where a device can fail
Stage = Literal["files", "runtime", "decode", "preprocess", "probabilities", "measure"]


def printable(text: str) -> str:
    """Text of a device, without what would steer a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


Words = Annotated[str, Field(max_length=10_000), AfterValidator(printable)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # of time, memory, work


class Document(Section):
    """Base of the documents that carry a schema."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    def text(self, indent: int | None = None) -> str:
        """The document as JSON."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), indent=indent, ensure_ascii=False)


class Golden(Section):
    """The golden vectors of a job: image files, the input tensor they must give, the probabilities to expect.

    `pixels` is an .npy file, [G, S, S, 3] uint8, equal to the bit. Probabilities [G][K] hold within `tolerance`
    (absolute): kernels of other processors add in another order.
    """

    images: tuple[str, ...]
    decoded_sha256: tuple[str, ...]  # of each image's decoded RGB bytes, row by row: tells decoding from resizing
    pixels: str
    probs: tuple[tuple[Finite, ...], ...]
    tolerance: float = Field(gt=0, lt=1)


class TestFiles(Section):
    """Image files [F] of some test images, to be answered from the file on too, as an app would.

    `rows`: of `Test.pixels`, where the tensor is that the file has to give.
    """

    __test__ = False  # no test class for pytest

    images: tuple[str, ...]
    rows: tuple[int, ...]
    decoded_sha256: tuple[str, ...]  # as of golden images


class Test(Section):
    """The images to answer: `pixels` is an .npy file, [N, S, S, 3] uint8; `indices` are the rows to take, in order."""

    __test__ = False

    pixels: str
    indices: tuple[int, ...]
    files: TestFiles | None = None


class Timing(Section):
    """How long to measure. `min_runs` runs and `min_seconds`, whichever is reached first; `sustained_s` 0: not at all.

    `fps`: at these rates of a camera too, each for `paced_s`. Before: a wait of at most `cool_s` for a device that is not
    warm, and a warm-up of `warmup_runs` and `warmup_s`, whichever is reached last.
    """

    warmup_runs: int = Field(10, ge=0)
    min_runs: int = Field(200, ge=1)
    min_seconds: float = Field(10.0, gt=0, le=7200)
    sustained_s: float = Field(0.0, ge=0, le=7200)
    fps: tuple[Annotated[float, Field(gt=0, le=1000)], ...] = Field((), max_length=8)
    paced_s: float = Field(10.0, gt=0, le=3600)
    warmup_s: float = Field(0.0, ge=0, le=600)
    cool_s: float = Field(0.0, ge=0, le=3600)


class Job(Document):
    """`job.json`: one artefact to run once, in a fresh process, in a folder that holds the files it names.

    `test` None: no answers asked for (later rounds). `timing` None: nothing is timed (and never for "emulated").
    """

    schema_: Literal["edgekd.job/1"] = Field("edgekd.job/1", alias="schema")
    key: str  # of the row: artefact, device, threads and settings
    round: int = Field(ge=0)
    provenance: Provenance
    format: str
    runtime: RuntimeName
    files: dict[str, FileRecord]  # everything in the folder, the artefact's file to load first
    input: InputContract
    label_names: tuple[str, ...]
    io: Literal["uint8", "int8"]
    calibration_temperature: float
    golden: Golden
    test: Test | None = None
    timing: Timing | None = None
    threads: int = Field(ge=1)
    cpus: tuple[int, ...] = ()  # to run on; () leaves it to the system

    @model_validator(mode="after")
    def _emulation_has_no_time(self) -> Job:
        if self.provenance == "emulated" and self.timing is not None:
            raise ValueError("an emulated job with timing: emulated time means nothing")
        return self


class RuntimeFacts(Section):
    """What ran. `threads_ran` None where it cannot be observed; `cure` keeps int8 sums from saturating."""

    name: Words  # LiteRT, tflite-runtime, ONNX Runtime, OpenVINO
    version: Words
    delegate: Words  # XNNPACK, built-in, CPU
    threads_asked: int
    threads_ran: int | None = Field(ge=0)
    cure: Words = ""


class System(Section):
    """The machine as it describes itself; "" or None for what it does not say."""

    machine: Words  # x86_64, aarch64, armv7l
    system: Words  # Linux 6.12, Android 14
    model: Words = ""  # Raspberry Pi 5 Model B Rev 1.0
    cpu: Words = ""  # Cortex-A76, AMD EPYC
    cores: int | None = None
    cpu_features: tuple[Words, ...] = ()  # those that decide how fast int8 is
    governor: Words = ""
    max_frequency_mhz: Amount | None = None
    memory_mib: Amount | None = None
    software: dict[Words, Words] = {}  # python, numpy, app


class Conditions(Section):
    """The state of the machine at one moment. `throttled` None: it does not say."""

    load_1min: Amount | None = None
    frequency_mhz: Amount | None = None  # highest of the cores
    temperature_c: Finite | None = None
    throttled: bool | None = None
    throttling: Words = ""  # in words; on Android the thermal status: none, light, moderate, ...
    thermal_headroom: Amount | None = None  # Android's: 1 is where it slows down severely, 0 is 30 degrees below
    battery_temperature_c: Finite | None = None
    battery_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    charging: bool | None = None


class GoldenCheck(Section):
    """The replay: `largest_change` of a probability against the expected ones."""

    images: int
    input_equal: Literal[True] = True
    largest_change: Amount
    tolerance: Amount


class Window(Section):
    """A piece of a sustained run, from `start_s` on."""

    start_s: Amount
    runs: int = Field(ge=1)
    images_per_s: Positive
    median_ms: Amount
    temperature_c: Finite | None = None
    frequency_mhz: Amount | None = None
    thermal_headroom: Amount | None = None
    battery_temperature_c: Finite | None = None


class Paced(Section):
    """A run at a camera's rate: between two frames the device may rest. `dropped`: frames that came while one was at work."""

    fps: Positive
    runs_ms: tuple[Positive, ...] = Field(min_length=1)
    dropped: int = Field(ge=0)
    temperature_c: Finite | None = None  # at the end, as the others
    frequency_mhz: Amount | None = None
    thermal_headroom: Amount | None = None
    battery_temperature_c: Finite | None = None


class Times(Section):
    """What one process on hardware measured; every sample is one image. Stages are of the golden images, in turn."""

    import_ms: Amount  # of the runtime's package
    load_ms: Amount
    first_ms: Amount
    cooling_s: Amount | None = (
        None  # waited for a device that was warm; None in a document of an older runner, as below
    )
    warmup_runs: int
    warmup_s: Amount | None = None
    inference_ms: tuple[Positive, ...] = Field(min_length=1)
    processor_share: Amount | None = None  # processor seconds per second of those runs
    decode_ms: tuple[Amount, ...] = Field(min_length=1)
    preprocess_ms: tuple[Amount, ...] = Field(min_length=1)
    sustained: tuple[Window, ...] = ()
    paced: tuple[Paced, ...] = ()
    bare_rss_mib: Amount  # runtime imported, no artefact
    peak_rss_mib: Amount  # after the timed runs, before anything that only the benchmark needs
    pss_before_mib: Amount | None = None  # Android's total PSS of the app, before loading
    pss_after_mib: Amount | None = None  # and after the timed runs
    before: Conditions
    after: Conditions


class PhoneState(Section):
    """Heat and power of a phone as its host sees them; "", None or empty for what it does not say."""

    thermal_status: Words = ""  # none, light, moderate, ...
    temperatures_c: dict[Words, Finite] = {}  # by sensor
    battery_percent: Annotated[float, Field(ge=0, le=100)] | None = None
    battery_temperature_c: Finite | None = None
    power: Words = ""  # USB, AC; "" on battery


class Attended(Section):
    """What the host of a phone saw and did around a run, beside the app's own report."""

    compiled: Words = ""  # how ART had compiled the app: speed, verify, ...
    before: PhoneState
    after: PhoneState


class Emulation(Section):
    """What an emulator can honestly tell: which processor it plays, and how many instructions ran."""

    emulator: Words  # qemu-aarch64 10.0.2
    cpu_model: Words  # cortex-a76
    instructions: dict[Words, Annotated[int, Field(ge=0)]] = {}  # of one inference, by kind: total, sdot, ...


class FromFile(Section):
    """A test image answered from its file on: which step gave the sender's bytes, and the probabilities [K].

    Where the device could not decode it, there are none, and `problem` says why.
    """

    decoded_equal: bool
    pixels_equal: bool
    probs: tuple[Finite, ...]
    problem: Words = ""


class Failure(Section):
    """Where a device stopped, and why. A golden mismatch is the stage whose result differs."""

    stage: Stage
    reason: Words


class DeviceDocument(Document):
    """What a device prints, once per job.

    Either `failure`, or everything else that the job asked for: `probs` [N][K] in the order of the job's indices,
    `times` from hardware, `emulation` from an emulator, never both.
    """

    schema_: Literal["edgekd.device/1"] = Field("edgekd.device/1", alias="schema")
    key: str
    round: int
    provenance: Provenance
    system: System
    runtime: RuntimeFacts | None = None
    golden: GoldenCheck | None = None
    probs: tuple[tuple[Finite, ...], ...] | None = None
    from_files: tuple[FromFile, ...] | None = None  # None also of a device that answers tensors alone
    times: Times | None = None
    emulation: Emulation | None = None
    attended: Attended | None = None
    failure: Failure | None = None
    notes: tuple[Words, ...] = ()  # warnings

    @model_validator(mode="after")
    def _is_whole(self) -> DeviceDocument:
        if self.provenance == "emulated" and self.times is not None:
            raise ValueError("an emulated document with times: emulated time means nothing")
        if self.provenance == "hardware" and self.emulation is not None:
            raise ValueError("a hardware document with an emulation")
        if self.failure is None and (self.runtime is None or self.golden is None):
            raise ValueError("neither a failure nor a runtime and a golden check")
        if self.failure is None and self.provenance == "emulated" and self.emulation is None:
            raise ValueError("an emulated document that does not say what was emulated")
        return self


def read_document(text: str | bytes, where: str, job: Job | None = None) -> DeviceDocument:
    """A device's document, checked, also against the job it answers.

    Raises: EdgekdError for anything else: what a device sends is not trusted.
    """
    if len(text) > MAX_DOCUMENT_BYTES:
        raise EdgekdError(where, f"at most {MAX_DOCUMENT_BYTES} bytes", f"{len(text)} bytes")
    try:
        values: Any = json.loads(text)
    except (ValueError, RecursionError) as e:
        raise EdgekdError(where, "one JSON document", f"{type(e).__name__}: {e}") from None
    found = validate(DeviceDocument, values, where, from_json=True)
    if job is not None:
        _check_answer(found, job, where)
    return found


def _check_answer(found: DeviceDocument, job: Job, where: str) -> None:
    """Refuse a document that answers another job, or only part of it."""
    asked, got = (job.key, job.round, job.provenance), (found.key, found.round, found.provenance)
    if asked != got:
        raise EdgekdError(where, f"an answer to job {asked}", f"one to {got}")
    if found.failure is not None:
        return
    assert found.golden is not None  # without a failure a document has one, or is none
    expected = f"{len(job.golden.images)} golden images, within {job.golden.tolerance}"
    if found.golden.images != len(job.golden.images) or found.golden.largest_change > job.golden.tolerance:
        raise EdgekdError(where, expected, f"{found.golden.images}, within {found.golden.largest_change}")
    if job.timing is not None and found.times is None:
        raise EdgekdError(where, "times", "none")
    if job.test is not None:
        shape = (len(job.test.indices), len(job.label_names))
        rows = found.probs or ()
        if len(rows) != shape[0] or any(len(row) != shape[1] for row in rows):
            raise EdgekdError(where, f"probabilities {list(shape)}", f"{len(rows)} rows")
    _check_files(found, job, where)


def _check_files(found: DeviceDocument, job: Job, where: str) -> None:
    """Refuse answers to files that were not sent, or not to all of them."""
    if found.from_files is None:
        return
    sent = job.test.files if job.test else None
    count, sizes = len(sent.images) if sent else 0, {len(f.probs) for f in found.from_files if not f.problem}
    if len(found.from_files) != count or not sizes <= {len(job.label_names)}:
        expected = f"answers to {count} files, {len(job.label_names)} probabilities each"
        raise EdgekdError(where, expected, f"{len(found.from_files)}, of sizes {sorted(sizes)}")
