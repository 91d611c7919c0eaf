"""The arm64 libraries that phones load, unmodified, on emulated processors: every logit is that of x86 to the bit."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from edgekd import devices
from edgekd.devices import DeviceError, DeviceLost, android_arm64, arm_root
from edgekd.devices.document import read_document
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find, tflite

CPUS = ("cortex-a53", "cortex-a72", "cortex-a76")


def device(cpu, library, **options):
    values = {"kind": "android-arm64", "cpu": cpu, "library": str(library), "limit_s": 3000.0} | options
    return android_arm64.connect(cpu, android_arm64.Options(**values))


@pytest.fixture(scope="module")
def logits_model(bundle, tmp_path_factory):
    """The reference network with int8 logits out: nothing in float can hide a difference."""
    path = tmp_path_factory.mktemp("logits") / "logits.tflite"
    form, module = find("tflite-int8")
    facts = FileFacts("logits", "", bundle.manifest.label_names, bundle.manifest.input, io="int8")
    module.write(Graph.load(bundle.file("int8/qat.safetensors")), form, facts, path)
    return path


@pytest.fixture(scope="module")
def codes(golden, images):
    """Every golden vector and 32 images, as int8."""
    pixels = np.concatenate([golden, images[:24], images[-8:]])
    return (pixels.astype(np.int16) - 128).astype(np.int8)


@pytest.fixture(scope="module")
def expected(logits_model, codes):
    """Logits of this machine's LiteRT."""
    interpreter = Interpreter(str(logits_model), num_threads=1)
    interpreter.allocate_tensors()
    found = []
    for image in codes:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
        interpreter.invoke()
        found.append(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0])
    return np.stack(found)


@pytest.fixture(scope="module")
def answers(arm_library, logits_model, codes):
    """Logits, version and delegate by processor; they are emulated side by side."""

    def answer(cpu):
        with device(cpu, arm_library) as place, android_arm64.Driver(place.command, 3000.0) as driver:
            driver.load(logits_model, 1, codes.shape[1])
            found = np.concatenate([driver.infer(image[None]) for image in codes])
            return found, driver.version, driver.delegate()

    with ThreadPoolExecutor(max_workers=min(len(CPUS), os.cpu_count() or 1)) as pool:
        return dict(zip(CPUS, pool.map(answer, CPUS), strict=True))


@pytest.mark.parametrize("cpu", CPUS)
def test_logits_are_those_of_x86_to_the_bit(answers, expected, cpu):
    found, version, delegate = answers[cpu]
    assert (version, delegate) == ("2.21.0", "XNNPACK")
    assert found.dtype == np.int8
    assert len(found) >= 36
    assert len(np.unique(found)) > 20  # a library that answers nothing is equal too
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("cpu", "threads"), [("cortex-a53", 1), ("cortex-a76", 2)])
def test_the_heat_map_is_that_of_x86_to_the_bit(arm_library, mapped, golden, cpu, threads):
    expected = tflite.load(mapped).heatmap(golden)
    with (
        device(cpu, arm_library) as place,
        android_arm64.Driver(place.command, 3000.0, heatmap=True) as driver,
    ):
        driver.load(mapped, threads, golden.shape[1])
        found = np.concatenate([driver.infer(image[None]) for image in golden])
    assert len(np.unique(found)) > 20
    assert np.array_equal(found.reshape(expected.shape), expected)


def test_it_is_a_device_of_the_benchmark(arm_library, small):
    parcel = small("tflite-int8", provenance="emulated")
    with device("cortex-a72", arm_library) as place:
        found = read_document(place.run(parcel), place.name, parcel.job)
    assert found.failure is None, found.failure
    assert (found.runtime.name, found.runtime.version, found.runtime.delegate) == (
        "TensorFlow Lite",
        "2.21.0",
        "XNNPACK",
    )
    assert (found.emulation.cpu_model, found.emulation.instructions) == ("cortex-a72", {})
    assert (found.system.machine, found.times, found.runtime.threads_ran) == ("aarch64", None, None)
    job = parcel.job.model_copy(update={"provenance": "hardware"})
    with devices.find("local") as here:
        there = read_document(here.run(devices.Parcel(job, parcel.files)), "local", job)
    assert np.abs(np.array(found.probs) - np.array(there.probs)).max() < 1e-6


def test_a_golden_vector_that_is_answered_otherwise_stops_it(arm_library, small):
    parcel = small("tflite-int8", provenance="emulated")
    golden = parcel.job.golden
    wrong = golden.model_copy(update={"probs": tuple(tuple(row[::-1]) for row in golden.probs), "tolerance": 1e-6})
    parcel = devices.Parcel(parcel.job.model_copy(update={"golden": wrong}), parcel.files)
    with device("cortex-a72", arm_library) as place:
        found = read_document(place.run(parcel), place.name, parcel.job)
    assert found.failure.stage == "probabilities"
    assert "differs by" in found.failure.reason


def test_a_file_that_is_no_model_ends_the_driver_with_its_words(arm_library, tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 but no more")
    with (
        device("cortex-a76", arm_library) as place,
        android_arm64.Driver(place.command, 60.0) as driver,
        pytest.raises(DeviceError, match="no TFLite model"),
    ):
        driver.load(tmp_path / "broken.tflite", 1, 16)


def test_a_driver_that_takes_too_long_is_ended(tmp_path):
    # `tail -f FILE` waits as a hung emulator would
    (tmp_path / "model").touch()
    with android_arm64.Driver(["tail", "-f"], 0.2) as driver, pytest.raises(DeviceError, match="within 0 s"):
        driver.load(tmp_path / "model", 1, 16)


def test_without_its_parts_the_device_is_lost_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv(arm_root.FOLDER, str(tmp_path))
    with pytest.raises(DeviceLost, match=r"android_demo\.hermetic emulated"), device("cortex-a53", tmp_path):
        pass
    monkeypatch.undo()
    try:
        arm_root.find()
    except EdgekdError:
        return
    with pytest.raises(DeviceLost, match="no driver"), device("cortex-a53", tmp_path):
        pass


@pytest.mark.parametrize("name", ["android-arm64-a53", "android-arm64-a72", "android-arm64-a76"])
def test_devices_are_described(name):
    place = devices.find(name)
    assert (place.provenance, place.cores) == ("emulated", 1)
    assert place.refuses("tflite-int8", 1) == ""
    assert "TFLite" in place.refuses("onnx-int8", 1)
