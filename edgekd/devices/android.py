"""What Android's own tools tell a host of a phone, read from their text: `dumpsys`, `am`, `logcat`.

These texts are made for people and change from version to version: what is not found is not known, never an error.
"""

from __future__ import annotations

import math
import re
from typing import Any

from edgekd.devices.document import PhoneState, printable

THERMAL = ("none", "light", "moderate", "severe", "critical", "emergency", "shutdown")  # by PowerManager's status
MOST_SENSORS = 64
SPEED = "speed"  # ART's filter that compiles everything
EXITS = {  # by ApplicationExitInfo's reason
    "2": "a signal ended it, for want of memory perhaps",
    "3": "the phone ended it for want of memory",
    "4": "it crashed",
    "5": "it crashed in native code",
    "6": "it did not answer the system any more",
    "10": "someone ended it",
}


def is_asleep(power: str) -> bool:
    """Whether the screen is off, from `dumpsys power`."""
    found = re.search(r"\bmWakefulness=(\w+)", power)
    return found is not None and found[1] != "Awake"


def is_locked(activities: str) -> bool:
    """Whether the lock screen is before everything, from `dumpsys activity activities`."""
    return re.search(r"\bm?KeyguardShowing=true\b", activities) is not None


def in_front(activities: str) -> str:
    """The activity that a person sees, from the same; "" where it is not told."""
    found = re.search(r"(?:topResumedActivity|mResumedActivity)[=:]\s*ActivityRecord\{\S+ \S+ ([\w./$]+)", activities)
    return found[1] if found else ""


def compiled(package: str, app: str) -> str:
    """How ART compiled an app, from `dumpsys package APP`: the filter of its code, "" where it is not told."""
    _, _, state = package.partition("Dexopt state:")
    _, _, own = state.partition(f"[{app}]")
    found = re.search(r"\[status=([\w-]{1,40})\]", own.partition("\n  [")[0])
    return found[1] if found else ""


def state(battery: str, thermal: str) -> PhoneState:
    """Heat and power, from `dumpsys battery` and `dumpsys thermalservice` (Android 10)."""
    status = re.search(r"^Thermal Status: (\d)\s*$", thermal, re.MULTILINE)
    told: dict[str, Any] = {}
    level, tenths = _number("level", battery), _number("temperature", battery)
    if level is not None and 0 <= level <= 100:
        told["battery_percent"] = float(level)
    if tenths:
        told["battery_temperature_c"] = tenths / 10
    return PhoneState(
        thermal_status=THERMAL[int(status[1])] if status and int(status[1]) < len(THERMAL) else "",
        temperatures_c=_temperatures(thermal),
        power=", ".join(re.findall(r"^\s*(\w{1,20}) powered: true\s*$", battery, re.MULTILINE)[:5]),
        **told,
    )


def _number(name: str, text: str) -> int | None:
    found = re.search(rf"^\s*{name}: (-?\d{{1,6}})\s*$", text, re.MULTILINE)
    return int(found[1]) if found else None


def _temperatures(thermal: str) -> dict[str, float]:
    """By sensor, as the hardware tells them now; earlier ones stand above."""
    now = thermal.partition("Current temperatures from HAL:")[2] or thermal
    pattern = r"Temperature\{mValue=([-+.\deE]{1,20}), mType=\d+, mName=([^,}]{1,60}), mStatus="
    found: dict[str, float] = {}
    for value, name in re.findall(pattern, now.partition("Temperature static thresholds")[0]):
        try:
            degrees = float(value)
        except ValueError:
            continue
        if math.isfinite(degrees) and len(found) < MOST_SENSORS:
            found[printable(name)] = degrees
    return found


def exit_words(exits: str, process: str) -> str:
    """Why a process ended, in words, from `dumpsys activity exit-info APP` (Android 11); "" where it is not told."""
    for entry in re.split(r"ApplicationExitInfo #\d+:", exits)[1:]:
        found = re.search(r"\breason=(\d+) \((.*?)\) subreason=", entry)
        if found and process and re.search(rf"\bpid={process}\b", entry):
            rss = re.search(r"\brss=([\d.]+[KMG]B)", entry)
            words = EXITS.get(found[1], printable(found[2]).lower())
            return f"{words} (it held {rss[1]})" if rss else words
    return ""


class CrashReader:
    """Finds in lines of logcat (`-v tag`) that a process crashed, and why; of other processes it tells nothing.

    Java tells in two lines of AndroidRuntime, native code in several of DEBUG (the tombstone).
    """

    FILTERS = ("AndroidRuntime:E", "DEBUG:F")

    def __init__(self, app: str, process: str) -> None:
        self.app, self.process, self.kind, self.thread = app, process, "", ""

    def read(self, tag: str, words: str) -> str:
        """The reason, as soon as a line tells it, else ""."""
        if tag == "AndroidRuntime":
            if self.kind == "Java":
                return f"it crashed: {printable(words.strip())[:300]}"
            begins = self.process and re.match(rf"Process: {re.escape(self.app)}, PID: {self.process}\b", words)
            self.kind = "Java" if begins else ""
        elif tag == "DEBUG":
            head = re.match(r"pid: (\d+), tid: \d+, name: (.*?)\s+>>> (.*?) <<<", words)
            if head:
                self.kind = "native" if (head[1], head[3]) == (self.process, self.app) else ""
                self.thread = printable(head[2])[:40]
            elif self.kind == "native" and words.startswith("signal "):
                return f"it crashed in native code: {printable(words.strip())[:200]}, thread {self.thread}"
        return ""
