"""ARM user lands to emulate, from Debian packages and wheels: `python -m edgekd.devices.arm_root` (make arm-root).

What is fetched is in `arm_root.lock`, by version and SHA-256 (`edgekd/debian.py`, pip). Nothing is installed: packages are
unpacked into a folder, so neither root rights nor binfmt are needed. Downloads are kept; made again from them, it needs
no network.

    downloads/                    packages and wheels
    tree/qemu                     qemu 10, static: runs the jobs
    tree/counter, tree/count.so   qemu 7.2 and a plugin: counts instructions (where gcc is there to compile it)
    tree/aarch64, tree/armv7      Python, NumPy, Pillow and a runtime
    tree/cpus/NAME                aarch64 once more with that processor's /proc/cpuinfo, which qemu 7.2 does not make up
    tree/built.json               written last
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekd import debian
from edgekd.errors import EdgekdError
from edgekd.files import sha256_bytes, write_atomic

HERE = Path(__file__).parent
LOCK, PLUGIN = HERE / "arm_root.lock", HERE / "count_instructions.c"
FOLDER = "EDGEKD_ARM_ROOT"
DEFAULT = Path("runs/cache/arm-root")
CPUS = {"cortex-a53": "aarch64", "cortex-a72": "aarch64", "cortex-a76": "aarch64", "cortex-a7": "armv7"}
EMULATORS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}
PLATFORMS = {"aarch64": ("manylinux_2_27_aarch64", "manylinux_2_17_aarch64"), "armv7": ("manylinux_2_34_armv7l",)}
IMPORTS = {"aarch64": "ai_edge_litert.interpreter", "armv7": "tflite_runtime.interpreter"}
PYTHON = "usr/bin/python3.11"
PACKAGES = "usr/lib/python3/dist-packages"
TODO = "make arm-root"


@dataclass(frozen=True)
class Item:
    """A line of the lock. `source`: a Debian release, or "wheel"; `name`: of a Debian package with its architecture."""

    tree: str
    source: str
    name: str
    version: str
    sha256: str


@dataclass(frozen=True)
class ArmRoot:
    """A built root."""

    tree: Path
    counts: bool  # whether instructions can be counted

    def command(self, cpu: str, arguments: Iterable[str]) -> list[str]:
        """Python under emulation."""
        guest = self.tree / CPUS[cpu]
        emulator = self.tree / "qemu/usr/bin" / EMULATORS[CPUS[cpu]]
        return [str(emulator), "-cpu", cpu, "-L", str(guest), str(guest / PYTHON), "-I", *arguments]

    def counting(self, cpu: str, out: Path, arguments: Iterable[str]) -> tuple[list[str], dict[str, str]]:
        """Python under emulation with counted instructions, and the environment for it."""
        counter = self.tree / "counter"
        libraries = [str(p) for p in (counter / "usr/lib/x86_64-linux-gnu", counter / "lib/x86_64-linux-gnu")]
        emulator = [str(counter / "usr/bin" / EMULATORS[CPUS[cpu]]), "-U", "LD_LIBRARY_PATH"]
        plugin = ["-plugin", f"{self.tree / 'count.so'},out={out}", "-cpu", cpu, "-L", str(self.tree / "cpus" / cpu)]
        python = [str(self.tree / CPUS[cpu] / PYTHON), "-I", *arguments]
        return [*emulator, *plugin, *python], {"LD_LIBRARY_PATH": ":".join(libraries)}


def folder() -> Path:
    """Where the root is: as the environment says, or `runs/cache/arm-root`."""
    return Path(os.environ.get(FOLDER) or DEFAULT).absolute()


def find() -> ArmRoot:
    """The built root.

    Raises: EdgekdError if there is none, or one of another version.
    """
    return open_root(folder())


def open_root(root: Path) -> ArmRoot:
    """The root that was built in a folder; raises as `find`."""
    tree = root / "tree"
    try:
        built = json.loads((tree / "built.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise EdgekdError(f"ARM root {root}", "one that was built", "none", TODO) from None
    if built.get("made_of") != made_of():
        raise EdgekdError(f"ARM root {root}", "one of this version of edgekd", "an older one", TODO)
    return ArmRoot(tree, built["counts"])


def made_of() -> str:
    """Changes with whatever the root is made of."""
    return sha256_bytes(LOCK.read_bytes() + PLUGIN.read_bytes())


def lock() -> list[Item]:
    """The lines of the lock."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return [Item(*line.split()) for line in lines if line and not line.startswith("#")]


