"""What `qemu-aarch64` runs: the arm64 libraries that phones load, as they are, their shim, and a driver in C.

The benchmark's device kind `android-arm64` runs what is built here.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from android_demo.hermetic import binding, bionic
from android_demo.hermetic.settings import BIONIC, BUILD
from android_demo.hermetic.tools import run
from android_demo.hermetic.zig import compilers

ABI = "arm64-v8a"
DRIVER = "driver"


def build(out: Path = BUILD / ABI) -> Path:
    """Compile shim and driver into a folder, beside copies of the libraries.

    Raises: EdgekdError where the compiler cannot be had.
    """
    with compilers() as found, tempfile.TemporaryDirectory(prefix="edgekd-driver-") as folder:
        compiler = found[ABI]
        bionic.build_shim(ABI, compiler, out)
        for library in (bionic.library(ABI), binding.library(ABI)):
            shutil.copyfile(library, out / library.name)
        inputs = [BIONIC / "driver.c", "-L", out, f"-l:{binding.BINDING}", "-Wl,--allow-shlib-undefined"]
        run([*compiler, "-O2", "-Wall", *binding.headers(Path(folder)), "-o", out / DRIVER, *inputs], "the driver")
    return out
