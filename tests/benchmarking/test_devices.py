"""Devices by name, and this machine as one: fresh processes on processors of their own."""

import json
import os
import re
import sys
import textwrap
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from edgekd import benchmark, devices
from edgekd.benchmarking import comparison, subject
from edgekd.benchmarking.jobs import Workshop
from edgekd.benchmarking.schema import FromFiles, read_report
from edgekd.devices import DeviceError, DeviceLost, adb, local
from edgekd.devices.document import Timing, read_document
from edgekd.errors import EdgekdError


def test_a_device_is_a_toml_file(tmp_path):
    (tmp_path / "bench.toml").write_text('kind = "local"\ncpus = [0]\nthreads = [1]\ndescription = "one core"\n')
    device = devices.find("bench", tmp_path)
    assert device.options.description == "one core"
    assert (device.cores, device.cpus, device.provenance) == (1, (0,), "hardware")
    assert devices.find("local", tmp_path).options.kind == "local"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('kind = "locl"', "did you mean 'local'"),
        ("", "kind None"),
        ('kind = "local"\nthreds = [1]', "threads"),
        ('kind = "local"\nthreads = "1"', "threads"),
        ("kind = ", "TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_error(tmp_path, text, words):
    (tmp_path / "odd.toml").write_text(text)
    with pytest.raises(EdgekdError, match=words):
        devices.find("odd", tmp_path)


def test_a_name_is_no_path(tmp_path):
    (tmp_path / "pi5.toml").write_text('kind = "local"')
    with pytest.raises(EdgekdError, match="did you mean 'pi5'"):
        devices.find("pi4", tmp_path)
    for name in ("../pi5", "/etc/passwd", "", ".hidden", "a b"):
        with pytest.raises(EdgekdError, match="a name of letters"):
            devices.find(name, tmp_path)


@pytest.fixture
def parcel(tiny, tmp_path):
    timing = Timing(warmup_runs=1, min_runs=10**6, min_seconds=0.2)
    workshop = Workshop.open(tiny, subject.images(tiny), timing, tmp_path / "work")
    [entry] = workshop.entries(
        "local", devices.find("local"), subject.artefacts(tiny, ["tflite"], tmp_path / "made", print)[0], (1,)
    )
    return workshop.parcel(entry, 0, devices.find("local"))


def test_a_device_says_how_long_it_warms_up(parcel):
    """A phone's clock and compiler need longer; a file of one's own decides."""
    assert parcel.job.timing.warmup_s == devices.DeviceOptions(kind="local").warmup_s == 0.5
    assert adb.Options(kind="adb").warmup_s == 2.0
    assert adb.Options(kind="adb", warmup_s=3).warmup_s == 3.0


def test_a_job_on_this_machine(parcel):
    found = read_document(devices.find("local").run(parcel), "local", parcel.job)
    assert found.failure is None
    assert found.system.cores == os.cpu_count()
    assert 0 < found.times.processor_share < 1.5


def test_images_are_answered_from_their_files_too(tiny, tmp_path):
    """This machine decodes and resizes as it did when the tensors were made; so does every answer."""
    (tmp_path / "bench.toml").write_text('kind = "local"\nthreads = [1]\nformats = ["tflite"]\nfiles = 4\n')
    out = tmp_path / "out"
    arguments = [str(tiny.folder), "--device", "bench", "--devices", str(tmp_path), "--out", str(out)]
    benchmark.main([*arguments, "--rounds", "2", "--runs", "3", "--seconds", "1"])
    [row] = read_report(out).rows
    found = row.numerics.from_files
    assert len(found.rows) == 4
    assert found.model_copy(update={"rows": ()}) == FromFiles(
        rows=(),
        not_decoded=0,
        decoded_differ=0,
        pixels_differ=0,
        decoder_answers=0,
        resize_answers=0,
        kernel_answers=0,
        largest_change=0.0,
    )
    assert "4 images answered from their files: decoded otherwise 0" in (out / "report.html").read_text()


def test_a_file_that_does_not_give_its_tensor_is_not_sent(tiny, tmp_path):
    images = subject.images(tiny)
    [first, *_] = images.facts.image_names
    folder = tmp_path / "images"
    for name in images.facts.image_names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((images.folder / name).read_bytes())
    (folder / first).write_bytes((images.folder / images.facts.image_names[1]).read_bytes())
    (folder / images.facts.image_names[2]).write_bytes(b"no image")
    workshop = Workshop.open(tiny, replace(images, folder=folder), Timing(), tmp_path / "work")
    device = devices.find("local")
    device.options = device.options.model_copy(update={"files": 1000})
    artefacts = subject.artefacts(tiny, ["tflite"], tmp_path / "made", print)[0]
    [entry] = workshop.entries("local", device, artefacts, (1,))
    assert [file.row for file in entry.files] == [1, *range(3, len(images.pixels))]
    parcel = workshop.parcel(entry, 0, device)
    assert set(parcel.job.test.files.images) <= set(parcel.files)
    assert workshop.parcel(entry, 1, device).job.test is None
    assert not any(name.startswith("files/") for name in workshop.parcel(entry, 1, device).files)


def test_an_upgrade_on_this_machine_is_measured_anew(tiny, tmp_path, capsys):
    """The interpreter is given a package of another version, as pip would leave it; one runtime of two is concerned."""
    more, python = tmp_path / "packages", tmp_path / "python"
    python.write_text(f'#!/bin/sh\nshift\nPYTHONPATH="{more}" exec "{sys.executable}" "$@"\n')  # without -I
    python.chmod(0o755)
    (tmp_path / "bench.toml").write_text(f'kind = "local"\npython = "{python}"\nthreads = [1]\n')
    out = tmp_path / "out"
    arguments = [str(tiny.folder), "--device", "bench", "--devices", str(tmp_path), "--out", str(out), "--rounds", "1"]
    arguments += ["--runs", "3", "--seconds", "1", "--format", "tflite,onnx"]
    benchmark.main(arguments)
    assert capsys.readouterr().out.count("round 1 of 1") == 2
    benchmark.main([*arguments, "--resume"])
    assert "round 1 of 1" not in capsys.readouterr().out
    (more / "onnxruntime-99.0.dist-info").mkdir(parents=True)
    (more / "onnxruntime-99.0.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: onnxruntime\nVersion: 99.0\n"
    )
    benchmark.main([*arguments, "--resume"])
    said = capsys.readouterr().out
    assert said.count("round 1 of 1") == 1
    assert "onnx, 1 thread, round 1 of 1" in said
    versions = {row.format: row.system.software for row in read_report(out).rows}
    assert versions["onnx"]["onnxruntime"] == "99.0"
    assert versions["tflite"]["ai-edge-litert"] == metadata.version("ai-edge-litert")
    assert "onnxruntime" not in versions["tflite"]


def test_a_python_that_does_not_start_is_a_lost_device(tmp_path):
    for text in ("#!/bin/sh\nexit 3\n", "#!/bin/sh\necho hello\n"):
        (tmp_path / "python").write_text(text)
        (tmp_path / "python").chmod(0o755)
        device = local.connect("x", local.Options(kind="local", python=str(tmp_path / "python")))
        with pytest.raises(DeviceLost, match=r"code 3|no line of JSON"), device:
            pass


def script(folder, name, text):
    """An interpreter of its own kind."""
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(text)}")
    path.chmod(0o755)
    return local.connect(name, local.Options(kind="local", python=str(path), limit_s=3.0, cpus=(0,)))


