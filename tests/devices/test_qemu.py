"""Emulated ARM: int8 equal to x86 to the bit, dot products where the processor has them, no times."""

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgekd import devices
from edgekd.bundle import Bundle
from edgekd.devices import DeviceError, DeviceLost, arm_root, qemu
from edgekd.devices.document import read_document
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts

MODEL = Path(__file__).parents[2] / "models/mri4p-mobilenetv2"


@pytest.fixture
def root():
    try:
        return arm_root.find()
    except EdgekdError as e:
        pytest.skip(f"no ARM root: {' '.join(str(e).split())}")


def device(cpu, **options):
    return qemu.connect(cpu, qemu.Options(kind="qemu", cpu=cpu, limit_s=300.0, **options))


def answer(place, parcel):
    with place:
        found = read_document(place.run(parcel), place.name, parcel.job)
    assert found.failure is None, found.failure
    return found, np.array(found.probs, np.float32)


def here(parcel):
    """The same job on this machine, by the same runner."""
    job = parcel.job.model_copy(update={"provenance": "hardware"})
    return answer(devices.find("local"), devices.Parcel(job, parcel.files))[1]


@pytest.fixture(scope="module")
def real(tmp_path_factory, parcel_of):
    """A shipped network on 8 images, with int8 logits out: nothing in float can hide a difference."""
    bundle = Bundle.open(MODEL)
    golden = load_file(bundle.file("golden/vectors.safetensors"))["pixels"]
    pixels = np.ascontiguousarray(np.concatenate([golden, golden[:, :, ::-1]])[:8])
    facts = FileFacts("real", "", bundle.manifest.label_names, bundle.manifest.input, io="int8")
    graph, images = Graph.load(bundle.file("int8/qat.safetensors")), [bundle.file("golden/0.png")]
    folder = tmp_path_factory.mktemp("real")
    return parcel_of(folder, graph, facts, images, pixels, "tflite-int8", "emulated")


@pytest.mark.parametrize("cpu", ["cortex-a72", "cortex-a76"])
def test_int8_is_that_of_x86_to_the_bit(root, real, cpu):
    found, probs = answer(device(cpu), real)
    assert len(probs) == 8
    assert np.array_equal(probs, here(real))
    assert found.runtime.delegate == "XNNPACK"
    assert found.emulation.cpu_model == cpu
    assert found.emulation.emulator.startswith("qemu-aarch64 10.")
    assert (found.notes, found.times) == ((), None)
    assert found.system.memory_mib is None
    if not root.counts:
        pytest.skip("instructions are not counted: there was no gcc when the ARM root was built")
    counts = found.emulation.instructions
    assert counts["total"] > 10_000_000
    assert (counts["sdot"] > 0) == (cpu == "cortex-a76")


def test_armv7_runs_float_as_x86_does(root, small):
    parcel = small("tflite", provenance="emulated")
    found, probs = answer(device("cortex-a7"), parcel)
    assert found.system.machine == "armv7l"
    assert found.runtime.name == "tflite-runtime"
    assert np.abs(probs - here(parcel)).max() < 1e-5
    assert not root.counts or set(found.emulation.instructions) == {"total"}


def test_versions_are_those_of_the_emulated_root(root):
    with device("cortex-a72") as place:
        assert place.software["ai-edge-litert"] == "2.3.0"
        assert place.software["numpy"] == "1.26.4"
        assert place.software["emulator"].startswith("qemu-aarch64 10.")
    with device("cortex-a7") as place:
        assert place.software["tflite-runtime"] == "2.14.0"
        assert "ai-edge-litert" not in place.software


def test_counting_can_be_left_out(root, small):
    found, _ = answer(device("cortex-a53", count=False), small("tflite-int8", provenance="emulated"))
    assert found.emulation.instructions == {}


def test_a_root_that_is_not_there_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setenv(arm_root.FOLDER, str(tmp_path))
    with pytest.raises(DeviceLost, match="make arm-root"), device("cortex-a72"):
        pass
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/built.json").write_text('{"made_of": "something else", "counts": true}')
    with pytest.raises(DeviceLost, match="an older one"), device("cortex-a72"):
        pass


@pytest.mark.parametrize("name", ["a53", "a72", "a76", "armv7"])
def test_devices_are_described(name):
    place = devices.find(name)
    assert (place.provenance, place.cores) == ("emulated", 1)
    assert place.refuses("tflite-int8", 1) == ""
    assert "TFLite" in place.refuses("onnx-int8", 1)


def test_counts_are_those_between_the_marks():
    text = "0 1000 10 100\n1 1500 30 180\n2 9000 90 900\n-1 9999 99 999\n"
    assert qemu.between_marks(text, "cortex-a76") == {"total": 500, "sdot": 20, "load_store": 80}
    assert qemu.between_marks(text, "cortex-a7") == {"total": 500}
    with pytest.raises(DeviceError, match="marks 0 and 1"):
        qemu.between_marks("-1 9999 99 999\n", "cortex-a76")


def test_everything_that_is_fetched_is_pinned():
    items = arm_root.lock()
    assert {item.tree for item in items} == {"qemu", "counter", *arm_root.PLATFORMS}
    assert all(len(bytes.fromhex(item.sha256)) == 32 for item in items)
    assert len({(item.tree, item.name) for item in items}) == len(items)


def test_output_that_is_no_document():
    for output in (b"", b"Illegal instruction", json.dumps([1]).encode()):
        with pytest.raises(DeviceError, match="one JSON"):
            qemu.read(output)
