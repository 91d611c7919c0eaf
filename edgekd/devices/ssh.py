"""A Raspberry Pi or any other Linux machine, through this system's OpenSSH with the user's own configuration and keys.

A job is a process of its own on the device, detached from the link, with its result in a file. One connection starts it,
unless it was started already, and waits for its end, while nothing else happens on the device. Where the link drops, the
next connection goes on: with the byte of a file that is missing, or with waiting. So a lost link costs time, not results.

What runs over there are the constant scripts below; everything that varies is an argument of theirs, quoted. Nothing is
left behind: all files are in one new folder, removed at the end.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import shlex
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, TypeVar

from pydantic import Field

from edgekd.devices import RUNNER, DeviceError, DeviceLost, DeviceOptions, Parcel, RunsTheRunner, child, software
from edgekd.devices.document import MAX_DOCUMENT_BYTES, Job
from edgekd.devices.local import CHANGES_SPEED
from edgekd.files import sha256_file

KIND = "ssh"
LINK_FAILED = 255  # ssh's own exit code
BEGIN = "edgekd:begin"  # what a login shell prints before this line is a greeting
CALL_S = 120.0  # for what takes a moment
PAUSES_S = (1.0, 2.0, 4.0, 8.0)  # between attempts to connect
FULL = ("No space left", "Disk quota exceeded")
FULL_KIB = 1024  # what is less is full
SETTINGS = (
    "BatchMode=yes",  # a question would wait for ever
    "ConnectTimeout=15",
    "ServerAliveInterval=15",
    "ServerAliveCountMax=3",
    "LogLevel=ERROR",
    "ControlMaster=no",  # one that stays would hold our pipes; one that is there is used
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
)
UNKNOWN = "Could not resolve hostname"
# What ssh says, what to do about it ({} is `ssh HOST`), and whether trying again is in vain.
TROUBLES = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "if the device was set up anew: ssh-keygen -R HOST, then {}", True),
    ("Host key verification failed", "run `{}` once, and compare and confirm its key", True),
    ("Permission denied", "make `{} true` work without a password: ssh-copy-id, or ssh-add for a locked key", True),
    ("Bad configuration option", "correct the configuration of ssh", True),
    ("Bad owner or permissions", "correct the owner and permissions of that file", True),
    ("Can't open user config file", "correct `config` of the device", True),
    (UNKNOWN, "correct `host` of the device, or name it in ~/.ssh/config", False),
    ("Connection refused", "start its ssh server: sudo systemctl enable --now ssh", False),
)

FIND = """
path=$(command -v -- "$1") || { echo "$1: not found" >&2; exit 127; }
case $path in /*) ;; *) path=$PWD/$path ;; esac
echo "$path"
exec "$path" -c "$2"
"""
OPEN = """
parent=${1:-${XDG_CACHE_HOME:-$HOME/.cache}}
mkdir -p -- "$parent" && folder=$(mktemp -d -- "$parent/edgekd.XXXXXXXX") && mkdir "$folder/files" || exit 1
cd -- "$folder" && pwd -P
"""
HAVE = """
cd -- "$1/files" || exit 1
for name in *; do [ ! -f "$name" ] || echo "$name $(wc -c <"$name")"; done
"""
SEND = """
import json, os, shutil, sys
os.chdir(sys.argv[1])
plan = json.loads(sys.argv[2])

def take(path, size):
    with open(path, "ab") as file:
        while size:
            piece = sys.stdin.buffer.read1(min(size, 65536))
            if not piece:
                sys.exit("the link dropped")
            file.write(piece)
            size -= len(piece)

for name, begin, end in plan["files"]:
    part = "files/" + name + ".part"
    if os.path.exists(part) and os.path.getsize(part) != begin:
        os.remove(part)
        sys.exit(9)
    take(part, end - begin)
    os.replace(part, "files/" + name)
shutil.rmtree("job", ignore_errors=True)
for name, sha in plan["links"].items():
    os.makedirs(os.path.dirname("job/" + name), exist_ok=True)
    os.symlink(os.path.abspath("files/" + sha), "job/" + name)
take("job/job.json", plan["job"])
"""
OVERTAKEN = 9  # by what was still on its way when the link dropped
ALIVE = """
alive() {
    [ -f "$1/pid" ] && [ ! -f "$1/code" ] && [ "$(readlink "/proc/$(cat "$1/pid")/cwd")" = "$(cd -- "$1" && pwd -P)" ]
}
"""
STOP = f"""{ALIVE}
if alive "$1/job"; then kill -s KILL -- "-$(cat "$1/job/pid")"; fi
"""
WAIT = f"""{ALIVE}
cd -- "$1/job" || exit 1
if mkdir started 2>/dev/null; then
    for name in $(env | cut -d= -f1 | grep -E "$3"); do unset "$name"; done
    setsid sh -c 'echo $$ >pid; "$1" runner.py . >out 2>err </dev/null; echo $? >new && mv new code' sh "$2" \
>/dev/null 2>&1 </dev/null &
    wait $!
fi
while [ ! -f code ]; do
    if alive .; then sleep 2; continue; fi
    sleep 1
    alive . || [ -f code ] || break
done
code=$(cat code 2>/dev/null)
echo "${{code:-gone}} $(df -Pk . | awk 'END {{ print $4 }}')"
if [ "$code" = 0 ]; then head -c "$4" out; else tail -c 2000 err; fi
"""
CPU = "/sys/devices/system/cpu"
GOVERN = """
put() { if [ -w "$2" ]; then echo "$1" >"$2"; else echo "$1" | sudo -n tee -- "$2" >/dev/null; fi; }
"""
SET_GOVERNOR = f"""{GOVERN}
for file in "$1"/cpu[0-9]*/cpufreq/scaling_governor; do
    [ -f "$file" ] && old=$(cat "$file") && [ "$old" != "$2" ] || continue
    echo "$old $file" && put "$2" "$file" || exit 1