def build(root: Path) -> ArmRoot:
    """Fetch what is missing, unpack it, compile the plugin, and see each processor start."""
    downloads, tree = root / "downloads", root / "tree.new"
    downloads.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    items = lock()
    debs = debian.fetch(root, [item for item in items if item.source != "wheel"], TODO)
    wheels = fetch_wheels(downloads, [item for item in items if item.source == "wheel"])
    for item, path in (debs | wheels).items():
        unpack(path, tree / item.tree, only=EMULATORS.values() if item.name.startswith("qemu-user:") else ())
    _alternatives(tree / "armv7/usr/lib/arm-linux-gnueabihf")
    found = ArmRoot(tree, compile_plugin(tree / "count.so"))
    for cpu in CPUS:
        start(found, cpu)
    write_atomic(tree / "built.json", json.dumps({"made_of": made_of(), "counts": found.counts}))
    shutil.rmtree(root / "tree", ignore_errors=True)
    tree.rename(root / "tree")
    return open_root(root)


# --- Fetching ----------------------------------------------------------------------------------------------------------


def fetch_wheels(downloads: Path, items: list[Item]) -> dict[Item, Path]:
    """The wheels' files, by pip."""
    found = {}
    for item in items:
        pattern = f"{item.name.replace('-', '_')}-{item.version}-*.whl"
        if not any(debian.is_there(path, item) for path in downloads.glob(pattern)):
            wanted = downloads / "wheel.txt"
            wanted.write_text(f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n", encoding="utf-8")
            platforms = [word for name in PLATFORMS[item.tree] for word in ("--platform", name)]
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version=3.11"]
            command = [sys.executable, "-m", "pip", "download", *options, *platforms]
            debian.run([*command, "--dest", str(downloads), "--requirement", str(wanted)], item.name)
        found[item] = next(path for path in downloads.glob(pattern) if debian.is_there(path, item))
    return found


# --- Making ------------------------------------------------------------------------------------------------------------


def unpack(path: Path, folder: Path, only: Iterable[str] = ()) -> None:
    """Unpack a package or a wheel; `only`: these programs of it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(folder / PACKAGES)
        return
    debian.unpack(path, folder, [f"usr/bin/{name}" for name in only])


def _alternatives(libraries: Path) -> None:
    """The links that Debian makes when it installs BLAS and LAPACK."""
    for name in ("blas", "lapack"):
        (libraries / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")


def compile_plugin(path: Path) -> bool:
    """Compile what counts instructions; False, and a word, where there is no compiler."""
    if shutil.which("gcc") is None:
        print("gcc is not installed: instructions will not be counted", file=sys.stderr)
        return False
    debian.run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(path), str(PLUGIN)], "the plugin")
    return True


def start(root: ArmRoot, cpu: str) -> None:
    """See Python start with its packages, and keep what the processor says of itself for the counting emulator."""
    script = f"import numpy, PIL.Image, {IMPORTS[CPUS[cpu]]}; print(open('/proc/cpuinfo').read(), end='')"
    text = debian.run(root.command(cpu, ["-c", script]), f"Python on an emulated {cpu}")
    view = root.tree / "cpus" / cpu
    (view / "proc").mkdir(parents=True)
    for name in ("etc", "lib", "usr"):
        (view / name).symlink_to(Path("../..") / CPUS[cpu] / name)
    (view / "proc/cpuinfo").write_text(text, encoding="utf-8")


def main() -> int:
    """Build the root where it is missing or out of date."""
    try:
        found = find()
    except EdgekdError:
        try:
            found = build(folder())
        except EdgekdError as e:
            print(e, file=sys.stderr)
            return e.exit_code
    print(f"ARM root: {found.tree}" + ("" if found.counts else " (without instruction counts)"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
