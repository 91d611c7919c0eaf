"""API-level check: what the code calls must be public and exist on the oldest release that the app runs on.

The platform to compile against shows everything up to its own release, hidden methods too, so the compiler says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic.fetch import fetch
from android_demo.hermetic.java import compile_java, java
from android_demo.hermetic.tools import run

SIGNATURES = "com.toasttab.android:gummy-bears-api-{level}"
SOURCE = Path(__file__).parent / "java/ApiGuard.java"


def check_api(classes: Path, min_sdk: int, own: Sequence[str], out: Path) -> None:
    """Check a folder of class files; `own`: packages that come with the app, as "org.edgekd.*".

    Raises: EdgekdError that lists the calls.
    """
    tools = fetch("guard")
    signatures = tools.pop(SIGNATURES.format(level=min_sdk))
    guard = compile_java([SOURCE], tools.values(), out, 17)
    command = java([guard, *tools.values()], "ApiGuard", signatures, ",".join(own), classes)
    run(command, f"calls that are public and there since API level {min_sdk}")
