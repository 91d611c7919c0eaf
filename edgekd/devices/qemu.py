"""ARM processors under qemu's user mode: numerics and instruction counts, never a time or a memory size.

`make arm-root` builds what is emulated (`arm_root.py`). Each job runs the same runner as hardware does. Instructions are
counted over one inference (tensor in, run, tensor out) by a run of its own with one test image, in an older qemu that has
plugins; where its answer is not the one of the main run, the document says so in a note.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any, Literal, Self

from edgekd.devices import (
    RUNNER,
    DeviceError,
    DeviceLost,
    DeviceOptions,
    NothingToCleanUp,
    Parcel,
    RunsTheRunner,
    arm_root,
)
from edgekd.devices.document import Job, Test
from edgekd.devices.local import ask, run_here
from edgekd.errors import EdgekdError

KIND = "qemu"
KINDS = ("total", "sdot", "load_store")  # as the plugin writes them; the last two only for aarch64
OF_THE_HOST = (
    "cores",
    "governor",
    "max_frequency_mhz",
    "memory_mib",
    "model",
)  # of `System`: would describe this machine


class Options(DeviceOptions):
    """`cpu`: the processor to play; `count`: whether to count instructions."""

    cpu: Literal["cortex-a53", "cortex-a72", "cortex-a76", "cortex-a7"]
    count: bool = True


def connect(name: str, options: Options) -> Qemu:
    """An emulated processor as a device."""
    return Qemu(name, options)


class Qemu(RunsTheRunner, NothingToCleanUp):
    """A device whose jobs are emulated processes of this machine."""

    provenance = "emulated"

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.cores: int | None = 1  # threads change neither numerics nor, worth telling, counts

    def __enter__(self) -> Self:
        try:
            self.root = arm_root.find()
        except EdgekdError as e:
            raise DeviceLost(e.where, e.expected, e.found, e.todo) from None
        self.emulator = version(self.root.command(self.options.cpu, ())[0])
        self.program = type(self).program + arm_root.made_of()
        self.software = ask(self.root.command(self.options.cpu, ()), environment()) | {"emulator": self.emulator}
        return self

    def refuses(self, format: str, threads: int) -> str:
        """The root has a runtime for TFLite files alone."""
        return "" if format.startswith("tflite") else "the emulated root has a runtime for TFLite files alone"

    def run(self, parcel: Parcel) -> str:
        """Run the job under emulation, then count.

        Raises: DeviceError if the emulated process crashes or takes too long.
        """
        document = self._answer(parcel)
        if document.get("failure") is None:
            document["emulation"] = {"emulator": self.emulator, "cpu_model": self.options.cpu, "instructions": {}}
            if self.options.count and self.root.counts and parcel.job.test:
                self._count(parcel, document)
        return json.dumps(document)

    def _answer(self, parcel: Parcel) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            parcel.unpack(Path(folder))
            command = self.root.command(self.options.cpu, [str(RUNNER), folder])
            document = read(run_here(command, self.options.limit_s, environment()))
        for name in OF_THE_HOST:
            document.get("system", {}).pop(name, None)
        return document

    def _count(self, parcel: Parcel, document: dict[str, Any]) -> None:
        """Add the instructions of one inference to a document."""
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            Parcel(first_image(parcel.job), parcel.files).unpack(Path(folder))
            out = Path(folder) / "counts"
            command, more = self.root.counting(self.options.cpu, out, [str(RUNNER), folder])
            try:
                found = read(run_here(command, self.options.limit_s, environment() | more))
                document["emulation"]["instructions"] = between_marks(out.read_text(encoding="utf-8"), self.options.cpu)
            except (DeviceError, OSError) as e:
                document.setdefault("notes", []).append(f"instructions were not counted: {e}")
                return
        if found.get("probs") != document["probs"][:1]:
            words = "the emulator that counts gave another answer to the first image than the one that answered"
            document.setdefault("notes", []).append(words)


def first_image(job: Job) -> Job:
    """A job that has test images, with one golden and one test image."""
    golden, test = job.golden, job.test
    assert test is not None
    one = golden.model_copy(
        update={
            "images": golden.images[:1],
            "decoded_sha256": golden.decoded_sha256[:1],
            "probs": golden.probs[:1],
        }
    )
    return job.model_copy(
        update={"golden": one, "test": Test(pixels=test.pixels, indices=test.indices[:1])},
    )


def between_marks(text: str, cpu: str) -> dict[str, int]:
    """Instructions between the marks 0 and 1, by kind.

    Raises: DeviceError if the marks are not there.
    """
    marks = {int(line.split()[0]): [int(word) for word in line.split()[1:]] for line in text.splitlines()}
    if 0 not in marks or 1 not in marks:
        raise DeviceError("counted instructions", "the marks 0 and 1", f"{sorted(marks)}")
    counts = [end - begin for begin, end in zip(marks[0], marks[1], strict=True)]
    kinds = KINDS if arm_root.CPUS[cpu] == "aarch64" else KINDS[:1]
    return dict(zip(kinds, counts, strict=False))


def environment() -> dict[str, str]:
    """What the emulated process sees of this one's."""
    return {"PATH": os.environ.get("PATH", ""), "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def version(emulator: str) -> str:
    """Like "qemu-aarch64 10.0.13"."""
    done = subprocess.run([emulator, "--version"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    if done.returncode or len(words) < 3:
        raise DeviceLost(emulator, "an emulator that starts", done.stderr.strip()[:200], arm_root.TODO)
    return f"{words[0]} {words[2]}"


def read(output: bytes) -> dict[str, Any]:
    """The runner's document."""
    try:
        found = json.loads(output)
    except ValueError as e:
        raise DeviceError("the emulated runner", "one JSON document", str(e)) from None
    if not isinstance(found, dict):
        raise DeviceError("the emulated runner", "one JSON object", type(found).__name__)
    return found
