"""The app's engine on a plain JVM, with the library of an x86-64 phone: no Android, no emulator."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic import binding, bionic
from android_demo.hermetic.java import compile_java, java
from android_demo.hermetic.settings import BIONIC, CORE, MAIN, Settings, sources
from android_demo.hermetic.tools import fresh

ABI = "x86_64"
ENGINE = [MAIN / f"java/org/edgekd/demo/{name}.java" for name in ("Tflite", "TfliteEngine")]  # need nothing of Android

INTERPRETED = "-Xint"  # no compiler's threads beside those of the runtime, which are counted


def missing() -> str:
    """Why a phone's library cannot run on this machine, in words; "" if it can."""
    if platform.system() != "Linux" or platform.machine() != ABI:
        return "it needs Linux on x86-64"
    return "" if shutil.which("gcc") else "gcc is not installed"


def options(out: Path) -> list[str]:
    """Options of a JVM that can load the libraries; puts them into `out` beside the shim. None where that cannot be."""
    if missing():
        return []
    bionic.build_shim(ABI, ["gcc"], out)
    for library in (bionic.library(ABI), binding.library(ABI)):
        shutil.copyfile(library, out / library.name)
    return [f"-Dedgekd.shim={out}", f"-Djava.library.path={out}"]


def command(main: str, arguments: Sequence[str | Path], out: Path) -> list[str]:
    """The command that runs a class of `android_demo/bionic/java`, compiled with the core and the engine."""
    code = [*sources(CORE / "src/main/java", BIONIC / "java"), *ENGINE]
    classes = compile_java(code, (), fresh(out / "classes"), Settings.read().java)
    return java([classes], main, *arguments, options=[INTERPRETED, *options(out / "shim")])
