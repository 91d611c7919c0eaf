"""Jobs for devices: the small network of the runtimes' tests, or a real one, in a folder with images."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.benchmarking.jobs import record
from edgekd.devices import Parcel
from edgekd.devices.document import Golden, Job, Test, Timing
from edgekd.preprocess import decode, to_pixels
from edgekd.runtimes import find

_path = Path(__file__).parents[1] / "benchmarking" / "conftest.py"
_spec = importlib.util.spec_from_file_location("benchmarking_conftest", _path)
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
pixels, float_graph, float_logits = _module.pixels, _module.float_graph, _module.float_logits
int8_graph, facts, tiny = _module.int8_graph, _module.facts, _module.tiny

TOLERANCE = {"fp32": 1e-3, "static_wi8_ai8": 0.1}
QUICK = Timing(warmup_runs=1, min_runs=5, min_seconds=5.0)


def make_parcel(folder, graph, facts, images, pixels, format="tflite", provenance="hardware", **changes):
    """A job to answer `pixels` [N, S, S, 3] with a graph, and to replay the image files `images`."""
    form, module = find(format)
    path = folder / f"{format}{form.suffixes[0]}"
    module.write(graph, form, facts, path)
    given = np.stack([to_pixels(decode(p), facts.input) for p in images])
    np.save(folder / "golden.npy", given)
    np.save(folder / "test.npy", pixels)
    names = [*(path.with_suffix(s) for s in form.suffixes), folder / "golden.npy", folder / "test.npy"]
    files = {p.name: p for p in names} | {f"golden/{p.name}": p for p in images}
    golden = Golden(
        images=tuple(f"golden/{p.name}" for p in images),
        decoded_sha256=tuple(hashlib.sha256(decode(p).tobytes()).hexdigest() for p in images),
        pixels="golden.npy",
        probs=tuple(tuple(row) for row in module.load(path, 1).probs(given).tolist()),
        tolerance=TOLERANCE[form.scheme],
    )
    job = Job(
        key="0123456789abcdef",
        round=0,
        provenance=provenance,
        format=format,
        runtime="tflite",
        files={name: record(p) for name, p in files.items()},
        input=facts.input,
        label_names=facts.label_names,
        io=facts.io,
        calibration_temperature=facts.calibration_temperature,
        golden=golden,
        test=Test(pixels="test.npy", indices=tuple(range(len(pixels)))),
        timing=QUICK if provenance == "hardware" else None,
        threads=1,
    )
    return Parcel(job.model_copy(update=changes), files)


@pytest.fixture(scope="session")
def parcel_of():
    """The function above, for tests."""
    return make_parcel


@pytest.fixture
def small(tmp_path, float_graph, int8_graph, facts, pixels):
    """A function that makes a job of the small network."""

    def make(format="tflite", io="uint8", **options):
        folder = tmp_path / f"{format}-{io}"
        folder.mkdir(exist_ok=True)
        rng = np.random.default_rng(2)
        images = [folder / f"{i}.png" for i in range(2)]
        for image in images:
            Image.fromarray(rng.integers(0, 256, (24, 20, 3), np.uint8)).save(image)
        graph = int8_graph if format.endswith("int8") else float_graph
        return make_parcel(folder, graph, replace(facts, io=io), images, pixels[:8], format, **options)

    return make
