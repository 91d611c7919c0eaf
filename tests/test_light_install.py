"""A bundle made with torch is exported, verified and evaluated where neither torch nor timm nor tensorflow can be imported."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from edgekd import distill
from edgekd.artefacts import graphs, validation
from edgekd.bundle import FLOAT_GRAPH, Bundle
from edgekd.networks import from_bundle
from edgekd.quantization import integers
from edgekd.quantization.lowering import lower

HEAVY = ("torch", "torchvision", "timm", "tensorflow", "jax", "litert_torch", "nncf")
HIDING = f"""
from importlib.machinery import PathFinder
find = PathFinder.find_spec
def find_light(name, path=None, target=None):
    return None if name.partition(".")[0] in {HEAVY} else find(name, path, target)
PathFinder.find_spec = find_light
"""
OPEN = ("--max-drop-pp", "100", "--max-class-drop-pp", "100")  # of the drift gate alone: so small a network flips
FORMATS = ("onnx", "tflite", "tflite-int8", "openvino")
COLOURS = {"red": (200, 40, 40), "green": (40, 180, 60), "blue": (50, 60, 210)}
TINY = (
    "data.validation_fraction=0.25",
    "data.test_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=16}",
    "student.width=0.35",
    "student.options={drop_rate=0.0}",
    "augment={rotation_deg=0.0, shift=0.0, zoom=0.0, shear=0.0, brightness=0.0}",
    "training={epochs=12, batch_size=16, learning_rate=4e-3, ema_decay=0.0, label_smoothing=0.0}",
    "distillation.task_loss_weight=1.0",
    "distillation.distill_loss_weight=0.0",
    "qat.training={epochs=1, batch_size=16}",
    "qat.representative_images=16",
    "qat.observed_batches=2",
)


def draw(folder):
    """Patches of three colours with noise: even a tiny network learns them, and rounding then changes no answer."""
    rng = np.random.default_rng(3)
    for index in range(240):
        name, colour = list(COLOURS.items())[index % 3]
        path = folder / name / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noisy = np.float64(colour) + rng.normal(0, 25, (48, 48, 3)) + rng.normal(0, 10, 3)
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The folder of a run and its images."""
    folder = tmp_path_factory.mktemp("light")
    draw(folder / "images")
    arguments = ["--data", str(folder / "images"), "--out", str(folder / "run")]
    for setting in (*TINY, f"cache={folder / 'cache'}"):
        arguments += ["--set", setting]
    distill.main(arguments)
    return folder


