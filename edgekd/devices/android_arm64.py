"""The arm64 TFLite library that Android phones load, unmodified, on emulated processors: numerics, never a time.

It runs in an emulated process of its own, over glibc in place of Android's C library (`android_demo/bionic`), driven through
the app's native binding as the app's Java does, with XNNPACK. Images are decoded and resized on this machine, by the runner
that hardware uses, and the int8 logits are turned into probabilities here as everywhere. `make arm-root` and
`python -m android_demo.hermetic emulated` build what is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np

from edgekd.devices import (
    DeviceError,
    DeviceLost,
    DeviceOptions,
    NothingToCleanUp,
    Parcel,
    RunsTheRunner,
    arm_root,
    qemu,
    runner,
)
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file

KIND = "android-arm64"
NEEDED = ("driver", "libedgekd.so", "libjnitensorflowlite.so", "libc.so", "libm.so", "libdl.so", "liblog.so")
TODO = "make arm-root, then: python -m android_demo.hermetic emulated"
TYPES = {1: np.float32, 3: np.uint8, 9: np.int8}  # TFLite's numbers


class Options(DeviceOptions):
    """`cpu`: the processor to play; `library`: the folder with the library, its shim and the driver."""

    cpu: Literal["cortex-a53", "cortex-a72", "cortex-a76"]
    library: str = "android_demo/build/arm64-v8a"


def connect(name: str, options: Options) -> AndroidArm64:
    """A phone's library on an emulated processor as a device."""
    return AndroidArm64(name, options)


class AndroidArm64(RunsTheRunner, NothingToCleanUp):
    """A device whose jobs are answered by an emulated process of this machine."""

    provenance = "emulated"

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.cores: int | None = 1  # the driver asks for no more, and answers do not depend on it

    def __enter__(self) -> Self:
        try:
            root = arm_root.find().tree
        except EdgekdError as e:
            raise DeviceLost(e.where, e.expected, e.found, TODO) from None
        folder = Path(self.options.library).absolute()
        missing = [name for name in NEEDED if not (folder / name).is_file()]
        if missing:
            raise DeviceLost(f"Android library {folder}", ", ".join(NEEDED), f"no {missing[0]}", TODO)
        emulator = str(root / "qemu/usr/bin" / arm_root.EMULATORS["aarch64"])
        guest = ["-cpu", self.options.cpu, "-L", str(root / "aarch64"), "-E", f"LD_LIBRARY_PATH={folder}"]
        self.program = type(self).program + "".join(sha256_file(folder / name) for name in NEEDED)
        self.emulator, self.command = qemu.version(emulator), [emulator, *guest, str(folder / "driver")]
        self.software = runner.software() | {"emulator": self.emulator}
        return self

    def refuses(self, format: str, threads: int) -> str:
        """It is TensorFlow Lite's library."""
        return "" if format.startswith("tflite") else "Android's TFLite library runs TFLite files alone"

    def run(self, parcel: Parcel) -> str:
        """Answer the job.

        Raises: DeviceError if the emulated process crashes or takes too long.
        """
        job = parcel.job.model_dump(mode="json", by_alias=True)
        found = {"schema": "edgekd.device/1"} | {name: job[name] for name in ("key", "round", "provenance")}
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            parcel.unpack(Path(folder))
            with Driver(self.command, self.options.limit_s) as driver:
                found |= Run(Path(folder), job, driver).answer()
        found["system"] = {"machine": "aarch64", "system": "Linux, emulated", "cpu": self.options.cpu.title()}
        found["system"]["software"] = runner.software()  # of this machine, which decodes and resizes
        if "failure" not in found:
            found["emulation"] = {"emulator": self.emulator, "cpu_model": self.options.cpu, "instructions": {}}
        return json.dumps(found)


