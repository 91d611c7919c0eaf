"""apksigner: signature schemes 2 and 3, with the debug key that lies here (`debug.p12`), or a key of one's own for a release.

The key is public, as debug keys are: it shows that an APK was not damaged, not who made it. It is kept because another key
would make another APK. A release is never signed with it: anyone could make its update.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from android_demo.hermetic.fetch import PINS, cache
from android_demo.hermetic.java import java
from android_demo.hermetic.tools import run
from edgekd import debian
from edgekd.errors import EdgekdError

KEY = Path(__file__).with_name("debug.p12")
PUBLIC = "d7b077b3797abe53737c9481d14007f97298f73080d42d6bec98babb30e96bcf"  # sha256 of that key's certificate
PASSWORD = "EDGEKD_KEY_PASSWORD"  # environment variable, of one's own key
MAIN_CLASS = "com.android.apksigner.ApkSignerTool"
EXPECTED = [f"Verified using v{n} scheme (APK Signature Scheme v{n}): true" for n in (2, 3)]
TODO = "make apk"


@dataclass(frozen=True)
class Package:
    """A Debian package, pinned, of which one jar is used."""

    source: str
    name: str
    version: str
    sha256: str
    jar: str


def signer() -> list[Path]:
    """apksigner's class path, fetched where it is missing.

    Raises: EdgekdError also where Debian has another version by now: it would sign other bytes.
    """
    lines = tomllib.loads(PINS.read_text(encoding="utf-8"))["debian"]["signer"]
    packages = [Package("bookworm", f"{name}:all", **line) for name, line in lines.items()]
    folder = cache() / "debian"
    for package, path in debian.fetch(folder, packages, TODO).items():
        if not debian.is_there(path, package):
            raise EdgekdError(f"download {path.name}", f"{package.name} {package.version}", "another version")
        if not (folder / package.jar).is_file():
            debian.unpack(path, folder, [package.jar])
    return [folder / package.jar for package in packages]


def sign(unsigned: Path, signed: Path, key_store: Path = KEY, password: str = "pass:android") -> None:
    """Sign an APK; `password` as apksigner takes it."""
    key = ["--ks", key_store, "--ks-pass", password]
    schemes = ["--v1-signing-enabled", "false", "--v2-signing-enabled", "true"]
    schemes += ["--v3-signing-enabled", "true", "--v4-signing-enabled", "false"]
    run(java(signer(), MAIN_CLASS, "sign", *key, *schemes, "--out", signed, unsigned), "the signature")


def sign_release(unsigned: Path, signed: Path, key_store: Path) -> None:
    """Sign an APK with a key of one's own.

    Raises: EdgekdError also for the public key, under whatever name.
    """
    sign(unsigned, signed, key_store, f"env:{PASSWORD}")
    if PUBLIC in certificates(signed):
        signed.unlink()
        todo = "keytool -genkeypair -keystore mine.p12 -storetype PKCS12 -keyalg RSA -keysize 4096 -validity 10000 -alias mine"
        raise EdgekdError(str(key_store), "a key of your own", "the public debug key", todo)


def certificates(apk: Path) -> str:
    """What apksigner tells of an APK's certificates, their sha256 among it."""
    return run(java(signer(), MAIN_CLASS, "verify", "--print-certs", apk), f"the certificates of {apk.name}")


def verify(apk: Path) -> None:
    """Check an APK's signatures.

    Raises: EdgekdError if one is missing or wrong.
    """
    said = run(java(signer(), MAIN_CLASS, "verify", "--verbose", apk), f"the signature of {apk.name}")
    missing = [line for line in EXPECTED if line not in said]
    if missing:
        raise EdgekdError(f"the signature of {apk.name}", "; ".join(missing), said.strip())
