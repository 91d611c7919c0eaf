"""A whole bundle around the small network of the runtimes' tests: artefacts, golden vectors, images, stored answers."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from edgekd import bundle as bundles
from edgekd.bundle import ArtefactRecord, Bundle, FileRecord, Manifest, NetworkRecord
from edgekd.data.dataset import listing_hash
from edgekd.data.sources import folder as class_folders
from edgekd.files import sha256_file
from edgekd.preprocess import decode, to_pixels
from edgekd.recipe import Recipe
from edgekd.runtimes import find

_path = Path(__file__).parents[1] / "runtimes" / "conftest.py"
_spec = importlib.util.spec_from_file_location("runtimes_conftest", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
pixels, float_graph, float_logits = _module.pixels, _module.float_graph, _module.float_logits
int8_graph, facts = _module.int8_graph, _module.facts

FORMATS = ("tflite", "tflite-int8", "onnx")
PER_CLASS = 6


def draw(folder: Path, label_names: tuple[str, ...]) -> None:
    """Images of several shapes, in class folders of a test and a training split."""
    rng = np.random.default_rng(11)
    for split in ("train", "test"):
        for name in label_names:
            (folder / split / name).mkdir(parents=True)
            for index in range(PER_CLASS):
                blocks = rng.integers(0, 256, (5, 4, 3), np.uint8).repeat(8 + index, 0).repeat(9, 1)
                Image.fromarray(blocks).save(folder / split / name / f"{index}.png")


def write_artefact(folder: Path, name: str, graph, facts, golden: np.ndarray) -> ArtefactRecord:
    """A file of the bundle, its report and its record."""
    format, module = find(name)
    path = folder / "artefacts" / f"{name}{format.suffixes[0]}"
    module.write(graph, format, facts, path)
    report = {"golden_probs": module.load(path, 1).probs(golden).tolist()}
    (folder / f"artefacts/{name}.json").write_text(json.dumps(report))
    return ArtefactRecord(
        scheme=format.scheme,
        source="float",
        files={path.name: FileRecord(sha256=sha256_file(path), size_bytes=path.stat().st_size)},
        report=f"artefacts/{name}.json",
        calibration_temperature=facts.calibration_temperature,
        **dict.fromkeys(("val_accuracy", "drift_pp", "ece_before", "ece", "nll_before", "nll", "top1_agreement"), 0.5),
        **dict.fromkeys(("val_images", "flips"), 1),
        mcnemar_p=1.0,
    )


@pytest.fixture(scope="session")
def tiny(tmp_path_factory, float_graph, int8_graph, facts) -> Bundle:
    """The bundle; read it only."""
    folder = tmp_path_factory.mktemp("tiny") / "tiny"
    for name in ("golden", "artefacts", "evaluation"):
        (folder / name).mkdir(parents=True)
    images = folder.parent / "images"
    draw(images, facts.label_names)
    samples = class_folders.read(str(images), class_folders.Options()).split("test")
    paths = [images / s.name for s in samples]
    arrays = np.stack([to_pixels(decode(p), facts.input) for p in paths])
    logits = _module.real_run(float_graph, arrays)["head"].astype(np.float32)
    for index, path in enumerate(paths[::5]):
        (folder / f"golden/{index}.png").write_bytes(path.read_bytes())
    vectors = {"pixels": np.ascontiguousarray(arrays[::5]), "logits": np.ascontiguousarray(logits[::5])}
    save_file(vectors, folder / "golden/vectors.safetensors")
    labels = np.array([s.label for s in samples])
    save_file({"labels": labels, "logits": logits}, folder / "evaluation/test.safetensors")
    graphs = {"tflite-int8": int8_graph}
    records = {n: write_artefact(folder, n, graphs.get(n, float_graph), facts, arrays[::5]) for n in FORMATS}
    recipe = Recipe().model_dump(mode="json") | {"cache": str(folder.parent / "cache")}
    recipe["data"] |= {"source": "folder", "path": str(images)}
    manifest = Manifest(
        role="student",
        name="tiny",
        label_names=facts.label_names,
        input=facts.input,
        network=NetworkRecord(network="tiny", parameters=1000, macs=50_000),
        calibration_temperature={"torch": facts.calibration_temperature},
        artefacts=records,
        split_hashes={"test": listing_hash(samples)},
        recipe=recipe,
    )
    names = [str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()]
    return bundles.write(folder, manifest, names)
