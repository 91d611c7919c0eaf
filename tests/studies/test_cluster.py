"""Studies on a Ray cluster of two workers: a killed worker's run goes on from its last epoch, and ends with the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.studies import cluster
from edgekd.studies import result as results

COMMAND = """
import ray, sys
start = ray.init
ray.init = lambda **options: start(**options, num_cpus=2, include_dashboard=False)
from edgekd import study
study.main(sys.argv[1:])
"""


def start(path: Path, out: Path, engine: str) -> subprocess.Popen:
    command = [sys.executable, "-c", COMMAND, str(path), "--out", str(out), "--engine", engine]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "EDGEKD_DEBUG": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def children(pid: int) -> dict[int, str]:
    """All descendants of a process, with their command lines."""
    parents, lines = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "status").read_text()
            lines[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        parents[int(folder.name)] = int(status.partition("PPid:")[2].split()[0])
    found, new = {}, {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        found |= {child: lines[child] for child in new}
    return found


def epochs(out: Path) -> int:
    """How many epochs of unfinished trainings are safely on disk."""
    logs = [log for log in out.glob("*/*/training/log.csv") if not (log.parents[1] / "manifest.json").exists()]
    return sum(len(log.read_text().splitlines()) - 1 for log in logs)


@pytest.mark.slow
def test_a_killed_worker_goes_on_and_the_bits_are_the_same(write_study, tmp_path):
    pytest.importorskip("ray")
    path = write_study("[0]", cache="cache-one")
    path.write_text(path.read_text().replace("epochs = 2", "epochs = 6"))
    with start(path, tmp_path / "whole", "here") as whole:
        assert whole.wait(400) == 0, whole.stdout.read()
    path.write_text(path.read_text().replace("cache-one", "cache-two"))
    killed, end = [], time.monotonic() + 400
    with start(path, tmp_path / "spread", "ray") as spread:
        while spread.poll() is None and time.monotonic() < end:
            workers = [p for p, line in children(spread.pid).items() if line.startswith("ray::train")]
            if not killed and workers and epochs(tmp_path / "spread") >= 2:
                killed.append(workers[0])
                os.kill(workers[0], signal.SIGKILL)
            time.sleep(0.02)
        assert spread.wait(10) == 0, spread.stdout.read()
    assert killed
    found = []
    for name in ("whole", "spread"):
        values = json.loads((tmp_path / name / results.NAME).read_text())
        for row in (*values["runs"], *values["table"]):
            del row["seconds"]
        del values["study"]["overrides"]["cache"]
        paths = sorted((tmp_path / name).glob("*/*/weights.safetensors"))
        found.append((values, {str(p.relative_to(tmp_path / name)): sha256_file(p) for p in paths}))
    assert found[0] == found[1]
    assert len(found[0][1]) == 6


def test_a_machine_that_does_not_see_the_folder_is_named(tmp_path):
    (tmp_path / "mark").touch()
    here, there = str(tmp_path), str(tmp_path / "elsewhere" / "mark")
    assert cluster.seen(here, [str(tmp_path / "mark")], cluster.__version__) == ""
    assert cluster.seen(here, [there], cluster.__version__) == f"does not see {tmp_path / 'elsewhere'}"
    assert "has edgekd" in cluster.seen(here, [], "0.0.0")


def test_without_ray_the_error_names_the_extra(write_study, monkeypatch):
    from edgekd import extras, study

    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == "ray" else name)
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[cluster\]"'):
        study.main([str(write_study()), "--engine", "ray"])
