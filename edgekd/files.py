"""Files that are either whole or not there, their hashes, and paths that stay inside their folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from edgekd.errors import EdgekdError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


@contextlib.contextmanager
def held(path: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock `path`, which ends with the process; gives whether it is held, which without `wait` it may not be.

    The file stays: removing it would let a third process lock another file of the same name. Where there are no such locks
    (Windows) none is held, and the answer is yes. Raises: OSError where the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        is_held = True
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                is_held = False
        yield is_held


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write under a temporary name beside `path`, flush to disk, then rename: readers see the old or the new file.

    Folders that are missing are made.
    Raises: EdgekdError where that cannot be written; the old file is then untouched.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content.encode("utf-8") if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as e:
        raise EdgekdError(str(path), "a place that can be written", str(e)) from None
    finally:
        with contextlib.suppress(OSError):  # what went wrong above must not be hidden
            temporary.unlink(missing_ok=True)


def sha256_bytes(content: bytes) -> str:
    """Hex sha256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex sha256 of a file, read in pieces."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def inside(folder: str | Path, relative: str) -> Path:
    """`folder / relative`, refused if it is absolute, has `..`, or leaves the folder through a symbolic link.

    Raises: EdgekdError.
    """
    parts = PurePosixPath(relative)
    folder = Path(folder)
    path = folder / relative
    escapes = parts.is_absolute() or ".." in parts.parts or "\\" in relative or not relative or "\0" in relative
    try:
        escapes = escapes or not path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError, ValueError):  # a loop of links, or a name that no file can have
        escapes = True
    if escapes:
        raise EdgekdError(
            f"path {relative!r} in {folder}", "a relative path that stays inside the folder", "it leaves it"
        )
    return path
