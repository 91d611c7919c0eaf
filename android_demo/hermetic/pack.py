"""The zip file that an APK is, the same to the byte wherever it is made.

Everything is stored, not compressed: what is mapped into memory has to be (model, native libraries, resource table), and
zlib's versions compress differently. Libraries begin at pages of 16 KiB, all else at 4 bytes, by padding in the extra
field that zipalign uses and apksigner keeps.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path

PAGE, WORD = 16384, 4
ALIGNMENT_FIELD = 0xD935
LOCAL_HEADER = 30  # bytes, before the name
OLDEST = (1980, 1, 1, 0, 0, 0)  # the first moment that zip can hold


def pack(out: Path, entries: Mapping[str, bytes]) -> None:
    """Write entries in the order given."""
    with out.open("wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            entry = zipfile.ZipInfo(name, OLDEST)
            entry.create_system = entry.external_attr = 0
            entry.extra = padding(file.tell(), name, PAGE if name.endswith(".so") else WORD)
            archive.writestr(entry, content)


def padding(at: int, name: str, alignment: int) -> bytes:
    """Extra field of an entry whose header begins at `at`, so that its content begins at a multiple of `alignment`."""
    content = at + LOCAL_HEADER + len(name.encode()) + 6
    zeros = -content % alignment
    return struct.pack("<HHH", ALIGNMENT_FIELD, 2 + zeros, alignment) + bytes(zeros)


def read_zip(path: Path) -> dict[str, bytes]:
    """Entries of a zip file, in its order."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
