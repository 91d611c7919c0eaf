"""A phone, through `adb`: the demo app's benchmark activity runs the job, and its report is fetched and checked.

    /data/local/tmp/edgekd/RUN/                 the job, as every device gets it; apps may read there
    am start -W -S -n org.edgekd.demo/.BenchmarkActivity --es run_id RUN --es folder ... --ei threads N --ez xnnpack B
    .../Android/data/org.edgekd.demo/files/reports/RUN.json     one `edgekd.device/1`, also of a failure
    logcat, tag edgekd, priority I              `result RUN PATH SHA256`, or `failed RUN REASON`

RUN is new for each job, so that no line of an earlier one can be taken for its answer. Both places are cleared in the
end. Which adb server is asked, `ADB_SERVER_SOCKET` and `ANDROID_ADB_SERVER_PORT` say, as for every use of adb.
"""

from __future__ import annotations

import contextlib
import re
import secrets
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from edgekd.devices import JOB, DeviceError, DeviceLost, DeviceOptions, Parcel, child
from edgekd.devices.document import MAX_DOCUMENT_BYTES, printable
from edgekd.files import sha256_bytes

KIND = "adb"
APP = "org.edgekd.demo"
ACTIVITY = f"{APP}/.BenchmarkActivity"
FOLDER = "/data/local/tmp/edgekd"
TAG = "edgekd"
CRASHES = "AndroidRuntime"  # the tag of what ended an app
STORAGE = r"/(?:sdcard|storage/emulated/\d{1,4}|storage/self/primary|data/media/\d{1,4})"
CALL_S = 60.0  # for what takes a moment
CLEAR_S = 20.0
LOOK_S = 10.0  # between looks at whether the app still lives, should no line come
RETRY_S = 1.0  # after a log that broke off
FULL = ("No space left", "ENOSPC", "not enough space")
INSTALL = "make apk && adb -s {} install -r android_demo/build/edgekd-demo-0.1.0.apk"
STATES = {
    "unauthorized": "unlock the phone and accept 'Allow USB debugging' there",
    "authorizing": "unlock the phone and accept 'Allow USB debugging' there",
    "no permissions": "sudo apt-get install android-sdk-platform-tools-common, then plug the phone in again",
    "offline": "plug the phone in again, or: adb reconnect offline",
    "recovery": "start Android on it: adb reboot",
    "sideload": "start Android on it: adb reboot",
    "rescue": "start Android on it: adb reboot",
    "bootloader": "start Android on it: fastboot reboot",
}
_taken: set[str] = set()  # serials of phones that are being measured
_lock = threading.Lock()


class Options(DeviceOptions):
    """Which phone, and how the app runs a file there."""

    serial: str = ""  # as `adb devices` shows it; "" for the only one that is there
    adb: str = "adb"
    xnnpack: bool = True


def connect(name: str, options: Options) -> Adb:
    """A phone as a device."""
    return Adb(name, options)


