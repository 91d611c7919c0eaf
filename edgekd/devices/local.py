"""This machine: every job in a fresh process on processors of its own, while the process that waits for it sleeps."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Self

from pydantic import Field

from edgekd.devices import (
    RUNNER,
    DeviceError,
    DeviceLost,
    DeviceOptions,
    NothingToCleanUp,
    Parcel,
    RunsTheRunner,
    software,
)

KIND = "local"
CPU = Path("/sys/devices/system/cpu")
CHANGES_SPEED = ("GLIBC_TUNABLES", "MALLOC_", "LD_PRELOAD", "OMP_", "KMP_", "GOMP_", "OPENBLAS_", "MKL_", "TBB_")


class Options(DeviceOptions):
    """`cpus`: those to run on, () for the fastest that this process may use, as many as threads."""

    place: str = "here"
    cpus: tuple[int, ...] = ()
    python: str = Field("", description="another interpreter, for runtimes that live in an environment of their own")


def connect(name: str, options: Options) -> Local:
    """This machine as a device."""
    return Local(name, options)


class Local(RunsTheRunner, NothingToCleanUp):
    """A device whose jobs are processes of this machine."""

    provenance = "hardware"

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.cpus = options.cpus or fastest_first(allowed())
        self.cores: int | None = len(self.cpus)
        self.python = options.python or sys.executable

    def __enter__(self) -> Self:
        self.software = ask([self.python, "-I"], plain_environment())
        return self

    def refuses(self, format: str, threads: int) -> str:
        """Nothing is refused: what is not installed is a row that failed, and says so."""
        return ""

    def run(self, parcel: Parcel) -> bytes:
        """Run the job in a fresh process.

        Raises: DeviceError if it crashes or takes too long.
        """
        cpus = tuple(sorted(self.cpus[: parcel.job.threads]))
        with tempfile.TemporaryDirectory(prefix="edgekd-") as folder:
            Parcel(parcel.job.model_copy(update={"cpus": cpus}), parcel.files).unpack(Path(folder))
            command = [self.python, "-I", str(RUNNER), folder]
            return run_here(command, self.options.limit_s, plain_environment())


def run_here(command: list[str], limit_s: float, env: dict[str, str] | None = None) -> bytes:
    """What a command on this machine prints; this process sleeps meanwhile.

    Raises: DeviceError if the command cannot start, fails, or takes longer than the limit.
    """
    where = Path(command[0]).name
    try:
        done = subprocess.run(command, capture_output=True, timeout=limit_s, stdin=subprocess.DEVNULL, env=env)
    except subprocess.TimeoutExpired:
        raise DeviceError(where, f"a result within {limit_s:.0f} s", "none", "raise limit_s of the device") from None
    except OSError as e:
        raise DeviceError(where, "a command that can be started", e.strerror or str(e)) from None
    if done.returncode:
        raise DeviceError(where, "a result", _death(done.returncode, done.stderr))
    return done.stdout


def ask(python: list[str], env: dict[str, str]) -> dict[str, str]:
    """The versions that a Python on this machine answers with.

    Raises: DeviceLost if it does not start.
    """
    try:
        return software.read(run_here([*python, "-c", software.SCRIPT], software.LOOK_S, env)).software
    except DeviceError as e:
        raise DeviceLost(e.where, e.expected, e.found, e.todo) from None
    except ValueError as e:
        raise DeviceLost(Path(python[0]).name, "a Python that tells its versions", str(e)) from None


def plain_environment() -> dict[str, str]:
    """This process's environment without what makes libraries faster or slower than an app would find them."""
    return {name: value for name, value in os.environ.items() if not name.startswith(CHANGES_SPEED)}


def allowed() -> list[int]:
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def fastest_first(cpus: list[int], root: Path = CPU) -> tuple[int, ...]:
    """Processors by highest clock; of equal ones the last first, as systems serve their devices on the first."""

    def clock(cpu: int) -> tuple[int, int]:
        try:
            return int((root / f"cpu{cpu}/cpufreq/cpuinfo_max_freq").read_text()), cpu
        except (OSError, ValueError):
            return 0, cpu

    return tuple(sorted(cpus, key=clock, reverse=True))


def _death(code: int, stderr: bytes) -> str:
    if code < 0:
        return f"the process crashed ({signal.Signals(-code).name})"
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    return f"the process ended with code {code}: {lines[-1][:300] if lines else 'it said nothing'}"
