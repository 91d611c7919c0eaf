"""ARM user lands to emulate, from Debian packages and wheels: `python -m edgekd.devices.arm_root` (make arm-root).

What is fetched is in `arm_root.lock`, by version and SHA-256. apt checks its archive's signature too, and where a version
has left the archive, the release's present one is taken and named. Nothing is installed: packages are unpacked into a
folder, so neither root rights nor binfmt are needed. Downloads are kept; made again from them, it needs no network.

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
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import EdgekdError
from edgekd.files import sha256_bytes, sha256_file, write_atomic

HERE = Path(__file__).parent
LOCK, PLUGIN = HERE / "arm_root.lock", HERE / "count_instructions.c"
FOLDER, ARCHIVE = "EDGEKD_ARM_ROOT", "EDGEKD_DEBIAN_ARCHIVE"
DEFAULT = Path("runs/cache/arm-root")
CPUS = {"cortex-a53": "aarch64", "cortex-a72": "aarch64", "cortex-a76": "aarch64", "cortex-a7": "armv7"}
EMULATORS = {"aarch64": "qemu-aarch64", "armv7": "qemu-arm"}
PLATFORMS = {"aarch64": ("manylinux_2_27_aarch64", "manylinux_2_17_aarch64"), "armv7": ("manylinux_2_34_armv7l",)}
IMPORTS = {"aarch64": "ai_edge_litert.interpreter", "armv7": "tflite_runtime.interpreter"}
PYTHON = "usr/bin/python3.11"
PACKAGES = "usr/lib/python3/dist-packages"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
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
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise EdgekdError(
                f"{tool}", "Debian's package tools", "not installed", "build the ARM root on Debian or Ubuntu"
            )
    downloads, tree = root / "downloads", root / "tree.new"
    downloads.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(tree, ignore_errors=True)
    items = lock()
    debs = fetch_debs(root, [item for item in items if item.source != "wheel"])
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


def fetch_debs(root: Path, items: list[Item]) -> dict[Item, Path]:
    """The packages' files, by apt with a state of its own; those that are there already are not fetched again."""
    downloads = root / "downloads"
    missing = [item for item in items if not _is_there(_deb(downloads, item), item)]
    if missing:
        environment = os.environ | {"APT_CONFIG": str(_private_apt(root / "apt"))}
        _run(["apt-get", "--quiet=2", "update"], "Debian's package lists", env=environment)
        wanted = [f"{item.name}={item.version}" for item in missing]
        subprocess.run(
            ["apt-get", "--quiet=2", "download", *wanted], cwd=downloads, env=environment, capture_output=True
        )
    return {item: _fetched(item, downloads, root / "apt" / "apt.conf") for item in items}


def _fetched(item: Item, downloads: Path, config: Path) -> Path:
    """The file of a package; if its version has left the archive, of the one that took its place."""
    path = _deb(downloads, item)
    if path.is_file():
        _check(path, item)
        return path
    other = downloads / f"{item.source}-{item.name.replace(':', '-')}"
    other.mkdir(exist_ok=True)
    if not any(other.glob("*.deb")):
        environment = os.environ | {"APT_CONFIG": str(config)}
        _run(["apt-get", "--quiet=2", "download", f"{item.name}/{item.source}"], item.name, cwd=other, env=environment)
    [path] = other.glob("*.deb")
    print(f"{item.name} {item.version} has left the archive: took {path.name}", file=sys.stderr)
    return path


def _deb(downloads: Path, item: Item) -> Path:
    name, architecture = item.name.split(":")
    return downloads / f"{name}_{item.version.replace(':', '%3a')}_{architecture}.deb"


def fetch_wheels(downloads: Path, items: list[Item]) -> dict[Item, Path]:
    """The wheels' files, by pip."""
    found = {}
    for item in items:
        pattern = f"{item.name.replace('-', '_')}-{item.version}-*.whl"
        if not any(_is_there(path, item) for path in downloads.glob(pattern)):
            wanted = downloads / "wheel.txt"
            wanted.write_text(f"{item.name}=={item.version} --hash=sha256:{item.sha256}\n", encoding="utf-8")
            platforms = [word for name in PLATFORMS[item.tree] for word in ("--platform", name)]
            options = ["--quiet", "--no-deps", "--only-binary=:all:", "--require-hashes", "--python-version=3.11"]
            command = [sys.executable, "-m", "pip", "download", *options, *platforms]
            _run([*command, "--dest", str(downloads), "--requirement", str(wanted)], item.name)
        found[item] = next(path for path in downloads.glob(pattern) if _is_there(path, item))
    return found