class Adb:
    """A device whose jobs are runs of the demo app."""

    provenance = "hardware"

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options, self.serial = name, options, options.serial
        self.cores: int | None = None
        self.program = ""
        self.software: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        """Find the phone and the app."""
        self._find()
        with _lock:
            if self.serial in _taken:
                todo = "name another in `serial`, or the same `place` in the files of both, to measure in turn"
                raise DeviceLost(self.name, "a phone of its own", f"{self.serial} is being measured already", todo)
            _taken.add(self.serial)
        try:
            self._look()
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(DeviceError):
                self._shell("rmdir", FOLDER, limit_s=CLEAR_S)  # unless another run has files there
        finally:
            self._leave()

    def refuses(self, format: str, threads: int) -> str:
        """The app has a runtime for TFLite files alone."""
        return "" if format.startswith("tflite") else "the app has a runtime for TFLite files alone"

    def run(self, parcel: Parcel) -> bytes:
        """Run the job in a fresh process of the app.

        Raises: DeviceError if the app crashes, fails or takes too long, DeviceLost if the phone is gone or full.
        """
        run = f"{parcel.job.key}.{parcel.job.round}.{secrets.token_hex(4)}"
        folder, end = f"{FOLDER}/{run}", time.monotonic() + self.options.limit_s
        report = f"/sdcard/Android/data/{APP}/files/reports/{run}.json"
        try:
            self._push(parcel, folder, end)
            self._start(run, folder, parcel.job.threads)
            report, sha256 = self._watch(run, end)
            return self._pull(report, sha256)
        finally:
            with contextlib.suppress(DeviceError):
                self._shell("am", "force-stop", APP, limit_s=CLEAR_S)
                self._shell("rm", "-rf", folder, report, limit_s=CLEAR_S)

    # --- The phone and the app -------------------------------------------------------------------------------------

    def _find(self) -> None:
        """Set the serial to that of a phone that takes commands.

        Raises: DeviceLost.
        """
        if shutil.which(self.options.adb) is None:
            todo = "sudo apt-get install adb, or name it in `adb` of the device"
            raise DeviceLost(self.name, f"the program {self.options.adb!r} on this machine", "none", todo)
        null = subprocess.DEVNULL  # a server that stays must not hold our pipes
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([self.options.adb, "start-server"], stdin=null, stdout=null, stderr=null, timeout=CALL_S)
        done = self._adb("devices", "-l", is_for_all=True)
        if done.code:
            raise DeviceLost(self.name, "an adb server", said(done), "adb start-server")
        found = {}
        for line in done.out.decode("utf-8", "replace").splitlines()[1:]:
            words = line.split(maxsplit=1)
            if len(words) == 2 and not line.startswith("*"):
                found[words[0]] = next((s for s in STATES if words[1].startswith(s)), words[1].split()[0])
        names = printable(", ".join(sorted(found))) or "none"
        if not self.serial and len(found) > 1:
            raise DeviceLost(self.name, "one phone", f"{len(found)}: {names}", "name one in `serial` of the device")
        if not found or (self.serial and self.serial not in found):
            wanted = f"the phone {self.serial}" if self.serial else "a phone"
            todo = "plug it in and allow USB debugging in its developer options; `adb devices` has to list it"
            raise DeviceLost(self.name, f"{wanted} in `adb devices`", names, todo)
        self.serial = self.serial or next(iter(found))
        self._need(found[self.serial])

    def _need(self, state: str) -> None:
        """Refuse a phone that takes no commands."""
        if state != "device":
            todo = STATES.get(state, "`adb devices` has to say 'device'")
            raise DeviceLost(
                self.name, f"the phone {self.serial} ready", printable(state)[:200], f"{todo}; then --resume goes on"
            )

    def _look(self) -> None:
        """Learn how many processors there are and what will answer, and refuse what cannot be measured."""
        for name in ("ro.kernel.qemu", "ro.boot.qemu"):
            if self._shell("getprop", name)[1].strip() == "1":
                raise DeviceLost(
                    self.name, "a phone", f"the emulator {self.serial}", "an emulator's time means nothing"
                )
        code, text = self._shell("pm", "path", APP)
        if code or not text.startswith("package:"):
            todo = INSTALL.format(self.serial)
            raise DeviceLost(self.name, f"the app {APP} on {self.serial}", "it is not installed", todo)
        self.program = self._content([line.removeprefix("package:") for line in text.split()])
        self.software = self._versions()
        code, text = self._shell("nproc")
        self.cores = int(text) if not code and re.fullmatch(r"\s*[1-9][0-9]{0,3}\s*", text) else None

    def _content(self, files: list[str]) -> str:
        """The sha256 of the app's files, its TensorFlow Lite library included: the same path may hold another one."""
        code, text = self._shell("sha256sum", *files)
        found = re.findall(r"^[0-9a-f]{64}\b", text, re.MULTILINE)
        if code or len(found) != len(files):
            words, todo = printable(text.strip()[-200:]), INSTALL.format(self.serial)
            raise DeviceLost(self.name, f"the content of the app on {self.serial}", words, todo)
        return " ".join(found)

    def _versions(self) -> dict[str, str]:
        """Of the app, and of the system whose libraries decode images."""
        found = re.search(r"versionName=(\S+)", self._shell("dumpsys", "package", APP)[1])
        build = self._shell("getprop", "ro.build.fingerprint")[1].strip()
        versions = {"app": found[1] if found else "", "android": build}
        return {name: printable(version)[:100] for name, version in versions.items() if version}

    def _leave(self) -> None:
        with _lock:
            _taken.discard(self.serial)

    # --- Steps -----------------------------------------------------------------------------------------------------

    def _push(self, parcel: Parcel, folder: str, end: float) -> None:
        """Copy the job to the phone, for the app to read."""
        with tempfile.TemporaryDirectory(prefix="edgekd-") as here:
            job = Path(here) / JOB
            job.write_text(parcel.job.text(), encoding="utf-8")
            files = {**{name: path.resolve() for name, path in parcel.files.items()}, JOB: job}
            self._do("mkdir", "-p", *sorted({folder, *(f"{folder}/{name}".rpartition("/")[0] for name in files)}))
            for name, path in files.items():
                done = self._adb("push", str(path), f"{folder}/{name}", limit_s=max(1.0, end - time.monotonic()))
                if done.code:
                    raise self._trouble(f"the file {name} on the phone", said(done))
        self._do("chmod", "-R", "a+rX", FOLDER)

    def _start(self, run: str, folder: str, threads: int) -> None:
        """Start the activity in a fresh process."""
        words = ["am", "start", "-W", "-S", "-n", ACTIVITY, "--es", "run_id", run, "--es", "folder", folder]
        words += ["--ei", "threads", str(threads), "--ez", "xnnpack", str(self.options.xnnpack).lower()]
        code, text = self._shell(*words)
        problem = next((line.strip() for line in text.splitlines() if re.match(r"\s*(Error|.*Exception)\b", line)), "")
        if code or problem:
            problem = printable(problem or text.strip()[-200:])[:300]
            todo = f"install the app again ({INSTALL.format(self.serial)})"
            raise DeviceError(f"the app on {self.serial}", f"the activity {ACTIVITY}", problem, todo)

    def _watch(self, run: str, end: float) -> tuple[str, str]:
        """Path and sha256 of the app's report, as soon as the app tells them.

        Raises: DeviceError if it fails, crashes or takes too long.
        """
        process, absent = self._process(), 0
        while True:
            with child.Lines(self._command("shell", f"logcat -v tag -s {TAG}:I {CRASHES}:E")) as lines:
                crash = False
                while (line := self._next(lines, end)) != "":
                    if line is None:
                        absent = absent + 1 if not self._process() else 0
                        if absent > 1:
                            words = "it is gone and left no result: the phone ended it, for want of memory perhaps"
                            raise DeviceError(f"the app on {self.serial}", "a result", words)
                        continue
                    found = re.match(rf"([A-Z])/({TAG}|{CRASHES}) *: (.*)", line)
                    if found and found[2] == CRASHES and crash:
                        raise DeviceError(
                            f"the app on {self.serial}", "a result", f"it crashed: {printable(found[3].strip())[:300]}"
                        )
                    if found and found[2] == CRASHES:
                        crash = bool(process and re.match(rf"Process: {re.escape(APP)}, PID: {process}\b", found[3]))
                    elif found and (answer := self._answer(found[3].strip(), run)):
                        return answer
            self._ready()
            time.sleep(RETRY_S)

    def _next(self, lines: child.Lines, end: float) -> str | None:
        """The next line; None if there is none for a while, "" at the end of the log."""
        left = end - time.monotonic()
        if left <= 0:
            limit = f"a result within {self.options.limit_s:.0f} s"
            raise DeviceError(f"the app on {self.serial}", limit, "none", "raise limit_s of the device")
        return lines.next(min(LOOK_S, left))

    def _answer(self, words: str, run: str) -> tuple[str, str] | None:
        """Path and sha256 that a line tells; None for the line of another run."""
        kind, _, rest = words.partition(" ")
        told, _, rest = rest.partition(" ")
        if told != run or kind not in ("result", "failed"):
            return None
        if kind == "failed":
            raise self._trouble("a result of the app", printable(rest.strip())[:300] or "no reason given")
        path, _, sha256 = rest.strip().rpartition(" ")
        expected = rf"{STORAGE}/Android/data/{re.escape(APP)}/files/reports/{re.escape(run)}\.json"
        if not re.fullmatch(expected, path) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            words = "a path among the app's reports, and a sha256"
            raise DeviceError(f"the app on {self.serial}", words, repr(rest.strip())[:300])
        return path, sha256

    def _pull(self, path: str, sha256: str) -> bytes:
        """The app's report."""
        done = self._adb("exec-out", shlex.join(["cat", path]), most=MAX_DOCUMENT_BYTES)
        if done.code:
            raise self._trouble("the app's result", said(done))
        if sha256_bytes(done.out) != sha256:
            self._ready()
            found = f"{len(done.out)} bytes of another content: {done.out[:80]!r}"
            raise DeviceError(f"the result from {self.serial}", f"the file of sha256 {sha256}", found)
        return done.out

    def _process(self) -> str:
        """The app's process there; "" for none."""
        code, text = self._shell("pidof", APP)
        return text.split()[0] if not code and re.match(r"\s*[0-9]+\b", text) else ""

    # --- adb -------------------------------------------------------------------------------------------------------

    def _do(self, *words: str) -> None:
        """A command on the phone that has to go well."""
        code, text = self._shell(*words)
        if code:
            raise self._trouble(f"{words[0]} on the phone", printable(text.strip()[-200:]))

    def _shell(self, *words: str, limit_s: float = CALL_S) -> tuple[int, str]:
        """Exit code and text of a command on the phone; older phones and servers do not pass the code on, so it is printed.

        Raises: DeviceLost if the phone is gone.
        """
        done = self._adb("shell", f"{shlex.join(words)} 2>&1; echo rc=$?", limit_s=limit_s)
        text = done.out.decode("utf-8", "replace").replace("\r\n", "\n")
        found = re.search(r"rc=([0-9]{1,3})\s*\Z", text)
        if not found:
            raise self._trouble(f"an answer to {words[0]} from the phone", said(done) or "none")
        return int(found[1]), text[: found.start()]

    def _adb(self, *words: str, limit_s: float = CALL_S, most: int = 2**20, is_for_all: bool = False) -> child.Done:
        """What adb says.

        Raises: DeviceLost if the phone is gone, DeviceError if adb does not end or says too much.
        """
        try:
            return child.finish(self._command(*words, is_for_all=is_for_all), limit_s, (), most)
        except child.TooLong:
            if words[0] not in ("get-state", "devices"):
                self._ready()
            raise DeviceError(f"adb {words[0]}", f"an answer within {limit_s:.0f} s", "none") from None
        except child.TooMuch:
            raise DeviceError(f"adb {words[0]} on {self.serial}", f"at most {most} bytes", "more") from None
        except OSError as e:
            raise DeviceLost(self.options.adb, "a program that can be started", e.strerror or str(e)) from None

    def _command(self, *words: str, is_for_all: bool = False) -> list[str]:
        return [self.options.adb, *([] if is_for_all else ["-s", self.serial]), *words]

    def _ready(self) -> None:
        """Refuse to go on with a phone that is gone.

        Raises: DeviceLost.
        """
        done = self._adb("get-state")
        words = said(done).removeprefix("error: ")
        if done.code:
            known = next((state for state in STATES if state in words), "")
            if known:
                self._need(known)
            todo = "plug it in again; then --resume goes on"
            raise DeviceLost(self.name, f"the phone {self.serial}", printable(words) or "it is gone", todo)
        self._need(done.out.decode("utf-8", "replace").strip())

    def _trouble(self, expected: str, words: str) -> DeviceError:
        """The error for what went wrong: the phone is gone, full, or it could not do this job."""
        self._ready()
        if any(word in words for word in FULL):
            todo = "free some there; then --resume goes on"
            return DeviceLost(self.name, "space for a job on the phone", printable(words), todo)
        return DeviceError(self.name, expected, printable(words))


def said(done: child.Done) -> str:
    """Why adb failed; it says so on either stream, and not always last."""
    lines = [
        line.strip() for content in (done.err, done.out) for line in content.decode("utf-8", "replace").splitlines()
    ]
    return printable(next((line for line in lines if "error:" in line), done.words))[:500]
