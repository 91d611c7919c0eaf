"""The runner that a device gets: alone, equal to the reference, and honest about what differs."""

from __future__ import annotations

import ast
import importlib.util
import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from edgekd import preprocess
from edgekd.benchmarking import subject
from edgekd.benchmarking.jobs import Workshop
from edgekd.devices import RUNNER, find
from edgekd.devices.document import TestFiles, Timing, read_document
from edgekd.preprocess import InputContract
from edgekd.runtimes import cpu

_spec = importlib.util.spec_from_file_location("edgekd_runner", RUNNER)
runner = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runner)
QUICK = Timing(warmup_runs=2, min_runs=20, min_seconds=5.0)


@pytest.fixture
def job(tiny, tmp_path):
    """A function that unpacks a job of the tiny bundle, changed as told, and gives its folder and the job."""
    images = subject.images(tiny)
    workshop = Workshop.open(tiny, images, QUICK, tmp_path / "work")

    def make(format="tflite", **changes):
        device = find("local")
        [entry] = workshop.entries(
            "local", device, subject.artefacts(tiny, [format], tmp_path / "made", print)[0], (1,)
        )
        parcel = workshop.parcel(entry, 0, device)
        folder = tmp_path / f"job-{time.monotonic_ns()}"
        parcel.unpack(folder)
        job = parcel.job.model_copy(update=changes)
        (folder / "job.json").write_text(job.text())
        return folder, job

    return make


