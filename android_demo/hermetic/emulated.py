"""What `qemu-aarch64` runs: the arm64 library that phones load, as it is, its shim, and a driver in C.

Compiled by zig, which brings glibc's interfaces for other processors in one wheel; a cross compiler of the system is not
needed. The benchmark's device kind `android-arm64` runs what is built here.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from android_demo.hermetic import bionic
from android_demo.hermetic.fetch import PINS, cache
from android_demo.hermetic.settings import BIONIC, BUILD
from android_demo.hermetic.tools import run
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file

ABI = "arm64-v8a"
TARGET = "aarch64-linux-gnu.2.36"  # the C library of the emulated root (Debian 12)
DRIVER = "driver"


def build(out: Path = BUILD / ABI) -> Path:
    """Compile shim and driver into a folder, beside a copy of the library.

    Raises: EdgekdError where the compiler cannot be had.
    """
    library = bionic.library(ABI)
    with tempfile.TemporaryDirectory(prefix="edgekd-zig-") as folder:
        zig = unpack_compiler(fetch_compiler(), Path(folder))
        os.environ["ZIG_GLOBAL_CACHE_DIR"] = os.environ["ZIG_LOCAL_CACHE_DIR"] = folder
        compiler = [str(zig), "cc", "-target", TARGET]
        bionic.build_shim(ABI, compiler, out)
        inputs = [BIONIC / "driver.c", "-L", library.parent, f"-l:{bionic.LIBRARY}", "-Wl,--allow-shlib-undefined"]
        run([*compiler, "-O2", "-Wall", "-o", out / DRIVER, *inputs], "the driver")
    shutil.copyfile(library, out / bionic.LIBRARY)
    return out


def fetch_compiler() -> Path:
    """The compiler's wheel, fetched by pip where it is missing."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise EdgekdError("emulated ARM", "Linux on x86-64", f"{platform.system()} on {platform.machine()}")
    [(name, pin)] = tomllib.loads(PINS.read_text(encoding="utf-8"))["wheel"]["compiler"].items()
    folder = cache() / "wheels"
    if not any(folder.glob(f"{name}-{pin['version']}-*.whl")):
        folder.mkdir(parents=True, exist_ok=True)
        wanted = folder / "wanted.txt"
        wanted.write_text(f"{name}=={pin['version']} --hash=sha256:{pin['sha256']}\n", encoding="utf-8")
        options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, "--requirement", wanted]
        run(command, f"download {name}")
    path = next(folder.glob(f"{name}-{pin['version']}-*.whl"))
    if sha256_file(path) != pin["sha256"]:
        raise EdgekdError(f"download {path.name}", f"SHA-256 {pin['sha256']}", sha256_file(path), f"remove {path}")
    return path


def unpack_compiler(wheel: Path, folder: Path) -> Path:
    """Unpack zig; returns the program."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    zig = folder / "ziglang/zig"
    zig.chmod(0o755)
    return zig
