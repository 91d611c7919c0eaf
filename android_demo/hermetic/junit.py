"""Tests on this machine's JVM: the core with plain JUnit, the app under Robolectric, with the phone's own TFLite library."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic import jvm
from android_demo.hermetic.fetch import fetch
from android_demo.hermetic.java import compile_java, java, library_classes
from android_demo.hermetic.resources import ANDROID, link, write_test_config
from android_demo.hermetic.settings import APP, BIONIC, CORE, DEMO, MAIN, Settings, sources
from android_demo.hermetic.tools import fresh
from edgekd.errors import EdgekdError

RUNNER = Path(__file__).parent / "java/RunTests.java"
PHONE = BIONIC / "java/org/edgekd/bionic/PhoneLibrary.java"
TEST_JAVA = 17  # language level of tests: that of the JDK they run on
HEAP = "-Xmx1500m"
OPENS = "--add-opens=java.base/java.io=ALL-UNNAMED"  # Robolectric opens assets by their file descriptor


def run_core(names: Sequence[str], out: Path) -> int:
    """JUnit tests of the core without Android; `names`: simple names of classes, () for all. Returns the exit code."""
    settings, libraries = Settings.read(), list(fetch("junit").values())
    fresh(out)
    core = compile_java(sources(CORE / "src/main/java"), (), out / "core", settings.java)
    tests = compile_java([*_tests(CORE), RUNNER], [core, *libraries], out / "tests", TEST_JAVA)
    path = [tests, core, *_resources(CORE), *libraries]
    return _run(java(path, "RunTests", *_classes(CORE, names), options=[HEAP]))


def run_app(names: Sequence[str], out: Path) -> int:
    """Tests of the activities under Robolectric, as `run_core`."""
    path, options = app_jvm(out)
    return _run(java(path, "RunTests", *_classes(APP, names), options=options))


def app_jvm(out: Path, heap: str = HEAP) -> tuple[list[Path], list[str]]:
    """Compile the app and its tests; the class path and the options of a JVM that runs them under Robolectric."""
    settings, tools = Settings.read(), fetch("tools")
    robolectric = fetch("junit", "robolectric")
    instrumented = robolectric.pop("org.robolectric:android-all-instrumented")
    fresh(out)
    made = link(settings, tools, out)
    libraries = library_classes(robolectric.values())
    android = tools[ANDROID]
    code = [*sources(CORE / "src/main/java", MAIN / "java", made.java)]
    app = compile_java(code, [android], out / "app", settings.java)
    tests = compile_java([*_tests(APP), PHONE, RUNNER], [app, *libraries, android], out / "tests", TEST_JAVA)
    config = write_test_config(made, settings, out / "config")
    properties = {
        "robolectric.offline": "true",
        "robolectric.dependency.dir": str(instrumented.parent),
        "robolectric.pixelCopyRenderMode": "hardware",
        "java.io.tmpdir": str(fresh(out / "tmp")),
        "edgekd.demo": str(DEMO),
        "edgekd.out": str(out),
    }
    options = [heap, OPENS, *(f"-D{key}={value}" for key, value in properties.items()), *jvm.options(out / "shim")]
    return [tests, app, config, *_resources(APP), *libraries, android], options


def _tests(module: Path) -> list[Path]:
    found = sources(module / "src/test/java")
    if not found:
        raise EdgekdError(str(module / "src/test/java"), "tests", "none")
    return found


def _resources(module: Path) -> list[Path]:
    return [path for path in [module / "src/test/resources"] if path.is_dir()]


def _classes(module: Path, names: Sequence[str]) -> list[str]:
    """Full names of test classes: files named …Test.java."""
    root = module / "src/test/java"
    known = {path.stem: ".".join(path.relative_to(root).with_suffix("").parts) for path in _tests(module)}
    unknown = set(names) - set(known)
    if unknown:
        raise EdgekdError("tests", f"of {', '.join(sorted(known))}", ", ".join(sorted(unknown)))
    return [full for name, full in known.items() if name in names or (not names and name.endswith("Test"))]


def _run(command: list[str]) -> int:
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
