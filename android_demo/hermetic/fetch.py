"""Downloads: pinned by SHA-256 in `pins.toml`, fetched by Maven as this machine is set up, kept in a cache of the user.

Once everything is there, no network is needed. Maven resolves each artefact alone: what it says of its own dependencies
is ignored, so nothing is fetched that is not pinned.
"""

from __future__ import annotations

import os
import shutil
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from android_demo.hermetic.tools import need, run
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file, write_atomic

CACHE = "EDGEKD_ANDROID_CACHE"
PINS = Path(__file__).with_name("pins.toml")
RESOLVE = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:resolve"
NO_DEPENDENCIES = "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"


@dataclass(frozen=True)
class Pin:
    """One artefact of a Maven repository."""

    group: str
    artifact: str
    version: str
    type: str
    classifier: str  # "" for an artefact that has none
    sha256: str

    @classmethod
    def parse(cls, coordinates: str, sha256: str) -> Pin:
        """`group:artifact:version[:type[:classifier]]`."""
        parts = coordinates.split(":")
        parts += ["jar", ""][len(parts) - 3 :]
        return cls(*parts, sha256)

    @property
    def name(self) -> str:
        """`group:artifact`, or with its classifier `group:artifact:classifier`."""
        return ":".join(part for part in (self.group, self.artifact, self.classifier) if part)

    @property
    def path(self) -> str:
        """Where Maven keeps it, below its local repository."""
        folders, suffix = self.group.replace(".", "/"), f"-{self.classifier}" if self.classifier else ""
        return f"{folders}/{self.artifact}/{self.version}/{self.artifact}-{self.version}{suffix}.{self.type}"


def cache() -> Path:
    """The folder of downloads: as the environment says, or in the user's cache."""
    if os.environ.get(CACHE):
        return Path(os.environ[CACHE]).absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgekd/android"


def pins(*groups: str, path: Path = PINS) -> list[Pin]:
    """The artefacts of some groups, each once."""
    tables = tomllib.loads(path.read_text(encoding="utf-8"))["maven"]
    return list(dict.fromkeys(Pin.parse(*line) for group in groups for line in tables[group].items()))


def fetch(*groups: str, path: Path = PINS) -> dict[str, Path]:
    """Files of the artefacts of some groups, by name, fetched where they are missing.

    Raises: EdgekdError for a file that has another hash than pinned, or cannot be had.
    """
    wanted, repository = pins(*groups, path=path), cache() / "maven"
    missing = [pin for pin in wanted if not (repository / pin.path).is_file()]
    if missing:
        _resolve(missing, repository)
    for pin in wanted:
        _check(pin, repository / pin.path)
    return {pin.name: repository / pin.path for pin in wanted}


def _check(pin: Pin, path: Path) -> None:
    found = sha256_file(path)
    if found != pin.sha256:
        todo = f"if the download was damaged, remove {path.parent}; otherwise it is not what was pinned"
        raise EdgekdError(f"download {path.name}", f"SHA-256 {pin.sha256}", found, todo)


def _resolve(missing: list[Pin], repository: Path) -> None:
    """Let Maven bring artefacts into `repository`, all by one call."""
    need("mvn", "Maven", "sudo apt-get install maven")
    lines = [
        f"<dependency><groupId>{escape(p.group)}</groupId><artifactId>{escape(p.artifact)}</artifactId>"
        f"<version>{escape(p.version)}</version><type>{escape(p.type)}</type>"
        f"<classifier>{escape(p.classifier)}</classifier>{NO_DEPENDENCIES}</dependency>"
        for p in missing
    ]
    pom = repository.parent / "fetch.pom.xml"
    head = "<modelVersion>4.0.0</modelVersion><groupId>org.edgekd</groupId><artifactId>fetch</artifactId><version>1</version>"
    body = "\n".join(lines)
    write_atomic(
        pom,
        f'<project xmlns="http://maven.apache.org/POM/4.0.0">{head}<packaging>pom</packaging>\n'
        f"<dependencies>\n{body}\n</dependencies>\n</project>\n",
    )
    options = ["--batch-mode", "--quiet", "--no-transfer-progress", "--file", str(pom)]
    run(["mvn", *options, f"-Dmaven.repo.local={repository}", RESOLVE], "downloads by Maven")


def unpacked(archive: Path, names: dict[str, str], folder: Path) -> list[Path]:
    """Files of a zip archive, by their name in it, under other names in `folder`; those that are there and whole are kept."""
    found = [folder / name for name in names.values()]
    with zipfile.ZipFile(archive) as content:
        for inside, path in zip(names, found, strict=True):
            if path.is_file() and zlib.crc32(path.read_bytes()) == content.getinfo(inside).CRC:
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(f".{path.name}.{os.getpid()}.tmp")
            with content.open(inside) as source, part.open("wb") as target:
                shutil.copyfileobj(source, target)
            part.chmod(0o755)
            part.replace(path)
    return found
