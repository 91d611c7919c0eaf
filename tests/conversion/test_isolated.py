"""Workers: what becomes of one that ends well, fails, crashes, hangs, or lacks its packages."""

from __future__ import annotations

import ast
import os
import sys
import time
from pathlib import Path

import pytest

from edgekd.conversion import isolated
from edgekd.errors import EdgekdError


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """work(code, ...) runs a worker with this code and gives its folder."""
    monkeypatch.setattr(isolated, "WORKERS", tmp_path)
    monkeypatch.delenv(isolated.ENVIRONMENT, raising=False)
    folder = tmp_path / "folder"
    folder.mkdir()

    def start(code: str, python: str | None = None) -> Path:
        (tmp_path / "worker_test.py").write_text(code)
        isolated.run_worker("test", {"answer": 42}, folder, python)
        return folder

    return start


def test_a_worker_reads_its_request_and_writes_beside_it(work) -> None:
    folder = work("import json, sys; open('out', 'w').write(str(json.load(open(sys.argv[1]))['answer']))")
    assert (folder / "out").read_text() == "42"


def test_a_missing_package_names_the_install_command(work) -> None:
    with pytest.raises(EdgekdError) as error:
        work("import no_such_package.part")
    assert "'no_such_package'" in str(error.value)
    assert 'pip install "edgekd[convert]"' in str(error.value)


def test_another_python_is_asked_for_its_packages_before_the_work(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(isolated.PACKAGES, "toy", ("json", "no_such_package", "nor_this"))
    with pytest.raises(EdgekdError, match=r"'no_such_package', 'nor_this'(.|\n)*edgekd\[convert\]"):
        isolated.confirm_packages("toy")
    monkeypatch.setitem(isolated.PACKAGES, "toy", ("json",))
    isolated.confirm_packages("toy")
    monkeypatch.setenv(isolated.ENVIRONMENT, str(tmp_path / "none"))
    with pytest.raises(EdgekdError, match=isolated.ENVIRONMENT):
        isolated.confirm_packages("toy")


def test_a_failure_shows_the_last_lines(work) -> None:
    with pytest.raises(EdgekdError, match="exit code 1") as error:
        work("for i in range(50): print('line', i)\nraise ValueError('what went wrong')")
    assert "what went wrong" in str(error.value)
    assert "line 3\n" not in str(error.value)


def test_a_crash_names_the_signal(work) -> None:
    with pytest.raises(EdgekdError, match="signal SIGABRT"):
        work("import os; os.abort()")


def test_a_worker_that_hangs_is_stopped_with_its_children(work, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(isolated, "LIMIT_S", 2)
    begun = time.monotonic()
    with pytest.raises(EdgekdError, match="still running"):
        work(
            "import subprocess, sys, time\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
            "open('child', 'w').write(str(child.pid))\n"
            "time.sleep(60)"
        )
    assert time.monotonic() - begun < 30
    child = Path("/proc") / (tmp_path / "folder" / "child").read_text()
    for _ in range(100):
        if not (child / "cmdline").exists() or not (child / "cmdline").read_bytes():  # gone, or a zombie
            return
        time.sleep(0.05)
    pytest.fail("the child lives on")


def test_a_python_that_is_not_there(work) -> None:
    with pytest.raises(EdgekdError, match="EDGEKD_CONVERT_PYTHON"):
        work("", python="/no/such/python")


def test_the_environment_may_name_the_python(work, monkeypatch, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text(f'#!/bin/sh\ntouch was-here\nexec "{sys.executable}" "$@"\n')
    other.chmod(0o755)
    monkeypatch.setenv(isolated.ENVIRONMENT, str(other))
    assert (work("") / "was-here").exists()


def test_workers_import_nothing_of_edgekd() -> None:
    scripts = sorted(Path(isolated.__file__).parent.glob("worker_*.py"))
    assert [script.stem for script in scripts] == ["worker_litert_torch", "worker_onnx2tf"]
    for script in scripts:
        for node in ast.walk(ast.parse(script.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", "")]
            assert not any((name or "").split(".")[0] == "edgekd" for name in names)


def test_the_environment_is_not_changed(work) -> None:
    before = dict(os.environ)
    work("")
    assert dict(os.environ) == before
