"""The app's assets: replaced as a whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from edgekd.android.app_model import DESCRIPTION, MODEL
from edgekd.errors import EdgekdError
from edgekd.files import inside, write_atomic

ASSETS = Path("app/src/main/assets")  # in the folder of the demo
OWN = (MODEL, DESCRIPTION, "golden", "samples")  # what belongs to a model; the rest is the app's


def folder_of(app: Path) -> Path:
    """The folder of the assets of the Android project `app`.

    Raises: EdgekdError if that is no such project.
    """
    assets = app / ASSETS
    if not assets.parent.is_dir():
        raise EdgekdError(str(app), f"an Android project with {ASSETS.parent}", "none", "--app android_demo")
    if assets.is_symlink() or (assets.exists() and not assets.is_dir()):
        raise EdgekdError(str(assets), "a folder", "something else")
    return assets


def replace(assets: Path, files: Mapping[str, bytes]) -> None:
    """Put `files` in place of an older model's; files that belong to no model stay.

    A new folder is written beside the old one, and the two change places. An error leaves the old one as it was; after a
    kill between the two renames the next call puts it back first.
    Raises: EdgekdError where that cannot be written.
    """
    new, old = (assets.with_name(f".{assets.name}.{name}.tmp") for name in ("new", "old"))
    try:
        _recover(assets, old)
        shutil.rmtree(new, ignore_errors=True)
        if assets.exists():
            shutil.copytree(assets, new, ignore=lambda folder, _: OWN if Path(folder) == assets else ())
        for name, content in files.items():
            write_atomic(inside(new, name), content)
        _swap(assets, new, old)
    except OSError as e:
        raise EdgekdError(str(assets), "a place that can be written", str(e)) from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _recover(assets: Path, old: Path) -> None:
    if old.exists() and not assets.exists():
        old.rename(assets)
    shutil.rmtree(old, ignore_errors=True)


def _swap(assets: Path, new: Path, old: Path) -> None:
    if assets.exists():
        assets.rename(old)
    try:
        new.rename(assets)
    except BaseException:  # also when someone interrupts
        if old.exists():
            old.rename(assets)
        raise
    _sync(assets.parent)
    shutil.rmtree(old, ignore_errors=True)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
