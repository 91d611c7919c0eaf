"""The JDK: compile, and run."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from android_demo.hermetic.fetch import cache, unpacked
from android_demo.hermetic.tools import need, run

TODO = "sudo apt-get install openjdk-17-jdk-headless"
SHORT = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # for what runs a minute at most, more costs more than it gains


def class_path(parts: Iterable[Path]) -> str:
    """As the JDK's programs take it."""
    return os.pathsep.join(map(str, parts))


def compile_java(sources: Sequence[Path], libraries: Iterable[Path], out: Path, release: int) -> Path:
    """Compile to class files of a language level; returns their folder."""
    need("javac", "a JDK, 17 or later", TODO)
    out.mkdir(parents=True, exist_ok=True)
    options = [*(f"-J{option}" for option in SHORT), "-encoding", "UTF-8", "-Xlint:-options", "--release", str(release)]
    run(["javac", *options, "-proc:none", "-cp", class_path(libraries), "-d", out, *sources], "Java sources")
    return out


def java(libraries: Iterable[Path], main: str, *arguments: str | Path, options: Sequence[str] = ()) -> list[str]:
    """The command that runs a class."""
    return [
        need("java", "a JDK, 17 or later", TODO),
        *SHORT,
        *options,
        "-cp",
        class_path(libraries),
        main,
        *map(str, arguments),
    ]


def library_classes(archives: Iterable[Path]) -> list[Path]:
    """The class path of artefacts: of an AAR the jar inside, of others themselves."""
    found = []
    for path in archives:
        if path.suffix == ".aar":
            found += unpacked(path, {"classes.jar": f"{path.stem}/classes.jar"}, cache() / "tools")
        else:
            found.append(path)
    return found
