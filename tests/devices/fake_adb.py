"""An adb server with phones made of Python: the real `adb` client talks to it and knows no difference.

    phone = Phone("PHONE1", tmp_path / "phone1", run=lambda start: '{"schema": "edgekd.device/1", ...}')
    with Server(phone) as server:
        environment = {"ADB_SERVER_SOCKET": server.socket}
        ...
        phone.vanish()

A phone is a folder that stands for its file system, and a function that answers shell commands, `Phone.shell`; the
demo app on it is `run`: from how it was started (`Start`, with the job's folder) to the text of one `edgekd.device/1`
document. The phone writes that to where the app would, and logs the app's line. `run` may raise `Crash` (the app ends
with an exception), `Tombstone` (with a signal), `Killed` (it is gone without a word), `Fails` (it cannot write its
report), or change what is logged by `Phone.line`. The protocol:
https://android.googlesource.com/platform/packages/modules/adb, OVERVIEW, SERVICES and SYNC, without shell_v2, as of
Android before 7: no exit codes, and lines that end with CR LF.
"""

import contextlib
import hashlib
import shlex
import shutil
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

APP = "org.edgekd.demo"
REPORTS = f"/storage/emulated/{{}}/Android/data/{APP}/files/reports"  # of a user
VERSION = 41  # of the protocol between client and server
REGULAR, PID = 0o100644, 4242
NO_SPACE = "No space left on device"
BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  Wireless powered: false
  status: 2
  level: 83
  scale: 100
  voltage: 4321
  temperature: 315
  technology: Li-ion
"""
THERMAL = """IsStatusOverride: false
Thermal Status: 1
Cached temperatures:
	Temperature{mValue=99.9, mType=3, mName=skin, mStatus=0}
HAL Ready: true
Current temperatures from HAL:
	Temperature{mValue=34.25, mType=3, mName=skin, mStatus=1}
	Temperature{mValue=NaN, mType=0, mName=CPU0, mStatus=0}
	Temperature{mValue=5.1E1, mType=0, mName=CPU1, mStatus=0}
Current cooling devices from HAL:
	CoolingDevice{mValue=0, mType=2, mName=thermal-cpufreq-0}
Temperature static thresholds from HAL:
	TemperatureThreshold{mType=3, mName=skin, mHotThrottlingThresholds=[NaN, 39.0]}
"""
EXIT_INFO = f"""ACTIVITY MANAGER PROCESS EXIT INFO (dumpsys activity exit-info)
  package: {APP}
    Historical Process Exit for uid=10123
        ApplicationExitInfo #9:
          timestamp=2026-11-01 10:00:00.000 pid=99 realUid=10123 packageUid=10123 definingUid=10123 user=0
          process={APP} reason=4 (APP CRASH(EXCEPTION)) subreason=0 (UNKNOWN) status=0
"""


class Crash(Exception):
    """The app ends with this exception."""


class Killed(Exception):
    """The app is gone without a word; its message is the line of `dumpsys activity exit-info` from `reason=` on."""


class Tombstone(Exception):
    """Native code of the app ends it with this signal."""


class Fails(Exception):
    """The app cannot write its report, and says so."""


@dataclass(frozen=True)
class Start:
    """How the activity was started; `folder` is the job's, on this machine."""

    run_id: str
    folder: Path
    threads: int
    xnnpack: bool


Run = Callable[[Start], str]
Answer = tuple[int, str]


