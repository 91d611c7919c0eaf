"""Converters run in a process of their own: they are heavy, want other packages, and may crash.

A worker is a script beside this file that imports nothing of edgekd. It gets one argument, a JSON file, and works in the
folder that holds it. Its Python is that of an environment with the extra `convert`: `python`, else EDGEKD_CONVERT_PYTHON,
else the one that runs now.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from edgekd.errors import EdgekdError, missing_package

WORKERS = Path(__file__).parent
LIMIT_S = 1800
ENVIRONMENT = "EDGEKD_CONVERT_PYTHON"
EXTRA = "convert"
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
LINES = 8  # of a failed worker's output that are shown
_MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w]+)", re.MULTILINE)

# What the workers import.
PACKAGES = {
    "litert_torch": ("torch", "litert_torch", "ai_edge_quantizer", "ai_edge_litert"),
    "onnx2tf": ("onnx", "onnx2tf", "onnxruntime", "tensorflow", "tf_keras", "onnx_graphsurgeon", "sng4onnx", "psutil"),
}
_ABSENT = "import sys; from importlib.util import find_spec; print(*(n for n in sys.argv[1:] if not find_spec(n)))"


def confirm_packages(name: str, python: str | None = None) -> None:
    """Ask the Python that would run the worker `name` for its packages, without importing them.

    Raises: EdgekdError if it lacks some, or does not run.
    """
    where, python = f"conversion by {name}", _python(python)
    command = [python, "-P", "-c", _ABSENT, *PACKAGES[name]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as e:
        raise _no_python(where, python, e) from None
    if missing := done.stdout.split():
        raise missing_package(missing, EXTRA, where)


def is_elsewhere() -> bool:
    """Whether workers run by another Python than this one."""
    return bool(os.environ.get(ENVIRONMENT))


def _python(given: str | None) -> str:
    return given or os.environ.get(ENVIRONMENT) or sys.executable


def _no_python(where: str, python: str, error: Exception) -> EdgekdError:
    todo = f"name the Python of an environment with edgekd[{EXTRA}] by {ENVIRONMENT}"
    return EdgekdError(f"{where}: {python}", "a Python that runs", str(error), todo)


def run_worker(name: str, request: dict[str, object], folder: Path, python: str | None = None) -> None:
    """Run the worker `worker_NAME.py` on `request` in `folder`.

    Raises: EdgekdError if its packages are missing, it fails, or it takes longer than LIMIT_S.
    """
    where = f"conversion by {name}"
    (folder / "request.json").write_text(json.dumps(request))
    script = WORKERS / f"worker_{name}.py"
    python = _python(python)
    # -P: the script's folder must not hide a package; TMPDIR: whatever the converter leaves goes with the folder.
    command = [python, "-P", str(script), "request.json"]
    environment = {**os.environ, **QUIET, "TMPDIR": str(folder)}
    try:
        code, output = _communicate(command, folder, environment)
    except subprocess.TimeoutExpired:
        raise EdgekdError(where, f"an end within {LIMIT_S} s", "it was still running and was stopped") from None
    except OSError as e:
        raise _no_python(where, python, e) from None
    if code == 0:
        return
    if missing := _MISSING.findall(output):
        raise missing_package(missing[-1], EXTRA, where)
    last = "\n".join(line for line in output.splitlines() if line.strip()).splitlines()[-LINES:]
    reason = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    raise EdgekdError(where, "a converted file", "\n    ".join([reason, *last]))


def _communicate(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and output (stdout and stderr together) of a process whose children end with it."""
    with (folder / "output.log").open("w+", errors="replace") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            code = process.wait(LIMIT_S)
        finally:
            with contextlib.suppress(OSError):  # the group is gone if the process ended in peace
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        log.seek(0)
        return code, log.read()
