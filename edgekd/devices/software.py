"""Versions of what answers on a device: asked for once when it connects, and compared with what each document tells.

An upgrade of a runtime changes times and may change answers, so these versions belong to the identity of a row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekd.devices.document import DeviceDocument, RuntimeName, printable

PACKAGES: dict[RuntimeName, tuple[str, ...]] = {  # the first that is installed answers
    "tflite": ("ai-edge-litert", "tflite-runtime"),
    "onnx": ("onnxruntime",),
    "openvino": ("openvino",),
}
MODULES = {
    "numpy": "numpy",
    "pillow": "PIL",
    "ai-edge-litert": "ai_edge_litert",
    "tflite-runtime": "tflite_runtime",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
}
LOOK_S = 60.0  # for the script below
VENV = "~/edgekd"  # an environment on a device

# Any Python runs it; metadata is read, as importing the runtimes would take seconds on a small board.
SCRIPT = f"""
import importlib, importlib.util, json, os, platform, struct, sys
sys.path = [path for path in sys.path if path]  # not the folder where it happens to start

def version(package, module):
    try:
        from importlib import metadata
        return metadata.version(package)
    except Exception:  # installed by other means
        try:
            return str(importlib.import_module(module).__version__)
        except Exception:
            return ""

found = {{p: version(p, m) for p, m in {MODULES!r}.items() if importlib.util.find_spec(m)}}
found["python"] = platform.python_version()
cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
can_install = all(importlib.util.find_spec(m) for m in ("venv", "ensurepip"))
told = {{"os": sys.platform, "cores": cores, "software": found, "can_install": can_install}}
told["bits"] = 8 * struct.calcsize("P")  # of this Python, whatever the kernel's are
print(json.dumps(told))
"""


@dataclass(frozen=True)
class Interpreter:
    """What a device's Python tells of itself; `software` has the version of every package above that is installed.

    `bits` of its pointers: a 64-bit kernel may well run a 32-bit system. `can_install`: environments can be made.
    """

    os: str
    cores: int
    software: dict[str, str]
    bits: int = 64
    can_install: bool = True

    @property
    def version(self) -> tuple[int, int]:
        """Of Python: (3, 11)."""
        found = re.match(r"(\d{1,4})\.(\d{1,4})", self.software["python"])
        return (int(found[1]), int(found[2])) if found else (0, 0)


def read(output: bytes) -> Interpreter:
    """What the script printed; lines before its own are a greeting.

    Raises: ValueError for anything else: what a device sends is not trusted.
    """
    try:
        found: Any = json.loads(output.decode("utf-8").strip().splitlines()[-1])
        versions = {str(name): printable(str(version))[:100] for name, version in found["software"].items()}
        known = {name: versions[name] for name in ("python", *MODULES) if name in versions}
        bits, can_install = int(found.get("bits", 64)), bool(found.get("can_install", True))
        interpreter = Interpreter(str(found["os"]), int(found["cores"]), known, bits, can_install)
        if interpreter.cores < 1 or interpreter.version == (0, 0):
            raise ValueError
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
        raise ValueError(f"no line of JSON from its Python: {output[-200:]!r}") from None
    return interpreter


def installing(packages: Sequence[str], found: Interpreter, python: str) -> str:
    """How to install packages for `python` on the device; for a Debian, as Raspberry Pi OS is one.

    ai-edge-litert has no wheel for 32-bit systems; tflite-runtime has one for Python up to 3.11, which wants NumPy 1. NumPy and
    Pillow come from Debian there.
    """
    if found.bits == 32:
        if found.version > (3, 11):
            return "install a 64-bit system there: no TFLite runtime has a wheel for 32 bits and this Python"
        here = f'here: python = "{VENV}/bin/python" in the device\'s file'
        system = "sudo apt-get install python3-venv python3-numpy python3-pil"
        make = f"python3 -m venv --system-site-packages {VENV} && {VENV}/bin/python -m pip install tflite-runtime"
        return f"there: {system} && {make}; {here}"
    install = f"-m pip install {' '.join(packages)}"
    if python != "python3":
        return f"there: {python} {install}"
    first = "" if found.can_install else "sudo apt-get install python3-venv && "
    there = f"{first}python3 -m venv {VENV} && {VENV}/bin/python {install}"
    return f'there: {there}; here: python = "{VENV}/bin/python" in the device\'s file'


def of_runtime(software: Mapping[str, str], runtime: RuntimeName) -> dict[str, str]:
    """The versions that decide what one runtime answers: all but those of the other runtimes' packages, by name."""
    others = {package for name, packages in PACKAGES.items() if name != runtime for package in packages}
    return {name: software[name] for name in sorted(software) if name not in others}


def told(document: DeviceDocument) -> dict[str, str]:
    """The versions that a document tells, the runtime's among them."""
    runtime = document.runtime
    return document.system.software | ({runtime.name: runtime.version} if runtime else {})


def differing(document: DeviceDocument, expected: Mapping[str, str]) -> list[str]:
    """Versions that a document tells otherwise than expected, in words; what only one side tells is not compared."""
    found = told(document)
    return [
        f"{name} {found[name]}, expected {version}"
        for name, version in expected.items()
        if version and found.get(name) and found[name] != version
    ]
