"""A Keras student becomes a bundle, and the commands take it as any other, in an environment without Keras too."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.measures.calibration import softmax

keras = pytest.importorskip("keras")
if not all(map(find_spec, ("torch", "timm", "safetensors"))):
    pytest.skip("the extra train is not installed", allow_module_level=True)
from edgekd.keras import Distiller, read_images, to_bundle  # noqa: E402

torch = pytest.importorskip("torch")  # after edgekd.keras, which keeps it from tensorflow's libraries
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:CUDA initialization:UserWarning"),  # tensorflow asked first, in vain
]
ROOT = Path(__file__).parents[2]
layers = keras.layers
SETTINGS = ("qat.training={epochs=1}", "qat.frozen_epochs=0")
COLOURS = ("blue", "green", "red")  # as folders are sorted
# What a command sees that runs where neither Keras nor tensorflow is installed.
WITHOUT = "import sys; sys.modules.update(keras=None, tensorflow=None); import runpy; sys.argv = sys.argv[1:]; "
WITHOUT += "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=False)"


def network(width, name):
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    for channels, strides in ((width, 2), (2 * width, 2), (2 * width, 1)):
        y = layers.SeparableConv2D(channels, 3, strides=strides, padding="same", use_bias=False)(x)
        y = layers.BatchNormalization(momentum=0.7)(y)
        x = layers.ReLU(6.0)(layers.Add()([x, y]) if x.shape == y.shape else y)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name=name)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Noise that one colour outshines, in folders by class."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    for number in range(120):
        split, label = "Testing" if number % 4 == 3 else "Training", number % 3
        pixels = rng.integers(0, 180, (40, 36, 3))
        pixels[:, :, 2 - label] += 60
        place = folder / split / COLOURS[label]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{number}.png")
    return read_images(folder, 32, (*SETTINGS, f"cache={tmp_path_factory.mktemp('cache')}"))


@pytest.fixture(scope="module")
def distiller(images):
    keras.utils.set_random_seed(0)
    teacher = network(12, "teacher")
    teacher.compile(keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy")
    teacher.fit(*images.train, epochs=8, batch_size=10, verbose=0)
    found = Distiller(student=network(8, "student"), teacher=teacher, temperature=3.0)
    found.compile(keras.optimizers.Adam(0.01), metrics=["accuracy"])
    found.fit(*images.train, epochs=8, batch_size=10, verbose=0)
    return found


@pytest.fixture(scope="module")
def bundle(distiller, images, tmp_path_factory):
    return to_bundle(distiller, images, tmp_path_factory.mktemp("runs") / "keras-student")


def run(*words):
    """A command of edgekd where Keras is not to be had."""
    environment = os.environ | {"PYTHONPATH": str(ROOT), "EDGEKD_DEBUG": "1"}
    command = [sys.executable, "-c", WITHOUT, *map(str, words)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout[-2000:]
    return done.stdout


def test_the_manifest_says_what_it_is(bundle, distiller, images):
    m = bundle.manifest
    assert (m.role, m.name, m.label_names) == ("student", "keras-student", COLOURS)
    assert images.label_names == COLOURS
    assert (m.network.framework, m.network.network) == ("keras", "student")
    assert m.network.parameters == sum(int(np.prod(w.shape)) for w in distiller.student.trainable_weights)
    assert (m.teacher.network, m.teacher.framework, m.kd_temperature) == ("teacher", "keras", 3.0)
    assert m.teacher.macs > m.network.macs > 0
    assert m.input.mean == m.input.std == (0.5, 0.5, 0.5)
    assert m.quantization.method in ("minmax", "percentile", "mse")
    assert "of Keras" in bundle.file("README.md").read_text()
    assert m.versions["keras"] == keras.__version__
    assert set(m.recipe) == {"schema", "name", "seed", "split_seed", "licence", "cache", "data", "input", "qat"}


def test_its_float_answers_are_keras_own(bundle, distiller, images):
    from safetensors.numpy import load_file

    pixels, labels = images.test
    stored = load_file(bundle.file("evaluation/test.safetensors"))
    assert np.array_equal(stored["labels"], labels)
    expected = distiller.student.predict(pixels, verbose=0)
    np.testing.assert_allclose(softmax(stored["logits"]), expected, atol=4e-3)  # weights are stored in float16
    assert (expected.argmax(1) == labels).mean() > 0.8  # it has learnt something


def test_its_network_runs_in_torch_with_taps_and_gradients(bundle, images):
    from edgekd.artefacts import graphs
    from edgekd.networks import from_bundle, taps
    from edgekd.quantization import reference

    network, pixels = from_bundle(bundle), images.val[0][:8]
    views = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    found = taps.outputs(network, views, ("last", "embedding"))
    logits = reference.logits(graphs.float_graph(bundle), pixels)
    np.testing.assert_allclose(found.logits.detach().numpy(), logits, atol=1e-4)
    assert found.features["last"].shape == (8, 16, 8, 8)
    torch.testing.assert_close(found.features["last"].mean((2, 3)), found.features["embedding"])
    found.logits.sum().backward()
    assert all(p.grad is not None for p in network.parameters())


def test_the_commands_take_it_as_it_is(bundle, tmp_path):
    folder = bundle.folder
    pytest.importorskip("openvino")
    pytest.importorskip("ai_edge_litert")
    formats = ("tflite-int8", "onnx", "openvino", "onnx-int8")
    run("edgekd.export", folder, "--format", ",".join(formats))
    exported = Bundle.open(folder)
    assert exported.manifest.artefacts.keys() == set(formats)
    for record in exported.manifest.artefacts.values():
        report = json.loads((folder / record.report).read_text())
        assert report["parity"]["top1_agreement"] == 1
    run("edgekd.evaluate", folder, "--format", "tflite-int8", "--out", tmp_path / "artefact")
    run("edgekd.evaluate", folder, "--out", tmp_path / "float")
    found = [json.loads((tmp_path / n / "evaluation.json").read_text()) for n in ("artefact", "float")]
    assert abs(found[0]["accuracy"] - found[1]["accuracy"]) < 0.1
    (tmp_path / "app/app/src/main").mkdir(parents=True)
    run("edgekd.embed", folder, "--app", tmp_path / "app")
    assert (tmp_path / "app/app/src/main/assets/model.tflite").is_file()
    run("edgekd.explain", folder, folder / "golden/0.png", "--method", "gradcam,lrp", "--out", tmp_path / "explained")
    quick = ("--rounds", "1", "--runs", "3", "--seconds", "1", "--threads", "1", "--format", "tflite-int8")
    run("edgekd.benchmark", folder, *quick, "--out", tmp_path / "benchmark")
    report = json.loads((tmp_path / "benchmark/report.json").read_text())
    assert "student" in json.dumps(report)


def test_it_goes_on_training_on_the_int8_grid(distiller, images, tmp_path):
    bundle = to_bundle(distiller.student, images, tmp_path / "aware", quantization_aware=True)
    m = bundle.manifest
    assert (m.quantization.method, m.quantization.control_graph) == ("qat", "int8/ptq.safetensors")
    assert m.teacher is None
    compared = json.loads(bundle.file("int8/comparison.json").read_text())
    assert compared["drift"].keys() == {"ptq", "qat"}
    with pytest.raises(EdgekdError, match="new or empty"):
        to_bundle(distiller.student, images, tmp_path / "aware")


def test_what_does_not_fit_is_one_error(distiller, images, tmp_path):
    inputs = keras.Input((32, 32, 3))
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3)(inputs))
    four, pooled = keras.Model(inputs, layers.Dense(4)(x)), layers.MaxPooling2D()(inputs)
    for model, said in [
        (four, "4 classes"),
        (keras.Model(inputs, layers.Dense(3)(layers.Flatten()(pooled))), "MaxPooling2D"),
        ("model.keras", "a Keras model"),
    ]:
        with pytest.raises(EdgekdError, match=said):
            to_bundle(model, images, tmp_path / "bad")
    assert not (tmp_path / "bad").exists()
    with pytest.raises(EdgekdError, match="no/where"):
        read_images("no/where")
