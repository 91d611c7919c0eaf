"""A C compiler for other processors: zig, whose one wheel brings glibc's interfaces; fetched by pip, not kept unpacked."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from android_demo.hermetic.fetch import PINS, cache
from android_demo.hermetic.tools import run
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file

GLIBC = "2.36"  # of the emulated root (Debian 12)
TARGETS = {"arm64-v8a": f"aarch64-linux-gnu.{GLIBC}", "x86_64": f"x86_64-linux-gnu.{GLIBC}"}


@contextmanager
def compilers() -> Iterator[dict[str, list[str]]]:
    """For each ABI the command that compiles C for it.

    Raises: EdgekdError where the compiler cannot be had.
    """
    wheel = fetch_compiler()
    with tempfile.TemporaryDirectory(prefix="edgekd-zig-") as folder:
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
        zig = Path(folder) / "ziglang/zig"
        zig.chmod(0o755)
        os.environ["ZIG_GLOBAL_CACHE_DIR"] = os.environ["ZIG_LOCAL_CACHE_DIR"] = folder
        yield {abi: [str(zig), "cc", "-target", target] for abi, target in TARGETS.items()}


def fetch_compiler() -> Path:
    """The compiler's wheel, fetched by pip where it is missing."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise EdgekdError("compiler", "Linux on x86-64", f"{platform.system()} on {platform.machine()}")
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