done
"""
RESTORE_GOVERNOR = f"""{GOVERN}
while [ $# -ge 2 ]; do put "$1" "$2"; shift 2; done
"""
CLOSE = f"""{STOP}
rm -rf -- "$1" || {{ sleep 1; rm -rf -- "$1"; }}
"""
Answer = TypeVar("Answer")


class Options(DeviceOptions):
    """How to reach the device. What is not said here is in the user's ~/.ssh/config, or in the file `config`."""

    host: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.@:%\[\]-]*$")  # as in `ssh HOST`; never an option of ssh
    config: str = ""
    python: str = "python3"  # over there; one of a virtual environment, say
    folder: str = ""  # for our files over there; "" for ~/.cache
    cpus: tuple[int, ...] = ()  # to run on; () leaves it to the system
    patience_s: float = Field(120.0, ge=0)  # how long a link may be gone
    governor: Literal["", "performance"] = (
        ""  # of the clock, while we measure; then what it was. Wants sudo without password
    )


def connect(name: str, options: Options) -> Ssh:
    """A machine behind a link as a device."""
    return Ssh(name, options)


class LinkDown(Exception):
    """ssh could not connect, or the connection broke. `was_up`: the far side had answered."""

    def __init__(self, words: str, was_up: bool) -> None:
        self.words, self.was_up = words, was_up
        super().__init__(words)


class Failed(Exception):
    """A script that failed over there, with its last words."""

    def __init__(self, words: str, code: int) -> None:
        self.code = code
        super().__init__(words)


