"""A model for the app to import: one zip with the files that its assets would have. ModelArchive.java reads it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from edgekd.errors import EdgekdError
from edgekd.files import write_atomic

MAX_BYTES = 256 * 2**20  # of all files; the app takes no more
DATE = (1980, 1, 1, 0, 0, 0)  # the first that a zip can have, so that equal files make equal zips


def write(path: str | Path, files: Mapping[str, bytes]) -> int:
    """Write `files` (name -> content) as a zip, stored and without dates; its size in bytes.

    Raises: EdgekdError for files that the app would refuse for their size, or a place that cannot be written.
    """
    size = sum(map(len, files.values()))
    if size > MAX_BYTES:
        raise EdgekdError(str(path), f"at most {MAX_BYTES} bytes in all files, which the app takes", f"{size} bytes")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name, DATE), content)
    write_atomic(path, packed.getvalue())
    return len(packed.getvalue())
