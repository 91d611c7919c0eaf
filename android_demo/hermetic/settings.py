"""The app's settings (`app.toml`) and where its parts lie."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

DEMO = Path(__file__).resolve().parents[1]
CORE, APP, BIONIC, BUILD = DEMO / "core", DEMO / "app", DEMO / "bionic", DEMO / "build"
LEGAL = DEMO / "legal"  # a second folder of assets: licences of what is in the APK
MAIN = APP / "src/main"
FILE = Path(__file__).with_name("app.toml")


@dataclass(frozen=True)
class Settings:
    """`app.toml`."""

    package: str
    version_code: int
    version_name: str
    min_sdk: int
    target_sdk: int
    java: int
    abis: tuple[str, ...]
    no_compress: tuple[str, ...]

    @classmethod
    def read(cls) -> Settings:
        """The settings; a key too many or too few is a TypeError."""
        values = tomllib.loads(FILE.read_text(encoding="utf-8"))
        return cls(**{key: tuple(v) if isinstance(v, list) else v for key, v in values.items()})


def sources(*folders: Path) -> list[Path]:
    """Java files below some folders, in an order that does not depend on the machine."""
    return sorted(path for folder in folders for path in folder.rglob("*.java"))
