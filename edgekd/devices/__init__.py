"""Places to measure, one file per kind: a module here with `KIND` connects to what a file `NAME.toml` describes.

A device module has

    KIND: str                                             # `kind = "ssh"` in the TOML file
    class Options(DeviceOptions)                          # the other keys of that file
    def connect(name: str, options: Options) -> Device    # cheap: nothing is contacted before `with`

A device is a context manager (copy and clean up there) that runs jobs, one at a time, each in a fresh process. It may keep
files between jobs: `Parcel.files` are named by content in `Job.files[...].sha256`.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pydantic import Field

from edgekd import named
from edgekd.devices.document import Job, Provenance
from edgekd.errors import EdgekdError, nearest
from edgekd.files import sha256_file, write_atomic
from edgekd.section import Section, validate

FOLDER = Path("benchmarks/devices")  # of the place where a command runs: your own
RUNNER = Path(__file__).with_name("runner.py")
JOB = "job.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class DeviceError(EdgekdError):
    """A device that could not do a job. It costs the rows it was asked for, never the report."""


class DeviceLost(DeviceError):
    """A device that is gone (no link, no power, no space): the rest of its rows is not tried. `--resume` tries again."""


class DeviceOptions(Section):
    """What every device's `NAME.toml` may say."""

    kind: str
    description: str = ""
    formats: tuple[str, ...] = ()  # () for every format that its runtimes can run
    threads: tuple[int, ...] = ()  # () for 1, 2 and 4 where there are cores
    images: int | None = Field(None, ge=1)  # at most so many answers, evenly over the test split
    files: int = Field(0, ge=0, le=1000)  # so many of these answered from their JPEG or PNG files on as well
    warmup_s: float = Field(0.5, ge=0, le=600)  # warm up for at least so long
    limit_s: float = Field(1800.0, gt=0)  # for one job
    place: str = ""  # devices at the same place run one after another; "" for a place of its own


@dataclass(frozen=True)
class Parcel:
    """A job and the files it names, by their name in the job's folder (`/` separates folders)."""

    job: Job
    files: Mapping[str, Path]

    def unpack(self, folder: Path) -> None:
        """Make the job's folder here, with links to the files."""
        for name, path in self.files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).symlink_to(path.resolve())
        write_atomic(folder / JOB, self.job.text())


class Device(Protocol):
    """A connected place to measure.

    Inside `with` are known: `cores`, None where the device does not say; and, so that `--resume` takes up nothing of an
    earlier one, `program`, which changes with what answers there, and `software`, the versions of what that stands on, by
    name, as far as the device tells them before a job. `provenance` is that of all its results.
    """

    options: DeviceOptions
    provenance: Provenance
    cores: int | None
    program: str
    software: Mapping[str, str]

    def __enter__(self) -> Self:
        """Connect. Raises: DeviceLost."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the device as it was found."""

    def refuses(self, format: str, threads: int) -> str:
        """Why it does not run such a job at all, in words; "" if it does. Such rows are left out of the report."""

    def run(self, parcel: Parcel) -> str | bytes:
        """Run the job in a fresh process; the text of one `edgekd.device/1` document, unchecked.

        Raises: DeviceError for this job, DeviceLost for this and all that follow.
        """


class RunsTheRunner:
    """What answers is `runner.py`."""

    program = sha256_file(RUNNER)
    software: Mapping[str, str] = {}  # until it was asked


class NothingToCleanUp:
    """The end of a device's `with` where a job leaves nothing behind."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Kind(Protocol):
    """A module of this folder that defines a kind of device."""

    KIND: str
    Options: type[DeviceOptions]

    def connect(self, name: str, options: Any) -> Device:
        """The device called `name`, of these options."""


def modules() -> dict[str, Kind]:
    """The kinds of devices, by name."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(__path__):
        if info.name != RUNNER.stem:  # runs elsewhere
            module = importlib.import_module(f"{__name__}.{info.name}")
            if hasattr(module, "KIND"):
                found[module.KIND] = module
    return found


def find(name: str, folder: Path = FOLDER) -> Device:
    """The device that `folder/NAME.toml` describes, else the one of that name that travels with edgekd.

    Raises: EdgekdError for no such file, an unknown kind, or an unknown or wrong key.
    """
    if not NAME.fullmatch(name):
        raise EdgekdError(f"device {name!r}", "a name of letters, digits, '-', '_' and '.'")
    path = _file(name, folder)
    values = _read(path)
    known = modules()
    kind = values.get("kind")
    if kind not in known:
        raise EdgekdError(f"kind {kind!r} in {path}", "a known kind", todo=nearest(str(kind), known))
    return known[kind].connect(name, validate(known[kind].Options, values, str(path), from_json=True))


def _file(name: str, folder: Path) -> Path:
    folders = (folder, named.folder("devices"))
    for path in (place / f"{name}.toml" for place in folders):
        if path.is_file():
            return path
    names = {path.stem for place in folders for path in place.glob("*.toml")}
    raise EdgekdError(
        f"device {name!r}", f"a file {folder / name}.toml, or a known name", "neither", nearest(name, names)
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as e:
        raise EdgekdError(str(path), "TOML text", str(e)) from None