def test_a_job_runs_on_its_processors_alone_and_leaves_nothing(parcel, tmp_path):
    device = script(tmp_path, "echo", "import sys; print(open(sys.argv[3] + '/job.json').read(), sys.argv[3])")
    text = device.run(parcel).decode()
    job, end = json.JSONDecoder().raw_decode(text)
    assert job["cpus"] == [0]
    assert not Path(text[end:].strip()).exists()


def test_settings_that_change_speed_are_not_passed_on(parcel, tmp_path, monkeypatch):
    monkeypatch.setenv("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("EDGEKD_KEPT", "1")
    device = script(tmp_path, "echo", "import os; print(*sorted(os.environ))")
    found = device.run(parcel).decode().split()
    assert "EDGEKD_KEPT" in found
    assert not {"GLIBC_TUNABLES", "OMP_NUM_THREADS"} & set(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import sys; sys.exit('no numpy here')", "no numpy here"),
        ("import time; time.sleep(60)", "within 3 s"),
    ],
)
def test_a_process_that_ends_badly_is_a_device_error(parcel, tmp_path, text, words):
    with pytest.raises(DeviceError, match=words):
        script(tmp_path, "python", text).run(parcel)


def test_an_interpreter_that_is_not_there(parcel, tmp_path):
    device = local.connect("x", local.Options(kind="local", python=str(tmp_path / "none")))
    with pytest.raises(DeviceError, match="can be started"):
        device.run(parcel)


def test_the_fastest_processors_come_first(tmp_path):
    for cpu, clock in enumerate([1800000, 1800000, 2400000, 2400000]):
        (tmp_path / f"cpu{cpu}/cpufreq").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/cpufreq/cpuinfo_max_freq").write_text(f"{clock}\n")
    assert local.fastest_first([0, 1, 2, 3], tmp_path) == (3, 2, 1, 0)
    assert local.fastest_first([0, 2], tmp_path) == (2, 0)
    assert local.fastest_first([4, 5], tmp_path) == (5, 4)


README = Path(__file__).parents[2] / "benchmarks" / "README.md"


def test_the_devices_of_the_readme_are_valid(tmp_path):
    blocks = re.findall(r"^\n((?:    .+\n)+)", README.read_text(encoding="utf-8"), re.MULTILINE)
    texts = [textwrap.dedent(block) for block in blocks if block.startswith("    kind =")]
    for index, text in enumerate(texts):
        (tmp_path / f"{index}.toml").write_text(text)
    found = [devices.find(str(index), tmp_path) for index in range(len(texts))]
    assert sorted(device.options.kind for device in found) == ["adb", "local", "local", "qemu", "ssh"]


def test_the_names_of_limits_are_in_the_readme():
    text = README.read_text(encoding="utf-8")
    assert [name for name in comparison.NAMES if f"| `{name}` |" not in text] == []