@dataclass
class Phone:
    """A phone. `root` is its file system; `free` is how many bytes it still takes, None for any number."""

    serial: str
    root: Path
    run: Run
    state: str = "device"
    free: int | None = None
    is_installed: bool = True
    apk: bytes = b"an app with TensorFlow Lite"
    version: str = "0.1.0"  # of the app
    cores: int = 8
    user: str = "0"  # whose screen is in front
    is_dark: bool = True
    lock: str = "swipe"  # or "pin", which no command opens, or "" for none
    in_front: str = "com.android.launcher/.Home"
    start_text: str = "Status: ok\nLaunchState: COLD\nTotalTime: 312\nComplete\n"
    compiled: str = "verify"
    settings: dict[str, str] = field(default_factory=lambda: {"stay_on_while_plugged_in": "0"})
    exits: list[str] = field(default_factory=list)
    dumps: dict[str, str] = field(default_factory=dict)  # texts instead of those below, by the service's name
    properties: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)  # as `logcat -v tag` prints it
    commands: list[list[str]] = field(default_factory=list)  # all that were given
    starts: list[Start] = field(default_factory=list)
    current: Start | None = None  # what the app runs
    is_gone: bool = False
    connections: set[socket.socket] = field(default_factory=set)
    apps: list[threading.Thread] = field(default_factory=list)
    server: Any = None  # the Server that it is plugged into

    def __post_init__(self) -> None:
        (self.root / "data/local/tmp").mkdir(parents=True)

    # --- For tests -------------------------------------------------------------------------------------------------

    @property
    def is_running(self) -> bool:
        """Whether the app has a process."""
        return self.current is not None

    def path(self, name: str) -> Path:
        """Where a file of the phone is on this machine."""
        name = name.replace("/sdcard/", "/storage/emulated/0/", 1)
        return self.root / name.lstrip("/")

    def files(self) -> list[str]:
        """Every file on the phone."""
        return sorted(f"/{p.relative_to(self.root)}" for p in self.root.rglob("*") if p.is_file())

    def vanish(self) -> None:
        """Pull the plug."""
        self.is_gone = True
        self.drop()

    def drop(self) -> None:
        """End every connection; the phone stays."""
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def come_back(self) -> None:
        """Plug it in again."""
        self.is_gone = False

    def line(self, start: Start, path: str, sha256: str) -> str:
        """What the app logs after it wrote its report."""
        return f"result {start.run_id} {path} {sha256}"

    # --- Commands --------------------------------------------------------------------------------------------------

    def shell(self, words: list[str]) -> Answer:
        """Exit code and output of a command."""
        self.commands.append(words)
        command = getattr(self, f"do_{words[0]}", None)
        if command is None:
            return 127, f"/system/bin/sh: {words[0]}: inaccessible or not found\n"
        return command(words[1:])

    def do_getprop(self, words: list[str]) -> Answer:
        return 0, self.properties.get(words[0], "") + "\n"

    def do_nproc(self, words: list[str]) -> Answer:
        return 0, f"{self.cores}\n"

    def do_pm(self, words: list[str]) -> Answer:
        assert words[:3] == ["path", "--user", self.user]
        return (0, f"package:/data/app/{words[3]}-1/base.apk\n") if self.is_installed else (1, "")

    def do_sha256sum(self, words: list[str]) -> Answer:
        return 0, "".join(f"{hashlib.sha256(self.apk).hexdigest()}  {name}\n" for name in words)

    def do_dumpsys(self, words: list[str]) -> Answer:
        """What services tell, in the words of Android 12 to 14."""
        if words[0] in self.dumps:
            return 0, self.dumps[words[0]]
        if words == ["activity", "activities"]:
            locked = str(bool(self.lock)).lower()
            front = f"  topResumedActivity=ActivityRecord{{6f9d0e u0 {self.in_front} t71}}\n"
            return 0, f"{front}  KeyguardController:\n    mKeyguardShowing={locked}\n    mAodShowing=false\n"
        if words[:2] == ["activity", "exit-info"]:
            return 0, EXIT_INFO + "".join(self.exits)
        if words[0] == "power":
            return 0, f"POWER MANAGER\n  mWakefulness={'Asleep' if self.is_dark else 'Awake'}\n"
        if words[0] == "battery":
            return 0, BATTERY
        return (0, THERMAL) if words[0] == "thermalservice" else (0, self._package(words[1]))

    def _package(self, name: str) -> str:
        return (
            f"Packages:\n  Package [{name}] (8f3a1c):\n    versionCode=1 minSdk=26\n    versionName={self.version}\n"
            f"Dexopt state:\n  [com.other]\n    path: /data/app/x/base.apk\n      arm64: [status=speed] [reason=cmdline]\n"
            f"  [{name}]\n    path: /data/app/{name}-1/base.apk\n"
            f"      arm64: [status={self.compiled}] [reason=install] [primary-abi]\n"
        )

    def do_cmd(self, words: list[str]) -> Answer:
        assert words[:3] == ["package", "compile", "-m"]
        assert words[4:] == ["-f", APP]
        self.compiled = words[3]
        return 0, "Success\n"

    def do_input(self, words: list[str]) -> Answer:
        assert words == ["keyevent", "KEYCODE_WAKEUP"]
        self.is_dark = False
        return 0, ""

    def do_wm(self, words: list[str]) -> Answer:
        assert words == ["dismiss-keyguard"]
        self.lock = "" if self.lock == "swipe" else self.lock
        return 0, ""

    def do_settings(self, words: list[str]) -> Answer:
        assert words[1] == "global"
        if words[0] == "get":
            return 0, self.settings.get(words[2], "null") + "\n"
        if words[0] == "put":
            self.settings[words[2]] = words[3]
            return 0, ""
        return 0, f"Deleted {int(self.settings.pop(words[2], None) is not None)} rows\n"

    def do_pidof(self, words: list[str]) -> Answer:
        return (0, f"{PID}\n") if self.is_running else (1, "")

    def do_mkdir(self, words: list[str]) -> Answer:
        for name in words[1:]:
            self.path(name).mkdir(parents=True, exist_ok=True)
        return 0, ""

    def do_chmod(self, words: list[str]) -> Answer:
        return 0, ""

    def do_rm(self, words: list[str]) -> Answer:
        for name in words[1:]:
            path = self.path(name)
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        return 0, ""

    def do_rmdir(self, words: list[str]) -> Answer:
        try:
            self.path(words[0]).rmdir()
        except OSError as e:
            return 1, f"rmdir: '{words[0]}': {e.strerror}\n"
        return 0, ""

    def do_cat(self, words: list[str]) -> Answer:
        """Only `exec:cat`, which gives the bytes, reads files."""
        return 1, "cat: not in a shell\n"

    def do_am(self, words: list[str]) -> Answer:
        if words == ["get-current-user"]:
            return 0, f"{self.user}\n"
        if words == ["force-stop", "--user", self.user, APP]:
            self.current = None
            return 0, ""
        assert words[:3] == ["start", "--user", self.user]
        given = {words[i + 1]: words[i + 2] for i, word in enumerate(words) if word in ("--es", "--ei", "--ez")}
        head = f"Starting: Intent {{ cmp={words[words.index('-n') + 1]} (has extras) }}\n"
        if words[words.index("-n") + 1] != f"{APP}/.BenchmarkActivity" or not self.is_installed:
            return 0, head + "Error type 3\nError: Activity class {...} does not exist.\n"
        if "timeout" in self.start_text:
            return 0, head + self.start_text
        folder = self.path(given["folder"])
        start = Start(given["run_id"], folder, int(given["threads"]), given["xnnpack"] == "true")
        self.starts.append(start)
        self.current = start
        self.apps.append(threading.Thread(target=self._app, args=(start,), daemon=True))
        self.apps[-1].start()
        return 0, head + self.start_text

    def _app(self, start: Start) -> None:
        """The app's process: what was stopped meanwhile does nothing any more."""
        try:
            text = self.run(start)
            if self.current is start:
                path = f"{REPORTS.format(self.user)}/{start.run_id}.json"
                self.path(path).parent.mkdir(parents=True, exist_ok=True)
                self.path(path).write_text(text, encoding="utf-8")
                self.log.append("I/edgekd  : " + self.line(start, path, hashlib.sha256(text.encode()).hexdigest()))
        except Fails as e:
            self.log.append(f"I/edgekd  : failed {start.run_id} {e}")
        except Crash as e:
            self.current = None
            for line in ("FATAL EXCEPTION: main", f"Process: {APP}, PID: {PID}", str(e), "\tat org.edgekd.demo.X"):
                self.log.append(f"E/AndroidRuntime: {line}")
        except Tombstone as e:
            self.current = None
            process = f"pid: {PID}, tid: 4260, name: edgekd-measure  >>> {APP} <<<"
            for line in (
                "*** *** ***",
                "ABI: 'arm64'",
                process,
                "uid: 10123",
                f"signal {e}",
                "    x0  0000000000000000",
            ):
                self.log.append(f"F/DEBUG   : {line}")
        except Killed as e:
            self.current = None
            if str(e):
                head = (
                    f"        ApplicationExitInfo #0:\n          timestamp=2026-11-02 10:00:00.000 pid={PID} user=0\n"
                )
                self.exits.append(f"{head}          process={APP} {e}\n")
        except Exception:
            if self.current is start:
                self.current = None
                raise


