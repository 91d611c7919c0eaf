"""Commands: help with an example, one-line errors without tracebacks, exit codes, nothing half-written."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import __main__ as program
from edgekd import __version__, command, named
from edgekd.__main__ import commands
from edgekd.errors import EdgekdError

ROOT = Path(__file__).parents[1]


def call(*arguments, cwd=ROOT):
    return subprocess.run([sys.executable, "-m", *arguments], capture_output=True, text=True, check=False, cwd=cwd)


def test_every_command_is_listed_and_has_an_example():
    names = set(commands())
    assert {"train", "distill", "evaluate"} <= names
    listed = call("edgekd").stdout
    for name in names:
        assert f"python -m edgekd.{name}" in listed
        shown = call(f"edgekd.{name}", "--help").stdout
        assert "example:\n" in shown
        assert f"python -m edgekd.{name}" in shown.split("example:\n")[1]


def test_one_command_runs_all(capsys):
    program.main([])
    listed = capsys.readouterr().out
    assert all(name in listed for name in (*commands(), *named.names("recipes"), *named.names("devices")))
    assert program.main(["export", "--list"]) == 0
    assert "tflite-int8" in capsys.readouterr().out
    for arguments, shown in ((["--version"], f"edgekd {__version__}\n"), (["evaluate", "--help"], "edgekd.evaluate")):
        with pytest.raises(SystemExit) as end:
            program.main(arguments)
        assert end.value.code == 0
        assert shown in capsys.readouterr().out
    with pytest.raises(EdgekdError, match="did you mean 'distill'"):
        program.main(["distil", "--data", "x"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("edgekd", "exprt"), "did you mean 'export'"),
        (("edgekd", "evaluate", "no-such-bundle"), "a bundle"),
        (("edgekd.evaluate", "no-such-bundle"), "a bundle"),
        (("edgekd.distill", "--recipe", "none.toml"), "no such file"),
        (("edgekd.distill", "--data", "no-such-folder"), "nothing there"),
        (("edgekd.train", "--set", "teacher.netwrk=x"), "did you mean 'network'"),
        (("edgekd.distill", "--set", "student.network=mobilenetv3"), "did you mean"),
        (("edgekd.distill", "--set", "distillation.losses={kdd=1.0}"), "did you mean 'kd'"),
    ],
)
def test_a_mistake_is_one_error_and_leaves_nothing_behind(tmp_path, arguments, message):
    extra = () if arguments[0] in ("edgekd", "edgekd.evaluate") else ("--out", str(tmp_path / "run"))
    found = call(*arguments, *extra, cwd=tmp_path)
    assert found.returncode == 2
    assert found.stderr.startswith("error: ")
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not list(tmp_path.rglob("manifest.json"))
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("raised", "code", "shown"),
    [
        (EdgekdError("here", "a", "b", "c"), 2, "error: here\n  expected: a\n  found:    b\n  to do:    c\n"),
        (KeyboardInterrupt(), 130, "--resume"),
        (RuntimeError("surprise"), 70, "internal error: RuntimeError: surprise"),
        (None, 0, ""),
    ],
)
def test_exit_codes(raised, code, shown, capsys, monkeypatch):
    monkeypatch.delenv("EDGEKD_DEBUG", raising=False)

    def main(argv):
        if raised is not None:
            raise raised

    with pytest.raises(SystemExit) as end:
        command.run(main)
    assert end.value.code == code
    assert shown in capsys.readouterr().err