def answer(folder, job, interpreter=(sys.executable, "-I")):
    done = subprocess.run([*interpreter, str(RUNNER), str(folder)], capture_output=True, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return read_document(done.stdout, "runner", job)


BLOCKED = """
import runpy, sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("edgekd", "torch", "tensorflow", "pydantic", "safetensors"):
            raise ImportError(name + " is not on the device")
sys.meta_path.insert(0, Block())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.mark.parametrize("format", ["tflite", "tflite-int8", "onnx"])
def test_it_runs_where_edgekd_cannot_be_imported(job, tiny, format):
    folder, asked = job(format)
    found = answer(folder, asked, (sys.executable, "-I", "-c", BLOCKED))
    assert found.failure is None
    assert found.golden.images == 4
    assert len(found.times.inference_ms) == 20
    assert found.times.peak_rss_mib >= found.times.bare_rss_mib > 1
    assert found.runtime.threads_asked == 1
    if format.startswith("tflite"):
        assert found.runtime.delegate == "XNNPACK"


def test_answers_are_those_of_the_session(job, tiny):
    from edgekd.runtimes import tflite

    for format in ("tflite", "tflite-int8"):
        folder, asked = job(format)
        found = answer(folder, asked)
        expected = tflite.load(tiny.folder / f"artefacts/{format}.tflite", 1).probs(subject.images(tiny).pixels)
        assert np.array_equal(np.array(found.probs, np.float32), expected)


def test_the_file_is_python_3_9():
    text = RUNNER.read_text(encoding="utf-8")
    ast.parse(text, feature_version=(3, 9))
    assert "strict=" not in text  # of zip, Python 3.10
    imported = {n.name for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import) for n in node.names}
    imported |= {node.module for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)}
    known = {"numpy", "PIL", "ai_edge_litert", "tflite_runtime", "onnxruntime", "openvino", "__future__", "importlib"}
    assert {name.split(".")[0] for name in imported} - set(sys.stdlib_module_names) <= known


def pictures():
    """Images of every mode and of many sizes, as file content, with a name."""
    rng = np.random.default_rng(4)
    for width, height in [(1, 1), (1, 37), (53, 2), (16, 16), (31, 47), (200, 119), (640, 480)]:
        colour = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))
        for mode in ("1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "RGB"):
            yield (
                colour.convert("RGB").convert("L" if mode == "LA" else "RGB").convert(mode),
                f"{mode} {width} {height}",
            )
        yield Image.fromarray(rng.integers(0, 65536, (height, width)).astype(np.uint16)), f"I;16 {width} {height}"
        yield Image.fromarray(rng.normal(0, 9, (height, width)).astype(np.float32)), f"F {width} {height}"
        yield Image.fromarray(rng.integers(-(2**31), 2**31, (height, width)).astype(np.int32)), f"I {width} {height}"


def content(image, orientation=None):
    format = {"F": "TIFF", "I": "TIFF", "CMYK": "TIFF", "YCbCr": "TIFF"}.get(image.mode, "PNG")
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, format, **({"exif": exif} if orientation else {}))
    return buffer.getvalue()


def test_its_preprocessing_is_the_reference_to_the_bit():
    contracts = [
        InputContract(size=size, fit=fit, crop_fraction=0.875 if fit == "crop" else 1.0, kernel=kernel)
        for size in (17, 96)
        for fit in ("squash", "crop")
        for kernel in ("bilinear", "bicubic")
    ]
    files = {name: content(image) for image, name in pictures()}
    upright = Image.fromarray(np.arange(30 * 20 * 3, dtype=np.uint8).reshape(30, 20, 3))
    files |= {f"EXIF {n}": content(upright, n) for n in range(1, 10)}
    assert len(files) > 80
    for name, found in files.items():
        expected = preprocess.decode(found)
        image = runner.decode(found)
        assert image.tobytes() == expected.tobytes(), name
        for contract in contracts:
            ours = runner.to_pixels(image, contract.model_dump())
            assert np.array_equal(ours, preprocess.to_pixels(expected, contract)), (name, contract)


def test_a_picture_that_is_decoded_otherwise_stops_it(job):
    folder, asked = job()
    other = Image.fromarray(np.zeros((9, 9, 3), np.uint8))
    (folder / "golden/1.png").unlink()
    other.save(folder / "golden/1.png")
    text = json.loads((folder / "job.json").read_text())
    text["files"] = {k: v for k, v in text["files"].items() if k != "golden/1.png"}  # as if Pillow were another
    (folder / "job.json").write_text(json.dumps(text))
    found = answer(folder, asked)
    assert (found.failure.stage, found.times) == ("decode", None)
    assert "golden/1.png" in found.failure.reason


def test_another_resize_stops_it(job):
    folder, asked = job(input=InputContract(size=16, kernel="bicubic"))
    found = answer(folder, asked)
    assert found.failure.stage == "preprocess"
    assert "%" in found.failure.reason


def test_other_probabilities_stop_it(job):
    folder, asked = job()
    probs = [list(row) for row in asked.golden.probs]
    probs[2] = probs[2][1:] + probs[2][:1]
    golden = asked.golden.model_copy(update={"probs": tuple(map(tuple, probs))})
    (folder / "job.json").write_text(asked.model_copy(update={"golden": golden}).text())
    found = answer(folder, asked)
    assert found.failure.stage == "probabilities"
    assert "golden/2.png" in found.failure.reason
    assert "tolerance" in found.failure.reason


def test_a_file_that_did_not_arrive_whole_stops_it(job):
    folder, asked = job()
    path = folder / "tflite.tflite"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1])
    assert answer(folder, asked).failure.stage == "files"


def test_a_job_of_another_version_is_refused(job):
    folder, asked = job()
    (folder / "job.json").write_text(asked.text().replace("edgekd.job/1", "edgekd.job/2"))
    assert "edgekd.job/2" in answer(folder, asked).failure.reason


def test_a_runtime_that_is_not_there_is_a_failure_in_words(job):
    folder, asked = job()
    block = BLOCKED.replace('"edgekd"', '"ai_edge_litert", "tflite_runtime"')
    found = answer(folder, asked, (sys.executable, "-I", "-c", block))
    assert found.failure.stage == "runtime"
    assert "not on the device" in found.failure.reason


def test_an_emulated_job_times_nothing(job):
    folder, asked = job(provenance="emulated", timing=None)
    done = subprocess.run([sys.executable, "-I", str(RUNNER), str(folder)], capture_output=True, check=True)
    found = json.loads(done.stdout)
    assert "times" not in found
    assert len(found["probs"]) == len(asked.test.indices)


def test_the_step_that_gives_other_bytes_is_told(job, tmp_path):
    """Of three files one is decoded otherwise, and one is no image; tensors of others are not theirs."""
    folder, asked = job()
    names, golden = [*asked.golden.images[:2], "golden.npy"], asked.golden
    files = TestFiles(
        images=tuple(names), rows=(1, 0, 0), decoded_sha256=(golden.decoded_sha256[0], "0" * 64, "0" * 64)
    )
    asked = asked.model_copy(update={"test": asked.test.model_copy(update={"files": files})})
    (folder / "job.json").write_text(asked.text())
    found = answer(folder, asked).from_files
    assert [(f.decoded_equal, f.pixels_equal) for f in found] == [(True, False), (False, False), (False, False)]
    for given, expected in zip(found, golden.probs[:2], strict=False):
        np.testing.assert_allclose(given.probs, expected, atol=1e-6)
    assert found[2].problem.startswith("golden.npy: ")


def test_a_sustained_run_has_windows(job):
    folder, asked = job(timing=QUICK.model_copy(update={"sustained_s": 2.2}))
    windows = answer(folder, asked).times.sustained
    assert len(windows) >= 2
    assert all(w.runs > 0 and w.images_per_s > 0 for w in windows)


def test_a_camera_waits_for_nobody(monkeypatch):
    """Work of 25 ms at 100 frames a second: of three frames two are dropped. Between slow frames there is rest."""
    now, slept = 0.0, []

    def sleep(seconds):
        nonlocal now
        slept.append(seconds)
        now += seconds

    def work(given):
        nonlocal now
        now += 0.025

    monkeypatch.setattr(runner, "clock", lambda: now)
    monkeypatch.setattr(runner.time, "sleep", sleep)
    found = runner.paced(work, [0, 1], 100, 0.3)
    assert found["runs_ms"] == pytest.approx([25.0] * 10)
    assert found["dropped"] == 20
    assert max(slept) <= 0.0051
    now, slept = 0.0, []
    found = runner.paced(work, [0, 1], 4, 2.0)
    assert (len(found["runs_ms"]), found["dropped"]) == (8, 0)
    assert slept[1:] == pytest.approx([0.225] * 7)
    now = 0.0
    assert len(runner.paced(work, [0], 1, 0.5)["runs_ms"]) == runner.FEWEST_RUNS


def test_a_job_at_a_cameras_rate(job):
    folder, asked = job(timing=QUICK.model_copy(update={"fps": (20.0, 50.0), "paced_s": 0.3}))
    paced = answer(folder, asked).times.paced
    assert [run.fps for run in paced] == [20.0, 50.0]
    assert all(len(run.runs_ms) + run.dropped >= frames for run, frames in zip(paced, (6, 15), strict=True))


def test_nothing_but_the_work_stands_between_the_two_readings_of_the_clock(monkeypatch):
    """So it adds one call to what it times; `benchmarks/harness_overhead.py` measures against a bare loop how much that is."""
    happened, now = "", 0.0

    def clock():
        return now

    def work(seconds):
        nonlocal now
        now += seconds

    def note(frame, event, what):
        nonlocal happened
        if event in ("call", "c_call"):
            happened += f" {frame.f_code.co_name if event == 'call' else what.__name__}"

    monkeypatch.setattr(runner, "clock", clock)
    sys.setprofile(note)
    try:
        samples = runner.sample(work, [0.25, 0.5], 3, 60.0)
    finally:
        sys.setprofile(None)
    assert samples == [250.0, 500.0, 250.0]  # all of the work and nothing else
    assert happened.count("clock work clock") == 3
    assert happened.split().count("clock") == 1 + 2 * 3  # one begins, two for each sample


def test_time_limits_end_a_run():
    samples = runner.sample(time.sleep, [0.02], 10_000, 0.2)
    assert 5 <= len(samples) <= 11
    assert len(runner.sample(time.sleep, [0.05], 10_000, 0.01)) == runner.FEWEST_RUNS


@pytest.mark.parametrize(
    ("runs", "seconds", "most", "expected"),
    [(3, 0.0, 10.0, 3), (3, 2.0, 10.0, 8), (100, 0.0, 1.0, 4), (100, 2.0, 1.0, 8), (0, 0.0, 1.0, 0)],
)
def test_a_warm_up_ends_when_runs_and_seconds_are_reached(monkeypatch, runs, seconds, most, expected):
    """Each run takes a quarter of a second."""
    now, given = 0.0, []

    def work(number):
        nonlocal now
        now += 0.25
        given.append(number)

    monkeypatch.setattr(runner, "clock", lambda: now)
    assert runner.warm(work, [7, 8], runs, seconds, most) == expected
    assert given == [7, 8, 7, 8, 7, 8, 7, 8][:expected]


def test_a_board_that_is_slowed_down_is_waited_for(monkeypatch):
    now, flags = 0.0, ["0x4", "0x4", "0x40000"]

    def sleep(seconds):
        nonlocal now
        now += seconds
        flags.pop(0)

    monkeypatch.setattr(runner, "clock", lambda: now)
    monkeypatch.setattr(runner.time, "sleep", sleep)
    monkeypatch.setattr(runner, "read", lambda path: flags[0] if "get_throttled" in str(path) else "")
    monkeypatch.setattr(runner, "throttle_count", lambda: None)
    assert runner.cool(60.0) == 4.0  # two looks
    flags = ["0x4"] * 9
    assert runner.cool(3.0) == 3.0
    assert runner.cool(0.0) == 0.0


def test_what_was_waited_for_and_warmed_up_is_in_the_document(job, monkeypatch):
    folder, asked = job(timing=QUICK.model_copy(update={"warmup_s": 0.3, "cool_s": 0.1}))
    found = answer(folder, asked)
    assert found.times.warmup_s >= 0.3
    assert found.times.warmup_runs > 2  # of a network that takes well under 0.1 s
    assert found.times.cooling_s == 0.0
    assert found.notes == ()
    monkeypatch.setattr(runner, "pi_flags", lambda: 4)
    note = "it was still slowed down after 0 s of waiting"
    assert runner.answer(folder)["notes"] == [note]


def test_it_takes_the_same_precautions_against_saturation(monkeypatch):
    for flags in (["avx2"], ["avx2", "avx512_vnni"], ["avx2", "avx_vnni"]):
        monkeypatch.setattr(runner, "cpu_flags", lambda flags=flags: flags)
        for machine in ("x86_64", "aarch64", "AMD64"):
            monkeypatch.setattr(runner.platform, "machine", lambda machine=machine: machine)
            expected = cpu.saturates("flags : " + " ".join(flags), machine)
            assert runner.saturates() == expected
            assert bool(runner.Onnx().cure) == expected
            assert bool(runner.Openvino().cure) == expected


ARM = """processor\t: 0
Features\t: fp asimd asimddp
CPU part\t: 0xd0b

processor\t: 1
CPU part\t: 0xd05
"""


@pytest.mark.parametrize(("cpus", "name"), [([0], "Cortex-A76"), ([0, 1], "Cortex-A55 + Cortex-A76")])
def test_arm_cores_have_names(monkeypatch, cpus, name):
    monkeypatch.setattr(runner, "read", lambda path: ARM if str(path) == "/proc/cpuinfo" else "")
    monkeypatch.setattr(runner, "allowed", lambda: cpus)
    assert runner.cpu_name() == name
    assert runner.system()["cpu_features"] == ["asimd", "asimddp"]


def test_a_raspberry_pi_says_when_it_throttles(monkeypatch):
    monkeypatch.setattr(runner, "read", lambda path: "50005" if "get_throttled" in str(path) else "")
    found = runner.conditions()
    assert found["throttled"] is True
    assert found["throttling"] == "under-voltage, throttled"


def test_a_raspberry_pi_remembers_what_happened_during_a_run(monkeypatch):
    flags = ["50000", "d0000"]  # bits 16 and 18, set before; then bit 19 too, and nothing at this moment
    monkeypatch.setattr(runner, "read", lambda path: flags[0] if "get_throttled" in str(path) else "")
    monkeypatch.setattr(runner, "throttle_count", lambda: None)
    before = runner.throttling()
    assert runner.conditions()["throttled"] is False
    assert runner.conditions(before)["throttled"] is False
    flags.pop(0)
    found = runner.conditions(before)
    assert found["throttled"] is True
    assert found["throttling"] == "soft temperature limit in between"


def test_threads_that_slept_do_not_count():
    assert runner.busy_threads({"1": 1.0, "2": 5.0}, {"1": 3.0, "2": 5.0, "3": 1.9}) == 2
    assert runner.busy_threads({}, {}) is None