class Server:
    """The server, on a free port; `socket` is for ADB_SERVER_SOCKET."""

    def __init__(self, *phones: Phone) -> None:
        self.phones = {phone.serial: phone for phone in phones}
        for phone in phones:
            phone.server = self
        self.requests: list[str] = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.socket = f"tcp:127.0.0.1:{self.listener.getsockname()[1]}"
        self.threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self.acceptor = threading.Thread(target=self._accept, daemon=True)
        self.acceptor.start()
        return self

    def __exit__(self, *error: object) -> None:
        for phone in self.phones.values():
            phone.vanish()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.acceptor.join()
        for thread in (*self.threads, *(app for phone in self.phones.values() for app in phone.apps)):
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(target=self._serve, args=(connection,), daemon=True))
            self.threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        phone = None
        with connection, contextlib.suppress(OSError, EOFError, ValueError):
            try:
                while True:
                    request = _read(connection, int(_read(connection, 4), 16)).decode()
                    self.requests.append(request)
                    if phone is None:
                        phone = self._host(connection, request)
                        if phone is None:
                            return
                    else:
                        Session(phone, connection).service(request)
                        return
            finally:
                if phone:
                    phone.connections.discard(connection)

    def _host(self, connection: socket.socket, request: str) -> Phone | None:
        """Answer the server's own services; a phone where the request asks for a line to it."""
        kind, _, rest = request.partition(":")
        if request == "host:version":
            _okay(connection, f"{VERSION:04x}")
        elif request in ("host:devices", "host:devices-l"):
            _okay(connection, "".join(self._listed(phone) for phone in self.phones.values() if not phone.is_gone))
        elif request in ("host:kill", "host:host-features") or request.endswith(":features"):
            _okay(connection, "")
        elif rest.startswith(("transport:", "tport:serial:")):
            phone, problem = self._find(rest.rpartition(":")[2])
            if problem:
                _fail(connection, problem)
                return None
            phone.connections.add(connection)
            connection.sendall(b"OKAY" + (struct.pack("<Q", 1) if rest.startswith("tport") else b""))
            return phone
        elif kind == "host-serial":
            serial, _, what = rest.partition(":")
            phone, problem = self._find(serial)
            if problem or what != "get-state":
                _fail(connection, problem or "unknown host service")
            else:
                _okay(connection, phone.state)
        else:
            _fail(connection, f"unknown host service '{request}'")
        return None

    def _find(self, serial: str) -> tuple[Phone | None, str]:
        phone = self.phones.get(serial)
        if phone is None or phone.is_gone:
            return None, f"device '{serial}' not found"
        if phone.state != "device":
            return None, f"device {phone.state}"
        return phone, ""

    def _listed(self, phone: Phone) -> str:
        return f"{phone.serial:22} {phone.state} product:fake model:Fake_1 device:fake transport_id:1\n"