class Run(runner.Run):
    """The runner's job with the emulated library as its runtime, and nothing timed."""

    def __init__(self, folder: Path, job: dict[str, Any], driver: Driver) -> None:
        super().__init__(folder, job)
        self.runtime = driver

    def answer(self) -> dict[str, Any]:
        """What the document says of this job."""
        try:
            return self.document()
        except DeviceError:
            raise
        except Exception as e:  # as the runner does: a document says where a job stopped
            words = str(e) if isinstance(e, runner.Stop) else f"{type(e).__name__}: {e}"
            return {"failure": {"stage": self.stage, "reason": words.strip()[:500]}}

    def document(self) -> dict[str, Any]:
        """Golden vectors first, then the test images."""
        for name in self.job["files"]:
            self.check(name)
        pixels, _ = self.replay_input()
        self.stage = "runtime"
        self.load()
        found: dict[str, Any] = {"golden": self.replay_output([self.ends.feed(p[None]) for p in pixels])}
        if self.job["test"]:
            self.stage = "probabilities"
            found["probs"] = self.answers()
        driver = self.runtime
        ran = {"name": "TensorFlow Lite", "version": driver.version, "delegate": driver.delegate()}
        return found | {"runtime": ran | {"threads_asked": self.job["threads"], "threads_ran": None}}


class Driver:
    """The emulated process (`android_demo/bionic/driver.c`): a tensor in, a tensor out, or its heat map if `heatmap`."""

    def __init__(self, command: list[str], limit_s: float, heatmap: bool = False) -> None:
        self.command, self.limit_s, self.is_late = command, limit_s, False
        self.more = ["heatmap"] if heatmap else []
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.log = tempfile.TemporaryFile()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.timer.cancel()
            self.process.kill()
            self.process.wait()
            self.stdin.close()
            self.stdout.close()
        self.log.close()

    def load(self, path: Path, threads: int, size: int) -> None:
        """Start the process and read what it says of the file."""
        pipe = subprocess.PIPE
        # Unbuffered: what could not be written must not be tried again when the pipe is closed.
        command = [*self.command, str(path.resolve()), str(threads), *self.more]
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=self.log, bufsize=0)
        assert self.process.stdin
        assert self.process.stdout
        self.stdin, self.stdout = self.process.stdin, self.process.stdout
        self.timer = threading.Timer(self.limit_s, self._too_late, [self.process])
        self.timer.start()
        facts = self._line().split()
        if len(facts) != 7:
            raise self._lost()
        self.version, self.type, self.logits_scale = facts[0], TYPES[int(facts[3])], float(facts[4])
        self.input_bytes, self.output_bytes = int(facts[1]), int(facts[2])
        self.operators, self.left = int(facts[5]), int(facts[6])
        if self.input_bytes != size * size * 3:
            raise runner.Stop(f"the network takes {self.input_bytes} bytes, an image has {size * size * 3}")

    def infer(self, pixels: np.ndarray) -> np.ndarray:
        """The output [1, K] to an input [1, S, S, 3]."""
        left = memoryview(pixels.tobytes())
        try:
            while left:
                left = left[self.stdin.write(left) :]
        except OSError:
            raise self._lost() from None
        return np.frombuffer(self._read(self.output_bytes), self.type)[None]

    def delegate(self) -> str:
        """XNNPACK if it took over at least half of the operators; what it takes in one piece counts as one that is left."""
        return "XNNPACK" if 2 * self.left <= self.operators else "built-in"

    def _line(self) -> str:
        text = b""
        while not text.endswith(b"\n"):
            text += self._read(1)
        return text.decode("ascii", "replace")

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            piece = self.stdout.read(count - len(found))
            if not piece:
                raise self._lost()
            found += piece
        return found

    def _said(self) -> str:
        content = os.pread(self.log.fileno(), 2**20, 0)  # seeking would move where the process writes
        return content.decode("utf-8", "replace")

    def _too_late(self, process: subprocess.Popen[bytes]) -> None:
        self.is_late = True
        process.kill()

    def _lost(self) -> DeviceError:
        """Why the process is gone."""
        assert self.process is not None  # what was never started is not lost
        code = self.process.wait()
        if self.is_late:
            todo = "raise limit_s of the device"
            return DeviceError("the emulated driver", f"a result within {self.limit_s:.0f} s", "none", todo)
        lines = self._said().strip().splitlines()
        return DeviceError("the emulated driver", "a result", f"code {code}: {lines[-1][:300] if lines else 'no word'}")
