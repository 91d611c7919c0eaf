"""aapt2: resources and manifest to a resource table, R.java, and what Robolectric wants to know of them."""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from pathlib import Path

from android_demo.hermetic.fetch import cache, unpacked
from android_demo.hermetic.settings import LEGAL, MAIN, Settings
from android_demo.hermetic.tools import run
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic

ANDROID = "org.robolectric:android-all"  # the platform: classes, resources, manifest
TOLD = (" package=", "android:versionCode", "android:versionName", "<uses-sdk", "extractNativeLibs")  # by build files
AAPT2 = {"Linux": "prebuilt/linux/aapt2", "Darwin": "prebuilt/macosx/aapt2"}


@dataclass(frozen=True)
class Resources:
    """What aapt2 made."""

    manifest: Path  # with package, versions and SDK levels
    table: Path  # an APK without code: manifest, resources, assets
    java: Path  # folder of R.java


def aapt2(apktool: Path) -> Path:
    """The program inside apktool's jar."""
    inside = AAPT2.get(platform.system())
    if inside is None:
        raise EdgekdError("aapt2", f"one for {' or '.join(AAPT2)}", platform.system(), "build with Gradle here")
    return unpacked(apktool, {inside: f"{apktool.stem}/aapt2"}, cache() / "tools")[0]


def merged_manifest(text: str, settings: Settings) -> str:
    """The manifest with what the build files say, as Gradle merges it: package, versions, SDK levels.

    Raises: EdgekdError for a manifest that says one of them itself.
    """
    told = [word for word in TOLD if word in text]
    if told:
        raise EdgekdError("AndroidManifest.xml", "nothing that the build files say", ", ".join(told))
    opening = re.search(r"<manifest\b([^>]*)>", text)
    if opening is None:
        raise EdgekdError("AndroidManifest.xml", "an element <manifest>", "none")
    version = f'android:versionCode="{settings.version_code}" android:versionName="{settings.version_name}"'
    levels = f'android:minSdkVersion="{settings.min_sdk}" android:targetSdkVersion="{settings.target_sdk}"'
    head = f'<manifest package="{settings.package}" {version}{opening[1]}><uses-sdk {levels} />'
    text = text[: opening.start()] + head + text[opening.end() :]
    return re.sub(r"<application\b", '<application android:extractNativeLibs="false"', text, count=1)  # they are stored


def link(settings: Settings, tools: dict[str, Path], out: Path) -> Resources:
    """Compile and link the app's resources."""
    program = aapt2(tools["org.apktool:apktool-lib"])
    found = Resources(out / "AndroidManifest.xml", out / "resources.apk", out / "generated")
    write_atomic(found.manifest, merged_manifest((MAIN / "AndroidManifest.xml").read_text(encoding="utf-8"), settings))
    compiled = out / "resources.zip"
    run([program, "compile", "--dir", MAIN / "res", "-o", compiled], "resources")
    stored = [word for name in settings.no_compress for word in ("-0", f".{name}")]
    inputs = ["-I", tools[ANDROID], "--manifest", found.manifest, "-A", MAIN / "assets", "-A", LEGAL]
    outputs = ["--java", found.java, "-o", found.table]
    run([program, "link", *inputs, *stored, *outputs, compiled], "resources")
    return found


def write_test_config(found: Resources, settings: Settings, folder: Path) -> Path:
    """The file by which Robolectric finds manifest, resources and assets; returns the folder for the class path."""
    lines = {
        "android_custom_package": settings.package,
        "android_merged_manifest": found.manifest,
        "android_merged_assets": MAIN / "assets",
        "android_resource_apk": found.table,
    }
    text = "".join(f"{key}={value}\n" for key, value in lines.items())
    write_atomic(folder / "com/android/tools/test_config.properties", text)
    return folder
