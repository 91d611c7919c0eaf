"""Files with a heat map on devices: the answers are those of the file without, and the map is that of x86 to the bit."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from edgekd import devices
from edgekd.bundle import Bundle
from edgekd.devices import arm_root, qemu
from edgekd.devices.document import read_document
from edgekd.devices.local import run_here
from edgekd.errors import EdgekdError
from edgekd.quantization import heatmap
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, find, tflite, tflite_model

MODEL = Path(__file__).parents[2] / "models/mri4p-mobilenetv2"
RUNTIMES = {"tflite-int8": "tflite", "onnx": "onnx", "openvino-int8": "openvino"}
# What runs in the emulated root: a file, an array of pixels, and where its maps go.
MAPS = """
import sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
model, pixels, out = sys.argv[1:]
interpreter = Interpreter(model_path=model, num_threads=1)
interpreter.allocate_tensors()
index = next(o["index"] for o in interpreter.get_output_details() if o["name"] == "heatmap")
found = []
for image in np.load(pixels):
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], image[None])
    interpreter.invoke()
    found.append(interpreter.get_tensor(index))
np.save(out, np.concatenate(found))
"""


def answer(place, parcel):
    with place:
        found = read_document(place.run(parcel), place.name, parcel.job)
    assert found.failure is None, found.failure
    return np.array(found.probs, np.float32)


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_the_runner_answers_as_with_the_file_without(
    name, tmp_path, small, parcel_of, float_graph, int8_graph, facts, pixels
):
    bare = small(name, runtime=RUNTIMES[name])
    images = [path for file, path in bare.files.items() if file.startswith("golden/")]
    graph = heatmap.with_heatmap(int8_graph if name.endswith("int8") else float_graph)
    mapped = parcel_of(tmp_path, graph, facts, images, pixels[:8], name, runtime=RUNTIMES[name])
    expected = answer(devices.find("local"), bare)
    assert len(np.unique(expected)) > 10
    assert np.array_equal(answer(devices.find("local"), mapped), expected)


def backwards(name, path):
    """The same file with its outputs in the other order."""
    if name.startswith("tflite"):
        model = tflite.read(path)
        model.subgraphs[0].outputs = model.subgraphs[0].outputs[::-1]
        path.write_bytes(tflite_model.bytes_of(model))
        return
    import onnx

    model = onnx.load(path)
    outputs = list(model.graph.output)[::-1]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("name", ["tflite-int8", "onnx"])
def test_the_runner_goes_by_the_outputs_names(name, tmp_path, parcel_of, small, float_graph, int8_graph, facts, pixels):
    from edgekd.benchmarking.jobs import record

    images = [path for file, path in small(name).files.items() if file.startswith("golden/")]
    graph = heatmap.with_heatmap(int8_graph if name.endswith("int8") else float_graph)
    parcel = parcel_of(tmp_path, graph, facts, images, pixels[:8], name, runtime=RUNTIMES[name])
    expected = answer(devices.find("local"), parcel)
    path = next(path for file, path in parcel.files.items() if file == f"{name}{find(name)[0].suffixes[0]}")
    backwards(name, path)
    job = parcel.job.model_copy(update={"files": parcel.job.files | {path.name: record(path)}})
    assert np.array_equal(answer(devices.find("local"), devices.Parcel(job, parcel.files)), expected)


@pytest.fixture
def root():
    try:
        return arm_root.find()
    except EdgekdError as e:
        pytest.skip(f"no ARM root: {' '.join(str(e).split())}")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A shipped network's file with its map, and pixels."""
    bundle, path = Bundle.open(MODEL), tmp_path_factory.mktemp("shipped") / "mapped.tflite"
    golden = load_file(bundle.file("golden/vectors.safetensors"))["pixels"]
    format, module = find("tflite-int8")
    facts = FileFacts("mapped", "", bundle.manifest.label_names, bundle.manifest.input, 0.83)
    module.write(heatmap.with_heatmap(Graph.load(bundle.file("int8/qat.safetensors"))), format, facts, path)
    return bundle, path, np.ascontiguousarray(np.concatenate([golden, golden[:, :, ::-1]]))


@pytest.mark.parametrize("cpu", ["cortex-a53", "cortex-a76"])
def test_the_emulated_map_is_that_of_x86_to_the_bit(root, cpu, shipped, tmp_path):
    _, path, pixels = shipped
    np.save(tmp_path / "pixels.npy", pixels)
    arguments = ["-c", MAPS, str(path), str(tmp_path / "pixels.npy"), str(tmp_path / "maps.npy")]
    run_here(root.command(cpu, arguments), 300.0, qemu.environment())
    found, expected = np.load(tmp_path / "maps.npy"), tflite.load(path).heatmap(pixels)
    assert found.shape == (8, 7, 7, 4)
    assert len(np.unique(found)) > 20
    assert np.array_equal(found, expected)


def test_an_emulated_processor_replays_the_golden_vectors_of_a_mapped_file(root, shipped, tmp_path, parcel_of):
    bundle, _, pixels = shipped
    graph = heatmap.with_heatmap(Graph.load(bundle.file("int8/qat.safetensors")))
    facts = FileFacts("mapped", "", bundle.manifest.label_names, bundle.manifest.input, 0.83)
    images = [bundle.file("golden/0.png")]
    parcel = parcel_of(tmp_path, graph, facts, images, pixels[:2], "tflite-int8", "emulated")
    place = qemu.connect("cortex-a53", qemu.Options(kind="qemu", cpu="cortex-a53", limit_s=300.0, count=False))
    assert answer(place, parcel) == pytest.approx(
        tflite.load(tmp_path / "tflite-int8.tflite").probs(pixels[:2]), abs=1e-6
    )