class Ssh(RunsTheRunner):
    """A device whose jobs are detached processes behind a link."""

    provenance = "hardware"

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.cores: int | None = None
        self.host = options.host  # as connections name it
        self.interpreter: software.Interpreter | None = None  # what its Python tells
        self.have: dict[str, int] | None = {}  # files over there; None after a link dropped
        self.folder = self.python = ""
        self.governed: tuple[str, ...] = ()  # governors as they were, each with its file

    def __enter__(self) -> Self:
        """Look what is there, and make the folder. The first connection has to work at once."""
        try:
            self._find()
            self.folder = self._open()
            if self.options.governor:
                self.governed = self._govern()
        except LinkDown as e:
            raise self._lost(e.words) from None
        self.cores = len(self.options.cpus) or self.cores
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(LinkDown, Failed, DeviceError):  # a device that is gone cannot be told
            self._call(RESTORE_GOVERNOR, *self.governed, limit_s=30.0)
        with contextlib.suppress(LinkDown, Failed, DeviceError):
            self._call(CLOSE, self.folder, limit_s=30.0)

    def refuses(self, format: str, threads: int) -> str:
        """Nothing is refused: what is not installed is a row that failed, and says so."""
        return ""

    def run(self, parcel: Parcel) -> bytes:
        """Run the job in a fresh process over there; goes on where the link dropped.

        Raises: DeviceError if it crashes or takes too long, DeviceLost if the link stays away or the disk is full.
        """
        packages = software.PACKAGES[parcel.job.runtime]
        if not set(self.software) & set(packages):
            words = f"the package {' or '.join(packages)}"
            raise DeviceError(self.name, words, "not installed there", self._pip(packages[:1]))
        job = parcel.job.model_copy(update={"cpus": self.options.cpus[: parcel.job.threads]})
        end = time.monotonic() + self.options.limit_s
        try:
            self._patiently(lambda: self._send(job, parcel.files, end), end)
            return self._result(self._patiently(lambda: self._wait(end), end))
        except Failed as e:
            raise DeviceError(self.name, "files that can be written there", str(e)) from None

    # --- Steps -----------------------------------------------------------------------------------------------------

    def _find(self) -> None:
        """Look at the device; where its name is not known, under that which it has in its own network."""
        try:
            self._look()
        except LinkDown as e:
            if UNKNOWN not in e.words or re.search(r"[.:]", self.host.rpartition("@")[2]):
                raise
            self.host = f"{self.options.host}.local"
            try:
                self._look()
            except LinkDown as again:
                if UNKNOWN not in again.words:
                    raise
                self.host = self.options.host
                raise e from None

    def _look(self) -> None:
        """Learn which processors and packages are there.

        Raises: DeviceLost for no Linux, or without a Python that can run the runner.
        """
        try:
            output = self._call(FIND, at_home(self.options.python), software.SCRIPT)
        except Failed as e:
            todo = "sudo apt-get install python3-venv there, or name another in `python` of the device"
            raise DeviceLost(self.name, f"a Python called {self.options.python!r}", str(e), todo) from None
        try:
            found = software.read(output)
        except ValueError:
            raise DeviceLost(self.name, "a line of JSON from its Python", repr(output[-200:])) from None
        self.python = output.decode("utf-8").splitlines()[0].strip()
        self.cores, self.software, self.interpreter = found.cores, found.software, found
        if found.os != "linux":
            raise DeviceLost(self.name, "a Linux machine", repr(found.os))
        if found.version < (3, 9):
            todo = "install a later one, and name it in `python` of the device"
            raise DeviceLost(self.name, "Python 3.9 or later", found.software["python"], todo)
        missing = [package for package in ("numpy", "pillow") if package not in found.software]
        if missing:
            words = f"the package{'s' if len(missing) > 1 else ''} {' and '.join(missing)}"
            raise DeviceLost(self.name, words, "not installed there", self._pip([*missing, "ai-edge-litert"]))

    def _open(self) -> str:
        """The absolute path of a new folder over there."""
        try:
            found = self._call(OPEN, at_home(self.options.folder)).decode("utf-8", "replace").strip()
        except Failed as e:
            todo = "name a folder that can be written in `folder` of the device"
            raise DeviceLost(self.name, "a place for files", str(e), todo) from None
        if not re.fullmatch(r"/(?:[^\x00-\x1f]*/)?edgekd\.[A-Za-z0-9]{8}", found):
            raise DeviceLost(self.name, "the path of a new folder", repr(found[:200]))
        return found

    def _govern(self) -> tuple[str, ...]:
        """Set the governor of the clock; what it was.

        Raises: DeviceLost if that is not allowed.
        """
        try:
            lines = self._call(SET_GOVERNOR, CPU, self.options.governor).decode("ascii", "replace").splitlines()
        except Failed as e:
            todo = "allow `sudo tee` without a password there, or take `governor` out of the device's file"
            raise DeviceLost(self.name, f"a clock that can be set to {self.options.governor!r}", str(e), todo) from None
        found = (re.fullmatch(r"([a-z_]{1,30}) (/[\w./-]{1,200})", line.strip()) for line in lines)
        return tuple(word for match in found if match for word in match.groups())

    def _send(self, job: Job, files: Mapping[str, Path], end: float) -> None:
        """Copy the files that are not there yet, or the rest of them, then make the job's folder of links to them."""
        have = self._have() if self.have is None else self.have
        self.have = None  # until this went well
        names = {name: record.sha256 for name, record in job.files.items()} | {"runner.py": sha256_file(RUNNER)}
        paths = {sha: RUNNER if name == "runner.py" else files[name] for name, sha in names.items()}
        parts = [
            (sha, have.get(f"{sha}.part", 0), path.stat().st_size) for sha, path in paths.items() if sha not in have
        ]
        text = job.text().encode("utf-8")
        plan = json.dumps({"files": parts, "links": names, "job": len(text)})
        given = itertools.chain(*(_pieces(paths[sha], begin) for sha, begin, _ in parts), [text])
        limit_s = max(1.0, end - time.monotonic())
        try:
            self._call(
                'exec "$1" -c "$2" "$3" "$4"', self.python, SEND, self.folder, plan, given=given, limit_s=limit_s
            )
        except Failed as e:
            if e.code != OVERTAKEN:
                raise
            raise LinkDown("a file was still being written", was_up=True) from None
        self.have = {**have, **{sha: size for sha, _, size in parts}}

    def _have(self) -> dict[str, int]:
        """Files over there with their sizes; `.part` ends the name of one that is not whole."""
        lines = self._call(HAVE, self.folder).decode("ascii", "replace")
        found = re.findall(r"^([0-9a-f]{64}(?:\.part)?) +([0-9]{1,15})\b", lines, re.MULTILINE)
        return {name: int(size) for name, size in found}

    def _wait(self, end: float) -> bytes:
        """Start the job if it was not started yet; its exit code and KiB of space left in a line, then what it printed."""
        names = "^(" + "|".join(CHANGES_SPEED) + ")"
        words = (self.folder, self.python, names, str(MAX_DOCUMENT_BYTES + 1))
        try:
            return self._call(WAIT, *words, limit_s=max(1.0, end - time.monotonic()), most=MAX_DOCUMENT_BYTES + 2**10)
        except LinkDown as e:
            if time.monotonic() < end:
                raise
            raise self._late(e) from None

    def _late(self, why: LinkDown) -> DeviceError:
        """The error for a job that took too long; the job is ended."""
        try:
            self._call(STOP, self.folder)
        except (LinkDown, Failed):
            return self._lost(why.words)
        limit = f"a result within {self.options.limit_s:.0f} s"
        return DeviceError(self.name, limit, "none", "raise limit_s of the device")

    def _result(self, output: bytes) -> bytes:
        """What the runner printed."""
        line, _, rest = output.partition(b"\n")
        code, _, free = line.decode("ascii", "replace").strip().partition(" ")
        if code == "0":
            return rest
        lines = rest.decode("utf-8", "replace").strip().splitlines()
        if any(word in line for word in FULL for line in lines) or (free.isdigit() and int(free) < FULL_KIB):
            raise self._full()
        words = lines[-1].strip()[:300] if lines else "it said nothing"
        if not code.isdigit():
            words = "it vanished without an exit code: the device restarted, or something ended it"
        elif int(code) > 128:
            words = f"it was ended by {_signal(int(code) - 128)}" + ("; too little memory?" if code == "137" else "")
        raise DeviceError(f"the runner on {self.name}", "a result", words)

    # --- The link --------------------------------------------------------------------------------------------------

    def _patiently(self, step: Callable[[], Answer], end: float) -> Answer:
        """Do a step, again where the link drops, until it has been away for too long.

        Raises: DeviceLost.
        """
        away_since, attempt = time.monotonic(), 0
        while True:
            try:
                return step()
            except LinkDown as e:
                now = time.monotonic()
                if e.was_up:
                    away_since, attempt = now, 0
                in_vain = not e.was_up and any(is_final and trouble in e.words for trouble, _, is_final in TROUBLES)
                if in_vain or now > end or now - away_since >= self.options.patience_s:
                    raise self._lost(e.words) from None
            time.sleep(min(PAUSES_S[min(attempt, len(PAUSES_S) - 1)], self.options.patience_s))
            attempt += 1

    def _call(
        self, script: str, *words: str, given: Iterable[bytes] = (), limit_s: float = CALL_S, most: int = 2**20
    ) -> bytes:
        """What a script prints over there.

        Raises: LinkDown, Failed if it fails, DeviceLost if there is no shell or no space.
        """
        far = shlex.join(["exec", "sh", "-c", f"echo {BEGIN}\n{script}", "sh", *words])
        try:
            done = child.finish([*self._ssh(), "--", self.host, far], limit_s, given, most)
        except child.TooLong:
            raise LinkDown(f"no answer within {limit_s:.0f} s", was_up=True) from None
        except child.TooMuch:
            raise DeviceLost(self.name, f"at most {most} bytes of answer", "more") from None
        except OSError as e:
            todo = "sudo apt-get install openssh-client"
            raise DeviceLost(self.name, "OpenSSH's ssh on this machine", e.strerror or str(e), todo) from None
        lines = done.out.split(b"\n")
        begin = next((i for i, line in enumerate(lines[:1000]) if line.strip() == BEGIN.encode()), None)
        if done.code == LINK_FAILED or done.code < 0:
            said = done.err.decode("utf-8", "replace").strip().splitlines()
            known = (line for line in said for trouble, *_ in TROUBLES if trouble in line)
            reason = next(known, said[-1] if said else "the connection broke")
            raise LinkDown(reason.strip(" @\r")[:300], was_up=begin is not None)
        if begin is None:
            todo = f"`{self._by_hand()} true` has to work: a login shell that runs commands, and no `exit` in its start"
            raise DeviceLost(self.name, "a POSIX shell", repr(done.words) or "nothing", todo)
        if done.code and any(word in done.err.decode("utf-8", "replace") for word in FULL):
            raise self._full()
        if done.code:
            raise Failed(done.words if done.err.strip() else f"exit code {done.code}", done.code)
        return b"\n".join(lines[begin + 1 :])

    def _ssh(self) -> list[str]:
        """The command without the host."""
        config = ["-F", str(Path(self.options.config).expanduser())] if self.options.config else []
        return ["ssh", *config, "-T", "-a", "-x", *(word for setting in SETTINGS for word in ("-o", setting))]

    # --- What to tell ----------------------------------------------------------------------------------------------

    def _by_hand(self) -> str:
        """How a person connects."""
        return shlex.join(["ssh", *(["-F", self.options.config] if self.options.config else []), self.host])

    def _lost(self, words: str) -> DeviceLost:
        todo = "is it on, and in this network? `{} true` has to work; then --resume goes on"
        todo = next((todo for trouble, todo, _ in TROUBLES if trouble in words), todo)
        todo = todo.replace("HOST", self.host).format(self._by_hand())
        return DeviceLost(self.name, f"a connection by `{self._by_hand()}`", words, todo)

    def _full(self) -> DeviceLost:
        todo = "free some there, or name another place in `folder` of the device; then --resume goes on"
        return DeviceLost(self.name, "space for files and results", f"none left in {self.folder or 'its folder'}", todo)

    def _pip(self, packages: Sequence[str]) -> str:
        """How to install packages over there."""
        assert self.interpreter is not None  # it was looked at when the device connected
        return software.installing(packages, self.interpreter, self.options.python)


def at_home(path: str) -> str:
    """A path over there: a connection starts at home, so `~/` says nothing."""
    return path.removeprefix("~/")


def _pieces(path: Path, begin: int) -> Iterator[bytes]:
    """A file's bytes from `begin` on."""
    with path.open("rb") as file:
        file.seek(begin)
        yield from iter(lambda: file.read(child.PIECE), b"")


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
