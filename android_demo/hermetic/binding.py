"""The app's own native library, TensorFlow Lite's C interface for Java (`app/src/main/jni/tflite.c`): some kilobytes.

It is compiled once, lies in git (`app/src/main/jniLibs`, where Gradle takes it too), and a test compiles it again and
compares: so that neither build needs a compiler for Android. It uses no C library, hence no Android NDK.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic import bionic
from android_demo.hermetic.java import TODO
from android_demo.hermetic.settings import MAIN, Settings
from android_demo.hermetic.tools import need, run
from android_demo.hermetic.zig import compilers
from edgekd.files import write_atomic

BINDING = "libedgekd.so"
SOURCE = MAIN / "jni/tflite.c"
JAVA = MAIN / "java/org/edgekd/demo/Tflite.java"
COMPILED = MAIN / "jniLibs"
PAGE = 16384
COMPILE = ["-c", "-O2", "-fPIC", "-fvisibility=hidden", "-ffreestanding", "-Wall"]
LINK = ["-shared", "-nostdlib", "-s", f"-Wl,-soname,{BINDING}", f"-Wl,-z,max-page-size={PAGE}", "-Wl,-rpath,$ORIGIN"]


def library(abi: str) -> Path:
    """The compiled library of an ABI."""
    return COMPILED / abi / BINDING


def build(out: Path = COMPILED) -> list[Path]:
    """Compile it for every ABI into folders of their names."""
    with compilers() as found:
        return [_compile(found[abi], abi, out / abi) for abi in Settings.read().abis]


def headers(folder: Path) -> list[str]:
    """Options of a C compiler that show it JNI and what Java says of the functions, written into a folder."""
    javac = need("javac", "a JDK, 17 or later", TODO)
    run([javac, "-h", folder, "-d", folder, JAVA], "the header of Tflite.java")
    jdk = Path(javac).resolve().parents[1]
    return [f"-I{folder}", "-isystem", str(jdk / "include"), "-isystem", str(jdk / "include/linux")]


def _compile(compiler: Sequence[str], abi: str, out: Path) -> Path:
    out.mkdir(parents=True, exist_ok=True)
    runtime, what = bionic.library(abi), f"{BINDING} for {abi}"
    with tempfile.TemporaryDirectory(prefix="edgekd-binding-") as folder:
        compiled, linked = Path(folder) / "tflite.o", Path(folder) / BINDING
        run([*compiler, *COMPILE, *headers(Path(folder)), "-o", compiled, SOURCE], what)
        inputs = [compiled, "-L", runtime.parent, f"-l:{bionic.LIBRARY}", "-Wl,--allow-shlib-undefined"]
        run([*compiler, *LINK, "-o", linked, *inputs], what)
        write_atomic(out / BINDING, linked.read_bytes())
    return out / BINDING
