"""A phone, through `adb`: the demo app's benchmark activity runs the job, and its report is fetched and checked.

    /data/local/tmp/edgekd/RUN/                 the job, as every device gets it; apps may read there
    am start --user U -W -S -n org.edgekd.demo/.BenchmarkActivity --es run_id RUN --es folder ... --ei threads N ...
    .../Android/data/org.edgekd.demo/files/reports/RUN.json     one `edgekd.device/1`, also of a failure
    logcat, tag edgekd, priority I              `result RUN PATH SHA256`, or `failed RUN REASON`

RUN is new for each job and partly random: no line of an earlier run, or of an app that does not know it, is taken for the
answer. The line tells the report's hash, so the file may lie where adb can read it without root, and on Android 10 and
older other apps write too: a changed one is refused. Both places are cleared in the end.

Before, ART compiles the app (`cmd package compile`), the screen is kept lit while it is charged (as it was again in the
end), and for each job it is woken and unlocked; heat and power are noted before and after. Which adb server is asked,
`ADB_SERVER_SOCKET` and `ANDROID_ADB_SERVER_PORT` say, as for every use of adb.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import shlex
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import Field

from edgekd.devices import JOB, DeviceError, DeviceLost, DeviceOptions, Parcel, android, child
from edgekd.devices.adb_link import Link, TooLate, said
from edgekd.devices.document import MAX_DOCUMENT_BYTES, Attended, PhoneState, Provenance, printable
from edgekd.files import sha256_bytes

KIND = "adb"
APP = "org.edgekd.demo"
ACTIVITY = f"{APP}/.BenchmarkActivity"
FOLDER = "/data/local/tmp/edgekd"
TAG = "edgekd"
STAY_ON, KEPT = "stay_on_while_plugged_in", "edgekd_stay_on"  # global settings: Android's, and what that was before
ON_ANY_POWER = "7"  # mains, USB, wireless
OF_THE_HOST = ("cores", "governor", "max_frequency_mhz", "memory_mib")  # of an emulator: would describe this machine
STORAGE = r"/(?:sdcard|storage/emulated/\d{1,4}|storage/self/primary|data/media/\d{1,4})"
START_S = 60.0  # for the activity to come up
COMPILE_S = 300.0
WAKE_S, WAKE_LOOK_S = 5.0, 0.5  # for a screen to light up and a lock screen to go
CLEAR_S = 20.0
LOOK_S = 10.0  # between looks at whether the app still lives, should no line come
RETRY_S = 1.0  # after a log that broke off
INSTALL = "make apk && adb -s {} install -r android_demo/build/edgekd-demo-0.1.0.apk"
_taken: set[str] = set()  # serials of phones that are being measured
_lock = threading.Lock()


class Options(DeviceOptions):
    """Which phone, and how the app runs a file there."""

    serial: str = ""  # as `adb devices` shows it; "" for the only one that is there
    adb: str = "adb"
    xnnpack: bool = True
    warmup_s: float = Field(2.0, ge=0, le=600)  # what ART compiles, and the clock's rise, take longer than elsewhere
    user: int | None = Field(None, ge=0, le=9999)  # of Android; default: whose screen is in front
    emulator: bool = False  # an Android emulator: its answers count, its times do not


def connect(name: str, options: Options) -> Adb:
    """A phone as a device."""
    return Adb(name, options)


class Adb:
    """A device whose jobs are runs of the demo app."""

    def __init__(self, name: str, options: Options) -> None:
        self.name, self.options = name, options
        self.link = Link(name, options.adb, options.serial)
        self.provenance: Provenance = "emulated" if options.emulator else "hardware"
        self.user = "0" if options.user is None else str(options.user)
        self.stay_on = ""  # as it was; "" for a phone whose setting was not touched
        self.cores: int | None = None
        self.program = ""
        self.software: Mapping[str, str] = {}

    @property
    def serial(self) -> str:
        """Of the phone; "" until it was found, where the device's file names none."""
        return self.link.serial

    def __enter__(self) -> Self:
        """Find the phone and the app."""
        self.link.find()
        with _lock:
            if self.serial in _taken:
                todo = "name another in `serial`, or the same `place` in the files of both, to measure in turn"
                raise DeviceLost(self.name, "a phone of its own", f"{self.serial} is being measured already", todo)
            _taken.add(self.serial)
        try:
            self._look()
            self._prepare()
        except BaseException:
            with contextlib.suppress(DeviceError):
                self._restore()
            self._leave()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with contextlib.suppress(DeviceError):
                self.link.shell("rmdir", FOLDER, limit_s=CLEAR_S)  # unless another run has files there
                self._restore()
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
        report = f"/storage/emulated/{self.user}/Android/data/{APP}/files/reports/{run}.json"
        try:
            self._push(parcel, folder, end)
            self._wake()
            before = self._state()
            self._start(run, folder, parcel.job.threads)
            report, sha256 = self._watch(run, end)
            content = self._pull(report, sha256)
            return self._completed(content, before)
        finally:
            with contextlib.suppress(DeviceError):
                self.link.shell("am", "force-stop", "--user", self.user, APP, limit_s=CLEAR_S)
                self.link.shell("rm", "-rf", folder, report, limit_s=CLEAR_S)

    # --- The phone and the app -------------------------------------------------------------------------------------

    def _look(self) -> None:
        """Learn how many processors there are and what will answer, and refuse what cannot be measured."""
        is_emulator = any(self.link.shell("getprop", p)[1].strip() == "1" for p in ("ro.kernel.qemu", "ro.boot.qemu"))
        if is_emulator and not self.options.emulator:
            todo = "its time means nothing; with `emulator = true` in the device's file its answers count alone"
            raise DeviceLost(self.name, "a phone", f"the emulator {self.serial}", todo)
        if self.options.emulator and not is_emulator:
            todo = "take `emulator` out of the device's file"
            raise DeviceLost(self.name, "an Android emulator", f"the phone {self.serial}", todo)
        if self.options.user is None:
            self.user = self.link.digits("am", "get-current-user") or "0"
        code, text = self.link.shell("pm", "path", "--user", self.user, APP)
        if code or not text.startswith("package:"):
            todo = INSTALL.format(self.serial)
            raise DeviceLost(self.name, f"the app {APP} on {self.serial}", "it is not installed", todo)
        self.program = self._content([line.removeprefix("package:") for line in text.split()])
        self.software = self._versions()
        cores = int(self.link.digits("nproc") or 0)
        self.cores = cores if 0 < cores < 10_000 else None

    def _prepare(self) -> None:
        """Let ART compile the app, so that Java's share does not depend on what ran before, and keep the screen lit."""
        found = android.compiled(self.link.dump("package", APP), APP)
        if found != android.SPEED:
            with contextlib.suppress(TooLate):  # then the row tells how it is compiled
                self.link.shell("cmd", "package", "compile", "-m", android.SPEED, "-f", APP, limit_s=COMPILE_S)
            found = android.compiled(self.link.dump("package", APP), APP)
        self.software = {**self.software, "compiled": found} if found else self.software
        # As it was before a benchmark that was cut off, or as it is now.
        found_on = (self.link.digits("settings", "get", "global", name) for name in (KEPT, STAY_ON))
        self.stay_on = next(filter(None, found_on), "0")
        self.link.shell("settings", "put", "global", KEPT, self.stay_on)
        self.link.shell("settings", "put", "global", STAY_ON, ON_ANY_POWER)

    def _restore(self) -> None:
        """Let the screen go dark as it used to."""
        if self.stay_on:
            self.link.shell("settings", "put", "global", STAY_ON, self.stay_on, limit_s=CLEAR_S)
            self.link.shell("settings", "delete", "global", KEPT, limit_s=CLEAR_S)
            self.stay_on = ""

    def _content(self, files: list[str]) -> str:
        """The sha256 of the app's files, its TensorFlow Lite library included: the same path may hold another one."""
        code, text = self.link.shell("sha256sum", *files)
        found = re.findall(r"^[0-9a-f]{64}\b", text, re.MULTILINE)
        if code or len(found) != len(files):
            words, todo = printable(text.strip()[-200:]), INSTALL.format(self.serial)
            raise DeviceLost(self.name, f"the content of the app on {self.serial}", words, todo)
        return " ".join(found)

    def _versions(self) -> dict[str, str]:
        """Of the app, and of the system whose libraries decode images."""
        found = re.search(r"versionName=(\S+)", self.link.shell("dumpsys", "package", APP)[1])
        build = self.link.shell("getprop", "ro.build.fingerprint")[1].strip()
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
            self.link.do("mkdir", "-p", *sorted({folder, *(f"{folder}/{name}".rpartition("/")[0] for name in files)}))
            for name, path in files.items():
                done = self.link.call("push", str(path), f"{folder}/{name}", limit_s=max(1.0, end - time.monotonic()))
                if done.code:
                    raise self.link.trouble(f"the file {name} on the phone", said(done))
        self.link.do("chmod", "-R", "a+rX", FOLDER)

    def _wake(self) -> None:
        """Light the screen and dismiss a lock screen that asks for nothing.

        Raises: DeviceLost if it stays dark or locked: the app would measure nothing.
        """
        self.link.shell("input", "keyevent", "KEYCODE_WAKEUP")
        self.link.shell("wm", "dismiss-keyguard")
        end = time.monotonic() + WAKE_S
        while hindrance := self._hindrance():
            if time.monotonic() > end:
                todo = "unlock it, and leave it so (screen lock: none); then --resume goes on"
                raise DeviceLost(self.name, f"the phone {self.serial} awake and unlocked", hindrance, todo)
            time.sleep(WAKE_LOOK_S)

    def _hindrance(self) -> str:
        """Why nobody could see the app now; "" if that is not so, or not known."""
        if android.is_asleep(self.link.dump("power")):
            return "its screen is dark"
        return "it is locked" if android.is_locked(self.link.dump("activity", "activities")) else ""

    def _state(self) -> PhoneState:
        return android.state(self.link.dump("battery"), self.link.dump("thermalservice"))

    def _start(self, run: str, folder: str, threads: int) -> None:
        """Start the activity in a fresh process.

        Raises: DeviceError, with what stands in the way, if it does not come up.
        """
        words = ["am", "start", "--user", self.user, "-W", "-S", "-n", ACTIVITY]
        words += ["--es", "run_id", run, "--es", "folder", folder]
        words += ["--ei", "threads", str(threads), "--ez", "xnnpack", str(self.options.xnnpack).lower()]
        try:
            code, text = self.link.shell(*words, limit_s=START_S)
        except TooLate:
            code, text = 0, "Status: timeout"
        if re.search(r"^Status: timeout\b", text, re.MULTILINE):
            expected = f"the activity {ACTIVITY} in front within {START_S:.0f} s"
            front = android.in_front(self.link.dump("activity", "activities"))
            why = self._hindrance() or (f"in front is {printable(front)}" if front else "no reason told")
            todo = "close what is open on the phone, restart it if that does not help, and try again"
            raise DeviceError(f"the app on {self.serial}", expected, why, todo)
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
            filters = " ".join((f"{TAG}:I", *android.CrashReader.FILTERS))
            with child.Lines(self.link.command("shell", f"logcat -v tag -s {filters}")) as lines:
                crashes = android.CrashReader(APP, process)
                while (line := self._next(lines, end)) != "":
                    if line is None:
                        absent = absent + 1 if not self._process() else 0
                        if absent > 1:
                            why = android.exit_words(self.link.dump("activity", "exit-info", APP), process)
                            words = f"it is gone and left no result: {why or 'for want of memory perhaps'}"
                            raise DeviceError(f"the app on {self.serial}", "a result", words)
                        continue
                    found = re.match(r"[A-Z]/(\w+) *: (.*)", line)
                    if found and (reason := crashes.read(found[1], found[2])):
                        raise DeviceError(f"the app on {self.serial}", "a result", reason)
                    if found and found[1] == TAG and (answer := self._answer(found[2].strip(), run)):
                        return answer
            self.link.ready()
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
            raise self.link.trouble("a result of the app", printable(rest.strip())[:300] or "no reason given")
        path, _, sha256 = rest.strip().rpartition(" ")
        expected = rf"{STORAGE}/Android/data/{re.escape(APP)}/files/reports/{re.escape(run)}\.json"
        if not re.fullmatch(expected, path) or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            words = "a path among the app's reports, and a sha256"
            raise DeviceError(f"the app on {self.serial}", words, repr(rest.strip())[:300])
        return path, sha256

    def _pull(self, path: str, sha256: str) -> bytes:
        """The app's report."""
        done = self.link.call("exec-out", shlex.join(["cat", path]), most=MAX_DOCUMENT_BYTES)
        if done.code:
            raise self.link.trouble("the app's result", said(done))
        if sha256_bytes(done.out) != sha256:
            self.link.ready()
            found = f"{len(done.out)} bytes of another content: {done.out[:80]!r}"
            raise DeviceError(f"the result from {self.serial}", f"the file of sha256 {sha256}", found)
        return done.out

    def _completed(self, report: bytes, before: PhoneState) -> bytes:
        """The report with what was seen from here; what is no report is left to whoever checks it."""
        try:
            found: Any = json.loads(report)
        except (ValueError, RecursionError):
            return report
        if not isinstance(found, dict):
            return report
        attended = Attended(compiled=self.software.get("compiled", ""), before=before, after=self._state())
        found["attended"] = attended.model_dump(mode="json")
        if self.provenance == "emulated" and not found.get("failure"):
            abi = printable(self.link.shell("getprop", "ro.product.cpu.abi")[1].strip())[:40]
            found["emulation"] = {"emulator": "Android emulator", "cpu_model": abi, "instructions": {}}
            if isinstance(found.get("system"), dict):
                found["system"] = {k: v for k, v in found["system"].items() if k not in OF_THE_HOST}
        return json.dumps(found).encode()

    def _process(self) -> str:
        """The app's process there; "" for none."""
        code, text = self.link.shell("pidof", APP)
        return text.split()[0] if not code and re.match(r"\s*[0-9]+\b", text) else ""
