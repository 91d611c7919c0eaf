"""Sessions in a child process: a file that crashes or hangs a runtime's native code ends in one clear error."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.runtimes.sessions import batches
from edgekd.runtimes.worker import Arrays, receive, send

LIMIT_S = 120.0  # for loading a file, and for each batch of images; beyond it is a hang and not a slow machine
AGAIN = "export it again"


class Isolated:
    """A child process that holds one session at a time; a context manager.

    Images go to it in batches, so that neither its memory nor the time that a hang takes grows with their number.
    After a crash or a time-out the next `load` starts a new process.
    """

    def __init__(self, limit_s: float = LIMIT_S) -> None:
        self.limit_s = limit_s
        self.where = ""
        self.facts: dict[str, Any] = {}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def load(self, format: str, path: Path, threads: int = 1, keep: bool = False) -> Isolated:
        """Load a file; `keep` makes the values of all tensors readable, where the runtime can.

        Raises: EdgekdError if the runtime refuses the file, crashes or hangs.
        """
        self.where = str(path)
        arguments = {"format": format, "path": str(path), "threads": threads, "keep": keep}
        self.facts = self._ask({"do": "load", "arguments": arguments}, None)[0]["describe"]
        return self

    def describe(self) -> dict[str, Any]:
        """What runs in the child: runtime, version, threads, cure."""
        return self.facts

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB.

        Raises: EdgekdError, also for what is no probability.
        """
        return np.concatenate([self._probs(batch) for batch in batches(pixels)])

    def _probs(self, pixels: np.ndarray) -> np.ndarray:
        found = self._ask({"do": "probs"}, pixels)[1]["result"]
        if found.ndim != 2 or not ((found >= 0).all() and (np.abs(found.sum(1) - 1) < 1e-3).all()):  # NaN is neither
            raise EdgekdError(self.where, "rows of probabilities that sum to 1", "other numbers", AGAIN)
        return found

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB.

        Raises: EdgekdError, for a file without one, and for what is no map.
        """
        found = np.concatenate([self._ask({"do": "heatmap"}, batch)[1]["result"] for batch in batches(pixels)])
        if found.ndim != 4 or len(found) != len(pixels) or not np.isfinite(found).all():
            raise EdgekdError(self.where, "maps [B, H, W, K] of finite numbers", "something else", AGAIN)
        return found

    def codes(self, pixels: np.ndarray) -> Arrays:
        """Values [B, ...] of every tensor by name; needs `keep`."""
        found = [self._ask({"do": "codes"}, batch)[1] for batch in batches(pixels)]
        return {name: np.concatenate([codes[name] for codes in found]) for name in found[0]}

    def close(self) -> None:
        """End the child, and what it may have started: a grandchild would keep the pipes open and this process waiting."""
        if self._process:
            _kill(self._process)
            self._process.wait()
            for stream in filter(None, (self._process.stdin, self._process.stdout)):
                with contextlib.suppress(OSError):  # what was not sent cannot be
                    stream.close()
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        # The parent's folder comes first on the path, so that a checkout works without installation.
        root = str(Path(__file__).parents[2])
        path = os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))
        return subprocess.Popen(
            [sys.executable, "-m", "edgekd.runtimes.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"PYTHONPATH": path, "TF_CPP_MIN_LOG_LEVEL": "3"},
            start_new_session=True,
        )

    def _ask(self, header: dict[str, Any], pixels: np.ndarray | None) -> tuple[dict[str, Any], Arrays]:
        self._process = process = self._process or self._start()
        assert process.stdin
        assert process.stdout
        late = threading.Event()

        def stop() -> None:
            late.set()
            _kill(process)

        watch = threading.Timer(self.limit_s, stop)
        watch.start()
        try:
            send(process.stdin, header | {"where": self.where}, None if pixels is None else {"pixels": pixels})
            answer = receive(process.stdout)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            answer = None  # it died in the middle, or answered with something else
        finally:
            watch.cancel()
        if answer is None:
            try:
                code = process.wait(1.0)
            except subprocess.TimeoutExpired:  # it is alive and talks nonsense
                _kill(process)
                code = process.wait()
            self.close()
            found = f"no answer within {self.limit_s:.0f} s" if late.is_set() else _death(code)
            raise EdgekdError(self.where, "a file that its runtime can read", found, AGAIN)
        if not answer[0]["ok"]:
            raise EdgekdError(*answer[0]["error"])
        return answer


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it is gone already
        os.killpg(process.pid, signal.SIGKILL)


def _death(code: int) -> str:
    if code >= 0:
        return f"the runtime's process ended with code {code}"
    return f"the runtime crashed ({signal.Signals(-code).name})"
