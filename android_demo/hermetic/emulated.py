"""What `qemu-aarch64` runs: the arm64 library that phones load, as it is, its shim, and a driver in C.

The benchmark's device kind `android-arm64` runs what is built here.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from android_demo.hermetic import bionic
from android_demo.hermetic.settings import BIONIC, BUILD
from android_demo.hermetic.tools import run
from android_demo.hermetic.zig import compilers

ABI = "arm64-v8a"
DRIVER = "driver"


def build(out: Path = BUILD / ABI) -> Path:
    """Compile shim and driver into a folder, beside a copy of the library.

    Raises: EdgekdError where the compiler cannot be had.
    """
    library = bionic.library(ABI)
    with compilers() as found:
        compiler = found[ABI]
        bionic.build_shim(ABI, compiler, out)
        inputs = [BIONIC / "driver.c", "-L", library.parent, f"-l:{bionic.LIBRARY}", "-Wl,--allow-shlib-undefined"]
        run([*compiler, "-O2", "-Wall", "-o", out / DRIVER, *inputs], "the driver")
    shutil.copyfile(library, out / bionic.LIBRARY)
    return out
