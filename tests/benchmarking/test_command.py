"""The command: from a bundle to report.json and its page, with nothing heavy imported."""

import json
import shutil
import subprocess
import sys
import time

import pytest

from edgekd import benchmark, extras
from edgekd.benchmarking.schema import TimesReport, read_report
from edgekd.errors import EdgekdError

QUICK = ("--rounds", "1", "--runs", "3", "--seconds", "1", "--threads", "1", "--format", "tflite,onnx")


@pytest.fixture(scope="module")
def done(tiny, tmp_path_factory):
    """The folder of a finished benchmark."""
    out = tmp_path_factory.mktemp("benchmark") / "out"
    assert benchmark.main([str(tiny.folder), *QUICK, "--out", str(out)]) == 0
    return out


def test_it_writes_a_report(done, capsys):
    report = read_report(done / "report.json")
    assert [(row.format, row.device, row.threads) for row in report.rows] == [
        ("tflite", "local", 1),
        ("onnx", "local", 1),
    ]
    assert report.bundle.name == "tiny"
    assert report.data.images == report.data.of_images == 18
    assert all(row.numerics.drift.flips == () for row in report.rows)
    assert "--runs 3" in report.command
    assert {p.name for p in done.iterdir()} >= {"report.json", "answers.safetensors", "flipped.safetensors", "parts"}


def test_a_folder_with_a_benchmark_is_continued_only_if_asked(tiny, done, capsys):
    arguments = [str(tiny.folder), *QUICK, "--out", str(done)]
    with pytest.raises(EdgekdError, match="--resume"):
        benchmark.main(arguments)
    before = (done / "report.json").read_text()
    benchmark.main([*arguments, "--resume"])
    assert "round 1 of 1" not in capsys.readouterr().out  # nothing was left to measure
    assert read_report(done).rows == read_report_text(before)
    benchmark.main([*arguments, "--overwrite"])
    assert capsys.readouterr().out.count("round 1 of 1") == 2


def read_report_text(text):
    from edgekd.benchmarking.schema import Report

    return Report.model_validate_json(text).rows


def test_a_killed_process_loses_nothing(tiny, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "edgekd.benchmark", str(tiny.folder), *QUICK, "--rounds", "50", "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        while process.poll() is None and len(list(out.glob("parts/*.json"))) < 2:
            time.sleep(0.05)
        assert process.poll() is None, process.stderr.read().decode()
    finally:
        process.kill()
        process.communicate()
    assert not (out / "report.json").exists()
    kept = {p: p.stat().st_mtime_ns for p in out.glob("parts/*.json")}
    assert benchmark.main([str(tiny.folder), *QUICK, "--out", str(out), "--resume"]) == 0
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    assert len(read_report(out).rows) == 2


def test_two_reports_are_compared(done, capsys):
    assert benchmark.main(["compare", str(done), str(done), "--limit", "accuracy_drop_pp=1"]) == 0
    assert benchmark.main(["compare", str(done), str(done), "--limit", "latency_ratio=0.5"]) == 4
    assert "tflite" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--device", "loca"), "did you mean 'local'"),
        (("--format", "tflit"), "did you mean 'tflite'"),
        (("--threads", "one"), "numbers"),
        (("--threads", "0"), "at least 1"),
        (("--seconds", "-1"), "min_seconds"),
    ],
)
def test_a_wrong_argument_is_one_clear_error(tiny, tmp_path, arguments, words):
    with pytest.raises(EdgekdError, match=words):
        benchmark.main([str(tiny.folder), *arguments, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out" / "report.json").exists()


def test_files_that_did_not_travel_name_the_command_that_writes_them(tiny, tmp_path):
    folder = tmp_path / "bundle"
    shutil.copytree(tiny.folder, folder)
    manifest = (folder / "manifest.json").read_text()
    (folder / "artefacts/onnx.onnx").write_bytes(b"other")
    with pytest.raises(EdgekdError):
        benchmark.main([str(folder), "--out", str(tmp_path / "out")])
    assert (folder / "manifest.json").read_text() == manifest


@pytest.fixture
def imageless(tiny, tmp_path):
    """The bundle on a machine that does not have its images."""
    folder = shutil.copytree(tiny.folder, tmp_path / "imageless")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["recipe"]["data"]["path"] = str(tmp_path / "not here")
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_without_images_there_are_times_and_golden_vectors(imageless, tmp_path, capsys):
    out = tmp_path / "out"
    assert benchmark.main([str(imageless), *QUICK, "--out", str(out)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no images: times and golden vectors only" in said
    assert "nothing is said of accuracy" in said
    report = TimesReport.model_validate_json((out / "times.json").read_text())
    assert [(row.format, row.golden.images, row.measurement.latency.count) for row in report.rows] == [
        ("tflite", 4, 3),
        ("onnx", 4, 3),
    ]
    for row in report.rows:
        assert row.golden.largest_change < 1e-5
        assert f"{row.format} 1 " in said
        assert f" {row.measurement.latency.median_ms:.2f} " in said
    assert {"report.json", "report.html", "answers.safetensors"}.isdisjoint(p.name for p in out.iterdir())
    benchmark.main([str(imageless), *QUICK, "--out", str(out), "--resume"])
    assert "round 1 of 1" not in capsys.readouterr().out


def test_images_that_are_asked_for_have_to_be_there(imageless, tmp_path):
    for arguments, words in ((("--images", "5"), "--data PATH"), (("--data", str(tmp_path / "gone")), "gone")):
        with pytest.raises(EdgekdError, match=words):
            benchmark.main([str(imageless), *QUICK, *arguments, "--out", str(tmp_path / "out")])
    assert not list(tmp_path.glob("out/*.json"))


def test_what_could_not_be_shown_is_not_measured(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    with pytest.raises(EdgekdError, match=r"edgekd\[export\]"):
        benchmark.main([str(tiny.folder), *QUICK, "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_nothing_heavy_is_needed(tiny, tmp_path):
    """A Raspberry Pi has neither torch nor tensorflow."""
    program = f"""
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "tensorflow"):
            raise ModuleNotFoundError(name, name=name)
sys.meta_path.insert(0, Block())
from edgekd import benchmark, extras
benchmark.main({[str(tiny.folder), *QUICK[:-1], "tflite", "--out", str(tmp_path / "out")]!r})
heavy = {{"torch", "torchvision", "timm", "tensorflow"}} & set(sys.modules)
sys.exit(f"imported {{heavy}}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert read_report(tmp_path / "out").rows
