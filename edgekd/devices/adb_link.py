"""A link to one phone: what `adb` does there, with errors that say what is in the way and what to do."""

from __future__ import annotations

import contextlib
import re
import shlex
import shutil
import subprocess

from edgekd.devices import DeviceError, DeviceLost, child
from edgekd.devices.document import printable

CALL_S = 60.0  # for what takes a moment
MOST_TEXT, MOST_DUMP = 2**20, 2**24  # bytes of an answer
FULL = ("No space left", "ENOSPC", "not enough space")
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


class TooLate(DeviceError):
    """An answer did not come in time from a phone that is there."""


class Link:
    """The phone of a serial number, or the only one that is there."""

    def __init__(self, name: str, adb: str, serial: str) -> None:
        self.name, self.adb, self.serial = name, adb, serial

    def find(self) -> None:
        """Set the serial to that of a phone that takes commands.

        Raises: DeviceLost.
        """
        if shutil.which(self.adb) is None:
            todo = "sudo apt-get install adb, or name it in `adb` of the device"
            raise DeviceLost(self.name, f"the program {self.adb!r} on this machine", "none", todo)
        null = subprocess.DEVNULL  # a server that stays must not hold our pipes
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run([self.adb, "start-server"], stdin=null, stdout=null, stderr=null, timeout=CALL_S)
        done = self.call("devices", "-l", is_for_all=True)
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

    def digits(self, *words: str) -> str:
        """What a command answers, if that is a short number; else ""."""
        code, text = self.shell(*words)
        return text.strip() if not code and re.fullmatch(r"\s*[0-9]{1,5}\s*", text) else ""

    def dump(self, *words: str) -> str:
        """What a service tells of itself; what it does not is not known."""
        try:
            return self.shell("dumpsys", *words, most=MOST_DUMP)[1]
        except DeviceLost:
            raise
        except DeviceError:
            return ""

    def do(self, *words: str) -> None:
        """A command on the phone that has to go well."""
        code, text = self.shell(*words)
        if code:
            raise self.trouble(f"{words[0]} on the phone", printable(text.strip()[-200:]))

    def shell(self, *words: str, limit_s: float = CALL_S, most: int = MOST_TEXT) -> tuple[int, str]:
        """Exit code and text of a command on the phone; older phones and servers do not pass the code on, so it is printed.

        Raises: DeviceLost if the phone is gone.
        """
        done = self.call("shell", f"{shlex.join(words)} 2>&1; echo rc=$?", limit_s=limit_s, most=most)
        text = done.out.decode("utf-8", "replace").replace("\r\n", "\n")
        found = re.search(r"rc=([0-9]{1,3})\s*\Z", text)
        if not found:
            raise self.trouble(f"an answer to {words[0]} from the phone", said(done) or "none")
        return int(found[1]), text[: found.start()]

    def call(self, *words: str, limit_s: float = CALL_S, most: int = MOST_TEXT, is_for_all: bool = False) -> child.Done:
        """What adb says.

        Raises: DeviceLost if the phone is gone, TooLate if adb does not end, DeviceError if it says too much.
        """
        try:
            return child.finish(self.command(*words, is_for_all=is_for_all), limit_s, (), most)
        except child.TooLong:
            if words[0] not in ("get-state", "devices"):
                self.ready()
            raise TooLate(f"adb {words[0]}", f"an answer within {limit_s:.0f} s", "none") from None
        except child.TooMuch:
            raise DeviceError(f"adb {words[0]} on {self.serial}", f"at most {most} bytes", "more") from None
        except OSError as e:
            raise DeviceLost(self.adb, "a program that can be started", e.strerror or str(e)) from None

    def command(self, *words: str, is_for_all: bool = False) -> list[str]:
        """The words of adb's command line."""
        return [self.adb, *([] if is_for_all else ["-s", self.serial]), *words]

    def ready(self) -> None:
        """Refuse to go on with a phone that is gone.

        Raises: DeviceLost.
        """
        done = self.call("get-state")
        words = said(done).removeprefix("error: ")
        if done.code:
            known = next((state for state in STATES if state in words), "")
            if known:
                self._need(known)
            todo = "plug it in again; then --resume goes on"
            raise DeviceLost(self.name, f"the phone {self.serial}", printable(words) or "it is gone", todo)
        self._need(done.out.decode("utf-8", "replace").strip())

    def trouble(self, expected: str, words: str) -> DeviceError:
        """The error for what went wrong: the phone is gone, full, or it could not do this job."""
        self.ready()
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
