"""The steps from sources to signed APKs: one for all ABIs, and one for each."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from android_demo.hermetic import binding, bionic, resources
from android_demo.hermetic.fetch import fetch
from android_demo.hermetic.guard import check_api
from android_demo.hermetic.java import TODO, compile_java, java
from android_demo.hermetic.pack import pack, read_zip
from android_demo.hermetic.settings import BUILD, CORE, MAIN, Settings, sources
from android_demo.hermetic.sign import sign, sign_release, signer, verify
from android_demo.hermetic.tools import fresh, need, run
from edgekd.files import sha256_file

OWN = ("org.edgekd.*",)


@dataclass(frozen=True)
class Apk:
    """A finished APK."""

    path: Path
    abis: tuple[str, ...]


@dataclass(frozen=True)
class Release:
    """An APK to give away: unsigned, or signed with a key of one's own (`sign.PASSWORD` has its password)."""

    key_store: Path | None = None


@contextmanager
def step(words: str) -> Iterator[None]:
    """Tell how long something took."""
    begin = time.monotonic()
    yield
    print(f"[{time.monotonic() - begin:5.1f} s] {words}", file=sys.stderr)


def build(out: Path = BUILD, release: Release | None = None) -> list[Apk]:
    """Build the APKs into a folder: signed with the public debug key and verified, for trying, or as a release.

    Raises: EdgekdError for whatever is in the way.
    """
    settings, work = Settings.read(), fresh(out / "apk")
    with step("downloads"):
        tools = fetch("tools")
        fetch("guard")
        signer()
        natives = {path: abi for abi in settings.abis for path in (binding.library(abi), bionic.library(abi))}
    with step("resources"):
        made = resources.link(settings, tools, work)
    with step("classes"):
        code = [*sources(CORE / "src/main/java", MAIN / "java", made.java)]
        classes = compile_java(code, [tools[resources.ANDROID]], work / "classes", settings.java)
    with step(f"calls checked against API level {settings.min_sdk}"):
        check_api(classes, settings.min_sdk, OWN, work / "guard")
    with step("dex"):
        dex = to_dex(classes, tools, settings.min_sdk, work / "dex")
    found = []
    with step("packed, signed, verified"):
        content = {**read_zip(made.table), "classes.dex": dex.read_bytes()}
        for abis in (settings.abis, *((abi,) for abi in settings.abis)):
            entries = content | {
                f"lib/{abi}/{path.name}": path.read_bytes() for path, abi in natives.items() if abi in abis
            }
            found.append(_finish(entries, abis, settings, out, work, release))
    return found


def to_dex(classes: Path, tools: dict[str, Path], min_sdk: int, out: Path) -> Path:
    """D8: class files to what Android runs. It wants Java's own classes too, which the platform's jar does not have."""
    fresh(out)
    jdk = Path(need("javac", "a JDK, 17 or later", TODO)).resolve().parents[1]
    known = ["--lib", tools[resources.ANDROID], "--lib", jdk]
    inputs = sorted(classes.rglob("*.class"))
    options = ["--release", "--min-api", str(min_sdk), *known, "--output", out]
    run(java([tools["com.android.tools:r8"]], "com.android.tools.r8.D8", *options, *inputs), "dex files")
    return out / "classes.dex"


def _finish(
    entries: dict[str, bytes], abis: tuple[str, ...], settings: Settings, out: Path, work: Path, release: Release | None
) -> Apk:
    suffix = f"-{abis[0]}" if len(abis) == 1 else ""
    if release:
        suffix += "-release" if release.key_store else "-release-unsigned"
    name = f"edgekd-demo-{settings.version_name}{suffix}.apk"
    pack(work / name, dict(sorted(entries.items())))
    done = work / name
    if release is None or release.key_store:
        done = work / f"signed-{name}"
        if release and release.key_store:
            sign_release(work / name, done, release.key_store)
        else:
            sign(work / name, done)
        verify(done)
    shutil.move(done, out / name)
    return Apk(out / name, abis)


def report(found: list[Apk]) -> str:
    """Size and hash of each APK."""
    rows = [(apk.path.name, apk.path.stat().st_size, sha256_file(apk.path)) for apk in found]
    return "\n".join(f"{name:45} {size:>11,} bytes  sha256 {digest}" for name, size, digest in rows)
