"""A child process with an end: its time and its output are limited, as what a device sends is not trusted."""

from __future__ import annotations

import contextlib
import io
import queue
import subprocess
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Self

PIECE = 2**16
STDERR = 2**16  # bytes kept


class TooLong(Exception):
    """The child did not end in time, and was killed."""


class TooMuch(Exception):
    """The child printed more than it may, and was killed."""


@dataclass(frozen=True)
class Done:
    """A child that ended, with what it printed."""

    code: int
    out: bytes
    err: bytes

    @property
    def words(self) -> str:
        """The last line of its messages, or else of its output; "" if it said nothing."""
        for content in (self.err, self.out):
            lines = content.decode("utf-8", "replace").strip().splitlines()
            if lines:
                return lines[-1].strip()[:300]
        return ""


def finish(command: Sequence[str], limit_s: float, given: Iterable[bytes] = (), most: int = PIECE) -> Done:
    """Run a command to its end, with the pieces `given` as its input; at most `most` bytes of output.

    Raises: TooLong, TooMuch, or OSError if it cannot be started.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    assert process.stdout
    assert process.stderr
    late = threading.Event()

    def stop() -> None:
        late.set()
        process.kill()

    err = bytearray()
    timer = threading.Timer(limit_s, stop)
    helpers = [
        timer,
        threading.Thread(target=_keep, args=(process.stderr, err), daemon=True),
        threading.Thread(target=_feed, args=(process.stdin, given), daemon=True),
    ]
    try:
        for thread in helpers:
            thread.start()
        out = process.stdout.read(most + 1)
        if len(out) > most:
            raise TooMuch
        process.wait()
    finally:
        timer.cancel()
        process.kill()
        process.wait()
        for thread in helpers:
            thread.join()
        process.stdout.close()
        process.stderr.close()
    if late.is_set():
        raise TooLong
    return Done(process.returncode, out, bytes(err))


def _feed(stream: IO[bytes], pieces: Iterable[bytes]) -> None:
    """Write everything, as far as somebody reads it."""
    with contextlib.suppress(OSError), stream:
        for piece in pieces:
            stream.write(piece)


def _keep(stream: io.BufferedReader, kept: bytearray) -> None:
    """Read to the end, and keep the last bytes."""
    for piece in iter(lambda: stream.read1(PIECE), b""):
        kept += piece
        del kept[:-STDERR]


class Lines:
    """The lines of a command that goes on printing, as they come; the command ends with the `with` block."""

    def __init__(self, command: Sequence[str], longest: int = PIECE) -> None:
        self.command, self.longest = command, longest
        self.queue: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        null, pipe = subprocess.DEVNULL, subprocess.PIPE
        self.process = subprocess.Popen(self.command, stdin=null, stdout=pipe, stderr=null)
        assert self.process.stdout
        self.stdout = self.process.stdout
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        self.reader.join()
        self.stdout.close()

    def next(self, wait_s: float) -> str | None:
        """The next line; None if there is none for so long, "" at the end. A line keeps its newline."""
        try:
            return self.queue.get(timeout=max(0.0, wait_s)).decode("utf-8", "replace")
        except queue.Empty:
            return None

    def _read(self) -> None:
        while line := self.stdout.readline(self.longest):
            self.queue.put(line)
        self.queue.put(b"")
