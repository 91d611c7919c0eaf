"""The app's engine on a plain JVM, with the library of an x86-64 phone: no Android, no emulator."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic import bionic
from android_demo.hermetic.fetch import fetch
from android_demo.hermetic.java import compile_java, java, library_classes
from android_demo.hermetic.settings import BIONIC, CORE, MAIN, Settings, sources
from android_demo.hermetic.tools import fresh

ABI = "x86_64"
ENGINE = MAIN / "java/org/edgekd/demo/TfliteEngine.java"  # the one class of the app that needs nothing of Android


def missing() -> str:
    """Why a phone's library cannot run on this machine, in words; "" if it can."""
    if platform.system() != "Linux" or platform.machine() != ABI:
        return "it needs Linux on x86-64"
    return "" if shutil.which("gcc") else "gcc is not installed"


def options(out: Path) -> list[str]:
    """Options of a JVM that can load the library; builds the shim in `out`. No options where that cannot be."""
    if missing():
        return []
    shim = bionic.build_shim(ABI, ["gcc"], out)
    return [f"-Dedgekd.shim={shim}", f"-Djava.library.path={bionic.library(ABI).parent}"]


def command(main: str, arguments: Sequence[str | Path], out: Path) -> list[str]:
    """The command that runs a class of `android_demo/bionic/java`, compiled with the core and the engine."""
    libraries = library_classes(fetch("app").values())
    code = [*sources(CORE / "src/main/java", BIONIC / "java"), ENGINE]
    classes = compile_java(code, libraries, fresh(out / "classes"), Settings.read().java)
    return java([classes, *libraries], main, *arguments, options=options(out / "shim"))