def _private_apt(folder: Path) -> Path:
    """apt's configuration with lists, cache and sources of its own, beside the system's."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    signed, site = f"signed-by={KEYS} " if KEYS.is_file() else "", archive()
    sources = [("bookworm", "amd64,arm64,armhf"), ("trixie", "amd64")]
    lines = [f"deb [{signed}arch={names}] {site} {release} main\n" for release, names in sources]
    (folder / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
    config = f"""Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/etc/sources.list"; Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "{folder}/etc/preferences.d";
APT::Architecture "amd64"; APT::Architectures {{ "amd64"; "arm64"; "armhf"; }};
Acquire::Languages "none"; APT::Sandbox::User "";
"""
    write_atomic(folder / "apt.conf", config)
    return folder / "apt.conf"


def archive() -> str:
    """Address of Debian's archive: as the environment says, or the one this machine uses.

    Raises: EdgekdError on a machine that uses none.
    """
    if os.environ.get(ARCHIVE):
        return os.environ[ARCHIVE]
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    sites = subprocess.run(asked, capture_output=True, text=True).stdout.split()
    found = next((site for site in sites if re.search(r"/debian/?$", site)), None)
    if found is None:
        raise EdgekdError("Debian's archive", "one among this machine's package sources", "none", f"set {ARCHIVE}")
    return found


def _is_there(path: Path, item: Item) -> bool:
    return path.is_file() and sha256_file(path) == item.sha256


def _check(path: Path, item: Item) -> None:
    if not _is_there(path, item):
        raise EdgekdError(str(path), f"SHA-256 {item.sha256}", sha256_file(path), "remove it, then: " + TODO)


# --- Making ------------------------------------------------------------------------------------------------------------


def unpack(path: Path, folder: Path, only: Iterable[str] = ()) -> None:
    """Unpack a package or a wheel; `only`: these programs of it."""
    if path.suffix == ".whl":
        with zipfile.ZipFile(path) as wheel:
            wheel.extractall(folder / PACKAGES)
        return
    wanted = {f"./usr/bin/{name}" for name in only}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as archive,
    ):
        for member in archive:
            if not wanted or member.name in wanted:
                archive.extract(member, folder, filter="tar")
    if process.returncode:
        raise EdgekdError(str(path), "a Debian package", f"dpkg-deb ended with {process.returncode}", "remove it")


def _alternatives(libraries: Path) -> None:
    """The links that Debian makes when it installs BLAS and LAPACK."""
    for name in ("blas", "lapack"):
        (libraries / f"lib{name}.so.3").symlink_to(f"{name}/lib{name}.so.3")


def compile_plugin(path: Path) -> bool:
    """Compile what counts instructions; False, and a word, where there is no compiler."""
    if shutil.which("gcc") is None:
        print("gcc is not installed: instructions will not be counted", file=sys.stderr)
        return False
    _run(["gcc", "-O2", "-shared", "-fPIC", "-o", str(path), str(PLUGIN)], "the plugin")
    return True


def start(root: ArmRoot, cpu: str) -> None:
    """See Python start with its packages, and keep what the processor says of itself for the counting emulator."""
    script = f"import numpy, PIL.Image, {IMPORTS[CPUS[cpu]]}; print(open('/proc/cpuinfo').read(), end='')"
    text = _run(root.command(cpu, ["-c", script]), f"Python on an emulated {cpu}")
    view = root.tree / "cpus" / cpu
    (view / "proc").mkdir(parents=True)
    for name in ("etc", "lib", "usr"):
        (view / name).symlink_to(Path("../..") / CPUS[cpu] / name)
    (view / "proc/cpuinfo").write_text(text, encoding="utf-8")


def _run(command: list[str], what: str, **options: object) -> str:
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EdgekdError(what, f"{Path(command[0]).name} succeeds", lines[-1] if lines else f"code {done.returncode}")
    return done.stdout


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
