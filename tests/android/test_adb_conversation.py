"""The whole way to a phone and back: the real adb client, a server made of Python, and behind it the app's own activity.

The activity runs under Robolectric, in a JVM of its own for each job, with TensorFlow Lite's library for x86-64 phones.
"""

import importlib.util
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from android_demo.hermetic import junit
from android_demo.hermetic.java import java
from edgekd import benchmark
from edgekd.benchmarking.jobs import record
from edgekd.benchmarking.schema import read_report
from edgekd.devices import Parcel, adb, find
from edgekd.devices.document import TestFiles, read_document
from edgekd.files import sha256_bytes
from edgekd.preprocess import decode, to_pixels

ROOT = Path(__file__).parents[2]
JVM_S = 300


def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


fake = load("android_fake_adb", ROOT / "tests/devices/fake_adb.py")
devices = load("android_devices_conftest", ROOT / "tests/devices/conftest.py")
tiny = devices.tiny


class App:
    """The app in a JVM: answers a start as the phone's would."""

    def __init__(self, path, options, folder):
        self.path, self.options, self.folder, self.lines = path, options, folder, {}

    def __call__(self, start):
        """The report's text; the line that the app logged is kept."""
        answer = self.folder / start.run_id
        given = {
            "edgekd.run_id": start.run_id,
            "edgekd.folder": start.folder,
            "edgekd.threads": start.threads,
            "edgekd.xnnpack": str(start.xnnpack).lower(),
            "edgekd.answer": answer,
            "java.io.tmpdir": self.folder,
        }
        options = [*self.options, *(f"-D{key}={value}" for key, value in given.items())]
        command = java(self.path, "RunTests", "org.edgekd.demo.OneJob", options=options)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=JVM_S, check=False)
        assert done.returncode == 0, done.stdout.decode()[-3000:]
        kind, _, path, sha256 = (answer / "line").read_text().split(" ")
        self.lines[start.run_id] = (kind, Path(path).name, sha256)
        return (answer / "report.json").read_text(encoding="utf-8")


class Phone(fake.Phone):
    """A phone that passes on what the app itself logged; only the storage's path is that of the fake."""

    def line(self, start, path, sha256):
        kind, name, told = self.run.lines[start.run_id]
        return f"{kind} {start.run_id} {Path(path).with_name(name)} {told}"


@pytest.fixture(scope="module")
def app_jvm(java_tests, desktop, tmp_path_factory):
    """Class path and options of the app's JVM."""
    java_tests("junit", "robolectric", "tools", "app")
    if shutil.which("adb") is None:
        pytest.skip("no adb on this machine: apt-get install adb")
    return junit.app_jvm(tmp_path_factory.mktemp("app"))


@pytest.fixture
def phone(app_jvm, tmp_path, monkeypatch):
    """A phone with the app, plugged in."""
    folder = tmp_path / "answers"
    folder.mkdir()
    found = Phone("PHONE1", tmp_path / "file system", App(*app_jvm, folder), cores=os.cpu_count())
    with fake.Server(found) as server:
        monkeypatch.setenv("ADB_SERVER_SOCKET", server.socket)
        yield found


def answer(parcel, **options):
    with adb.connect("phone", adb.Options(kind="adb", limit_s=JVM_S, **options)) as place:
        return read_document(place.run(parcel), "phone", parcel.job)


def test_int8_logits_of_the_app_are_those_of_python(phone, small):
    parcel = small("tflite-int8", "int8", threads=2)
    found = answer(parcel)
    assert found.failure is None
    expected = read_document(find("local").run(parcel), "", parcel.job).probs
    np.testing.assert_allclose(found.probs, expected, rtol=0, atol=1e-6)
    assert (found.runtime.name, found.runtime.version) == ("TensorFlow Lite", "2.21.0")
    assert found.runtime.delegate == "XNNPACK"
    assert found.runtime.threads_asked == 2
    assert 1 <= found.runtime.threads_ran <= 2  # of so small a network one thread may do nearly all
    assert found.times.cooling_s == 0.0
    assert found.attended.compiled == "speed"
    assert found.system.system == "Android 15"
    assert found.system.software["app"] == "0.1.0"
    assert len(found.times.inference_ms) == parcel.job.timing.min_runs
    assert phone.files() == []


def test_a_photograph_is_answered_from_its_file_on(phone, small, tmp_path):
    """A JPEG with subsampled colours, as cameras write them, and one without: Android's decoder beside Pillow's."""
    parcel = small("tflite-int8")
    y, x = np.mgrid[0:90, 0:120]
    image = np.stack([x * 2, y * 2, 255 - x - y], -1).astype(np.uint8)
    names, paths = ("files/0.jpg", "files/1.jpg"), {}
    for name, subsampling in zip(names, (2, 0), strict=True):
        paths[name] = tmp_path / Path(name).name
        Image.fromarray(image).save(paths[name], quality=92, subsampling=subsampling)
    decoded = [decode(path) for path in paths.values()]
    tensors = np.load(parcel.files["test.npy"])
    tensors[:2] = [to_pixels(each, parcel.job.input) for each in decoded]
    np.save(tmp_path / "test.npy", tensors)
    paths["test.npy"] = tmp_path / "test.npy"
    hashes = tuple(sha256_bytes(each.tobytes()) for each in decoded)
    test = parcel.job.test.model_copy(update={"files": TestFiles(images=names, rows=(0, 1), decoded_sha256=hashes)})
    files = {**parcel.job.files, **{name: record(path) for name, path in paths.items()}}
    job = parcel.job.model_copy(update={"files": files, "test": test, "timing": None})
    found = answer(Parcel(job, {**parcel.files, **paths}))
    assert found.failure is None
    assert [(f.decoded_equal, f.pixels_equal, f.problem) for f in found.from_files] == [(True, True, "")] * 2
    assert [f.probs for f in found.from_files] == list(found.probs[:2])


def test_another_answer_is_a_failure_with_its_stage(phone, small):
    parcel = small("tflite")
    golden = parcel.job.golden
    wrong = golden.model_copy(update={"probs": tuple(tuple(reversed(row)) for row in golden.probs)})
    found = answer(Parcel(parcel.job.model_copy(update={"golden": wrong}), parcel.files), xnnpack=False)
    assert found.failure.stage == "probabilities"
    assert "a probability differs" in found.failure.reason


def test_a_benchmark_has_the_phone_in_its_report(phone, tiny, tmp_path):
    (tmp_path / "phone.toml").write_text('kind = "adb"\nthreads = [1]\nformats = ["tflite-int8"]\nfiles = 3\n')
    out = tmp_path / "out"
    quick = ["--rounds", "1", "--runs", "5", "--seconds", "2", "--out", str(out)]
    benchmark.main([str(tiny.folder), "--device", "phone", "--devices", str(tmp_path), *quick])
    report = read_report(out)
    assert report.failed == ()
    assert {row.format for row in report.rows} == {"tflite-int8"}
    assert {row.system.software["app"] for row in report.rows} == {"0.1.0"}
    [files] = {row.numerics.from_files for row in report.rows}
    assert (len(files.rows), files.not_decoded, files.decoded_differ, files.pixels_differ) == (3, 0, 0, 0)
    assert (files.decoder_answers, files.resize_answers) == (0, 0)
    assert "TensorFlow Lite 2.21.0" in (out / "report.html").read_text(encoding="utf-8")
