"""Debian packages, pinned by SHA-256: fetched by apt with a state of its own, never installed.

apt checks its archive's signature too. Where a version has left the archive, the release's present one is taken and named.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from edgekd.errors import EdgekdError
from edgekd.files import sha256_file, write_atomic

ARCHIVE = "EDGEKD_DEBIAN_ARCHIVE"
KEYS = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


class Package(Protocol):
    """What is asked for. `source`: a release; `name`: with the architecture, "libc6:arm64"."""

    @property
    def source(self) -> str: ...  # noqa: D102
    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def version(self) -> str: ...  # noqa: D102
    @property
    def sha256(self) -> str: ...  # noqa: D102


P = TypeVar("P", bound=Package)


def fetch(root: Path, packages: Sequence[P], todo: str) -> dict[P, Path]:
    """The packages' files in `root/downloads`; those that are there already are not fetched again.

    Raises: EdgekdError where they cannot be had, or one is not the pinned one; `todo` is what to do after removing it.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise EdgekdError(tool, "Debian's package tools", "not installed", "do this on Debian or Ubuntu")
    downloads = root / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    missing = [package for package in packages if not is_there(_path(downloads, package), package)]
    if missing:
        environment = os.environ | {"APT_CONFIG": str(_private_apt(root / "apt", missing))}
        run(["apt-get", "--quiet=2", "update"], "Debian's package lists", env=environment)
        wanted = [f"{package.name}={package.version}" for package in missing]
        command = ["apt-get", "--quiet=2", "download", *wanted]
        subprocess.run(command, cwd=downloads, env=environment, capture_output=True)
    return {package: fetched(package, downloads, root / "apt" / "apt.conf", todo) for package in packages}


def fetched(package: Package, downloads: Path, config: Path, todo: str) -> Path:
    """The file of a package; if its version has left the archive, of the one that took its place."""
    path = _path(downloads, package)
    if path.is_file():
        if not is_there(path, package):
            raise EdgekdError(str(path), f"SHA-256 {package.sha256}", sha256_file(path), f"remove it, then: {todo}")
        return path
    other = downloads / f"{package.source}-{package.name.replace(':', '-')}"
    other.mkdir(exist_ok=True)
    if not any(other.glob("*.deb")):
        environment = os.environ | {"APT_CONFIG": str(config)}
        wanted = f"{package.name}/{package.source}"
        run(["apt-get", "--quiet=2", "download", wanted], package.name, cwd=other, env=environment)
    [path] = other.glob("*.deb")
    print(f"{package.name} {package.version} has left the archive: took {path.name}", file=sys.stderr)
    return path


def is_there(path: Path, package: Package) -> bool:
    """Whether a file is the pinned one."""
    return path.is_file() and sha256_file(path) == package.sha256


def unpack(path: Path, folder: Path, only: Collection[str] = ()) -> None:
    """Unpack a package; `only`: these members of it, by their path."""
    wanted = {f"./{name}" for name in only}
    with (
        subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(path)], stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as members,
    ):
        for member in members:
            if not wanted or member.name in wanted:
                members.extract(member, folder, filter="tar")
    if process.returncode:
        raise EdgekdError(str(path), "a Debian package", f"dpkg-deb ended with {process.returncode}", "remove it")


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


def run(command: list[str], what: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a program prints.

    Raises: EdgekdError if it fails, with the last line that it said.
    """
    null = subprocess.DEVNULL
    done = subprocess.run(command, capture_output=True, text=True, stdin=null, cwd=cwd, env=env)
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise EdgekdError(what, f"{Path(command[0]).name} succeeds", lines[-1] if lines else f"code {done.returncode}")
    return done.stdout


def _path(downloads: Path, package: Package) -> Path:
    name, architecture = package.name.split(":")
    return downloads / f"{name}_{package.version.replace(':', '%3a')}_{architecture}.deb"


def _private_apt(folder: Path, packages: Sequence[Package]) -> Path:
    """apt's configuration with lists, cache and sources of its own, beside the system's."""
    for name in ("state/lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "status").touch()
    signed, site = f"signed-by={KEYS} " if KEYS.is_file() else "", archive()
    lists: dict[str, set[str]] = {}
    for package in packages:
        architecture = package.name.split(":")[1]
        lists.setdefault(package.source, {"amd64"}).update({architecture} - {"all"})
    lines = [
        f"deb [{signed}arch={','.join(sorted(names))}] {site} {release} main\n"
        for release, names in sorted(lists.items())
    ]
    (folder / "etc/sources.list").write_text("".join(lines), encoding="utf-8")
    names = sorted(set().union(*lists.values()))
    config = f"""Dir::State "{folder}/state"; Dir::State::status "{folder}/status"; Dir::Cache "{folder}/cache";
Dir::Etc::sourcelist "{folder}/etc/sources.list"; Dir::Etc::sourceparts "-";
Dir::Etc::preferencesparts "{folder}/etc/preferences.d";
APT::Architecture "amd64"; APT::Architectures {{ {" ".join(f'"{name}";' for name in names)} }};
Acquire::Languages "none"; APT::Sandbox::User "";
"""
    write_atomic(folder / "apt.conf", config)
    return folder / "apt.conf"