@pytest.fixture
def without_heavy(tmp_path):
    """A function that runs a command in processes, its children too, which find nothing heavy, as if not installed."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(HIDING)

    def run(*arguments):
        path = os.pathsep.join([str(tmp_path / "site"), *filter(None, sys.path)])
        environment = os.environ | {"PYTHONPATH": path}
        command = [sys.executable, "-m", *map(str, arguments)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)

    return run


def test_the_bundle_holds_the_lowered_graph_to_the_bit(made):
    bundle = Bundle.open(made / "run")
    assert FLOAT_GRAPH in bundle.manifest.files
    found, expected = graphs.float_graph(bundle), lower(from_bundle(bundle))
    assert found.nodes == expected.nodes
    assert found.arrays.keys() == expected.arrays.keys()
    assert all(np.array_equal(found.arrays[name], array) for name, array in expected.arrays.items())
    assert bundle.manifest.files[FLOAT_GRAPH].size_bytes < 50_000  # and no weight is stored twice


def test_a_teacher_that_cannot_be_lowered_has_no_graph(made):
    teacher = Bundle.open(made / "run" / "teacher")
    assert FLOAT_GRAPH not in teacher.manifest.files


def test_heavy_packages_are_out_of_reach(without_heavy):
    for name in HEAVY:
        done = without_heavy("timeit", "-n1", "-r1", f"import {name}")
        assert f"No module named '{name}'" in done.stderr


def test_files_are_exported_fully_verified_and_evaluated(made, tmp_path, without_heavy):
    run = shutil.copytree(made / "run", tmp_path / "run")
    done = without_heavy("edgekd.export", run, "--format", ",".join(FORMATS), *OPEN)
    assert done.returncode == 0, done.stdout + done.stderr
    bundle = Bundle.open(run)
    assert set(bundle.manifest.artefacts) == set(FORMATS)
    for name, record in bundle.manifest.artefacts.items():
        report = json.loads(bundle.file(record.report).read_text())
        assert report["parity"]["images"] == record.val_images + 4 == 49, name  # all of validation, and the golden ones
        if name == "tflite-int8":
            assert report["operators"]["operators"] == len(graphs.int8_graph(bundle).nodes) - 1
    test = validation.pixels_of(bundle, "", "test")
    labels = np.array([sample.label for sample in test.dataset.samples])
    for name, answers in (
        ("onnx", graphs.float_network(bundle)(test.array)),
        ("tflite-int8", integers.logits(graphs.int8_graph(bundle), test.array)),
    ):
        done = without_heavy("edgekd.evaluate", run, "--format", name, "--out", tmp_path / name)
        assert done.returncode == 0, done.stdout + done.stderr
        found = json.loads((tmp_path / name / "evaluation.json").read_text())
        assert found["images"] == len(labels)
        assert found["accuracy"] == pytest.approx((answers.argmax(1) == labels).mean())
        assert found["accuracy"] > 0.45  # of three classes: something was learnt


def test_file_and_float_network_are_explained(made, tmp_path, without_heavy):
    run = shutil.copytree(made / "run", tmp_path / "run")
    assert without_heavy("edgekd.export", run, "--heatmap", *OPEN).returncode == 0
    picture = next((made / "images").rglob("*.png"))
    methods = "heatmap,occlusion,rise"
    done = without_heavy("edgekd.explain", run, picture, "--method", methods, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    (row,) = json.loads((tmp_path / "out" / "explanations.json").read_text())["rows"]
    assert set(row["answers"]) == {"tflite-int8", "float"}
    assert len(row["maps"]) == 6
    done = without_heavy("edgekd.explain", run, picture, "--method", "gradcam", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert "the explainer 'gradcam' needs the package 'torch'" in done.stderr
    assert 'pip install "edgekd[train]"' in done.stderr


def test_a_rejected_file_is_explained(made, tmp_path, without_heavy):
    run = shutil.copytree(made / "run", tmp_path / "run")
    done = without_heavy("edgekd.export", run, "--max-drop-pp", "-200")
    assert done.returncode == 3, done.stdout + done.stderr
    report = json.loads((run / "artefacts" / "tflite-int8.rejected.json").read_text())
    assert len(report["worst_layers_db"]) == 5


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("edgekd.export", "--ptq", "mse"), "train"),
        (("edgekd.export", "--via", "litert-torch"), "convert"),
        (("edgekd.evaluate",), "train"),
    ],
)
def test_what_needs_torch_says_so_before_it_starts(arguments, extra, made, without_heavy):
    module, *options = arguments
    done = without_heavy(module, made / "run", *options)
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert f"the command {module.removeprefix('edgekd.')} needs the packages 'torch', 'torchvision', 'timm'" in text
    assert f'pip install "edgekd[{extra}]"' in text
    assert "Traceback" not in text


def test_a_bundle_without_the_graph_says_so_before_it_starts(made, tmp_path, without_heavy):
    run = shutil.copytree(made / "run", tmp_path / "run")
    Bundle.open(run).without([FLOAT_GRAPH])
    done = without_heavy("edgekd.export", run, "--format", "onnx,tflite-int8")
    text = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == 2
    assert "which the bundle does not hold, needs the packages 'torch', 'timm'" in text
    assert 'pip install "edgekd[train]"' in text
    assert graphs.float_graph(Bundle.open(run)).nodes == graphs.float_graph(Bundle.open(made / "run")).nodes
