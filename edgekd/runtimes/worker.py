"""The other side of `isolated`: loads files in a runtime and answers, in a process that may crash without harm.

    python -m edgekd.runtimes.worker

Requests and answers are frames on stdin and stdout: a JSON header line, then the arrays that it counts, as .npy.
"""

from __future__ import annotations

import io
import json
import os
import sys
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from edgekd.errors import EdgekdError

Arrays = dict[str, np.ndarray]


def send(stream: IO[bytes], header: dict[str, Any], arrays: Arrays | None = None) -> None:
    """Write one frame."""
    contents = {}
    for name, array in (arrays or {}).items():
        buffer = io.BytesIO()
        np.save(buffer, np.ascontiguousarray(array), allow_pickle=False)
        contents[name] = buffer.getvalue()
    header = header | {"arrays": {name: len(content) for name, content in contents.items()}}
    stream.write(json.dumps(header).encode() + b"\n")
    for content in contents.values():
        stream.write(content)
    stream.flush()


def receive(stream: IO[bytes]) -> tuple[dict[str, Any], Arrays] | None:
    """Read one frame; None at the end of the stream."""
    line = stream.readline()
    if not line.endswith(b"\n"):
        return None
    header = json.loads(line)
    arrays = {}
    for name, size in header.pop("arrays").items():
        content = stream.read(size)
        if len(content) != size:
            return None
        arrays[name] = np.load(io.BytesIO(content), allow_pickle=False)
    return header, arrays


def main() -> None:
    """Answer until stdin ends."""
    # Native libraries print to stdout as they like; the frames get a descriptor of their own.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    session: Any = None
    while (request := receive(sys.stdin.buffer)) is not None:
        header, arrays = request
        try:
            if header["do"] == "load":
                session = _load(**header["arguments"])
                send(answers, {"ok": True, "describe": session.describe()})
            else:
                found = getattr(session, header["do"])(arrays["pixels"])
                send(answers, {"ok": True}, found if isinstance(found, dict) else {"result": found})
        except EdgekdError as e:
            send(answers, {"ok": False, "error": [e.where, e.expected, e.found, e.todo]})
        except Exception as e:  # whatever a runtime makes of a file
            first = (str(e).strip().splitlines() or [""])[0][:300]
            send(answers, {"ok": False, "error": [header["where"], "", f"{type(e).__name__}: {first}", ""]})


def _load(format: str, path: str, threads: int, keep: bool) -> Any:
    from edgekd.runtimes import find

    module: Any = find(format)[1]  # `keep` is of those runtimes alone that keep tensors
    return module.load(Path(path), threads, keep=True) if keep else module.load(Path(path), threads)


if __name__ == "__main__":
    main()