@dataclass
class Session:
    """One service of a phone on one connection."""

    phone: Phone
    connection: socket.socket

    def service(self, request: str) -> None:
        """Answer `shell:`, `exec:` or `sync:`."""
        kind, _, command = request.partition(":")
        if kind not in ("shell", "exec", "sync"):
            _fail(self.connection, f"closed: {request}")
            return
        self.connection.sendall(b"OKAY")
        if kind == "sync":
            self._sync()
        elif kind == "exec":
            [program, name] = shlex.split(command)
            assert program == "cat"
            self.connection.sendall(self._content(name))
        elif command.startswith("logcat "):
            self._logcat()
        else:
            self._shell(command)

    def _content(self, name: str) -> bytes:
        try:
            return self.phone.path(name).read_bytes()
        except OSError as e:
            return f"cat: {name}: {e.strerror}\n".encode()

    def _shell(self, command: str) -> None:
        """One simple command, with its code printed after it."""
        text, _, rest = command.rpartition(" 2>&1;")
        code, output = self.phone.shell(shlex.split(text))
        output += rest.replace("$?", str(code)).replace("echo", "", 1).strip() + "\n"
        self.connection.sendall(output.replace("\n", "\r\n").encode())

    def _logcat(self) -> None:
        """The log from its beginning, and what comes, until the connection is closed."""
        done = 0
        self.connection.sendall(b"--------- beginning of main\r\n")
        while not self.phone.is_gone:
            while done < len(self.phone.log):
                self.connection.sendall(f"{self.phone.log[done]}\r\n".encode())
                done += 1
            self.connection.settimeout(0.02)
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def _sync(self) -> None:
        while True:
            kind, length = struct.unpack("<4sI", _read(self.connection, 8))
            if kind == b"QUIT":
                return
            name = _read(self.connection, length).decode()
            if kind == b"STAT":
                self._stat(name)
            elif kind == b"SEND":
                self._receive(name.rpartition(",")[0])
            elif kind == b"RECV":
                self._send(name)

    def _stat(self, name: str) -> None:
        path, found = self.phone.path(name), (0, 0, 0)
        if path.exists():
            found = (path.stat().st_mode, path.stat().st_size, int(path.stat().st_mtime))
        self.connection.sendall(struct.pack("<4sIII", b"STAT", *found))

    def _receive(self, name: str) -> None:
        content = bytearray()
        while True:
            kind, length = struct.unpack("<4sI", _read(self.connection, 8))
            if kind == b"DONE":
                break
            content += _read(self.connection, length)
        if self.phone.free is not None and len(content) > self.phone.free:
            message = f"couldn't write to '{name}': {NO_SPACE}".encode()
            self.connection.sendall(struct.pack("<4sI", b"FAIL", len(message)) + message)
            return
        if self.phone.free is not None:
            self.phone.free -= len(content)
        self.phone.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.phone.path(name).write_bytes(content)
        self.connection.sendall(struct.pack("<4sI", b"OKAY", 0))

    def _send(self, name: str) -> None:
        content = self.phone.path(name).read_bytes()
        for begin in range(0, len(content), 2**16):
            piece = content[begin : begin + 2**16]
            self.connection.sendall(struct.pack("<4sI", b"DATA", len(piece)) + piece)
        self.connection.sendall(struct.pack("<4sI", b"DONE", 0))


def _okay(connection: socket.socket, text: str) -> None:
    connection.sendall(f"OKAY{len(text):04x}{text}".encode())


def _fail(connection: socket.socket, text: str) -> None:
    connection.sendall(f"FAIL{len(text):04x}{text}".encode())


def _read(connection: socket.socket, count: int) -> bytes:
    content = bytearray()
    while len(content) < count:
        piece = connection.recv(count - len(content))
        if not piece:
            raise EOFError
        content += piece
    return bytes(content)
