"""Heat maps of a shipped network: files as cloned get theirs, the first output and all that was verified stay as they are."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd import export
from edgekd.artefacts import graphs, heatmaps, making
from edgekd.artefacts.making import ExportPlan
from edgekd.artefacts.validation import Validation, golden
from edgekd.artefacts.verification import ReferenceLogits
from edgekd.benchmarking.restoring import Restorer
from edgekd.bundle import Bundle, read_manifest
from edgekd.data.phantom import phantom
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.measures.calibration import softmax
from edgekd.preprocess import to_pixels
from edgekd.quantization import heatmap, integers, reference
from edgekd.quantization.graph import Graph
from edgekd.runtimes import find, tflite

BUNDLE = Path(__file__).parents[2] / "models/mri4p-mobilenetv2"
FILE = "artefacts/tflite-int8.tflite"
NAMES = "tflite-int8,onnx,openvino-int8"


@pytest.fixture
def cloned(tmp_path):
    """The bundle as an older version wrote it, which knew no heat maps."""
    folder = shutil.copytree(BUNDLE, tmp_path / "bundle")
    values = json.loads((folder / "manifest.json").read_text())
    for record in values["artefacts"].values():
        record.pop("heatmap", None)
    (folder / "manifest.json").write_text(json.dumps(values))
    return folder


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    """The trained graph as tflite-int8 with its map, and phantoms on which the float student is sure."""
    bundle = Bundle.open(shutil.copytree(BUNDLE, tmp_path_factory.mktemp("heatmaps") / "bundle"))
    contract, graph, student = bundle.manifest.input, graphs.int8_graph(bundle), graphs.float_graph(bundle)
    images = [Image.fromarray(phantom(11, i, contract.size).image).convert("RGB") for i in range(12)]
    pixels = np.stack([to_pixels(image, contract) for image in images])
    logits = reference.logits(student, pixels)
    probs = np.sort(softmax(logits), axis=1)
    sure = probs[:, -1] - probs[:, -2] > 0.3
    pixels, logits = pixels[sure], logits[sure]
    assert len(pixels) > 6
    labels = logits.argmax(1)
    labels[0] = (labels[0] + 1) % 4  # without a wrong answer the temperature would be extreme
    validation = Validation(pixels, labels, tuple(map(str, range(len(pixels)))), logits)
    expected = ReferenceLogits(integers.logits(graph, golden(bundle)["pixels"]), reference.logits(graph, pixels))
    mapped = heatmap.with_heatmap(graph, heatmap.observed(graph, pixels))
    wanted = heatmaps.Wanted(mapped, "training", heatmaps.float_maps(student, pixels, logits))
    return ExportPlan(bundle, *find("tflite-int8"), graph, "qat", expected, heatmap=wanted), validation


def test_a_cloned_bundle_gives_files_with_a_map_and_keeps_its_figures(cloned):
    before = Bundle.open(cloned).manifest.artefacts
    assert export.main([str(cloned), "--heatmap", "--format", NAMES]) == 0
    bundle = Bundle.open(cloned)
    for name in NAMES.split(","):
        record, format = bundle.manifest.artefacts[name], find(name)[0]
        assert record.has_heatmap
        assert record.heatmap.other_files == before[name].files
        assert record.model_copy(update={"files": before[name].files, "heatmap": None}) == before[name]
        assert (record.heatmap.scale is not None) == format.is_int8
        assert record.heatmap.range == ("bounds" if format.is_int8 else "")
        assert (record.heatmap.rank_correlation, record.heatmap.rank_images) == (None, 0)
        report = json.loads(bundle.file(record.report).read_text())
        assert report["heatmap"]["largest_difference"] == record.heatmap.largest_difference
        assert report["drift"]["images"] == record.val_images
    larger = bundle.manifest.artefacts["tflite-int8"].files["tflite-int8.tflite"].size_bytes
    assert 1 < larger / before["tflite-int8"].files["tflite-int8.tflite"].size_bytes < 1.01
    report = json.loads(bundle.file("artefacts/tflite-int8.json").read_text())
    assert report["operators"]["operators"] == len(graphs.int8_graph(bundle).nodes)  # those of the graph, and the map
    assert report["operators"]["largest"] <= 1


def test_with_and_without_the_flag_the_same_bytes_come_again(cloned):
    bare = sha256_file(cloned / FILE)
    assert export.main([str(cloned), "--heatmap"]) == 0
    mapped = sha256_file(cloned / FILE)
    assert mapped != bare
    assert export.main([str(cloned)]) == 0
    assert sha256_file(cloned / FILE) == bare
    record = Bundle.open(cloned).manifest.artefacts["tflite-int8"]
    assert not record.has_heatmap
    assert record.heatmap.other_files["tflite-int8.tflite"].sha256 == mapped
    assert export.main([str(cloned), "--heatmap"]) == 0
    assert sha256_file(cloned / FILE) == mapped
    assert Bundle.open(cloned).manifest.artefacts["tflite-int8"].has_heatmap


def test_a_mapped_file_that_did_not_travel_is_written_again(cloned, tmp_path):
    export.main([str(cloned), "--heatmap", "--format", "tflite-int8,onnx"])
    for name in (FILE, "artefacts/onnx.onnx"):
        (cloned / name).unlink()
    manifest = read_manifest(cloned)
    kept = {name: file for name, file in manifest.files.items() if not name.endswith((".tflite", ".onnx"))}
    bundle = Bundle(cloned, manifest.model_copy(update={"files": kept}))
    restorer = Restorer(bundle, tmp_path / "written", lambda step: None)
    for name in ("tflite-int8", "onnx"):
        (path,) = restorer.files(name).values()
        (record,) = bundle.manifest.artefacts[name].files.values()
        assert sha256_file(path) == record.sha256


def test_with_images_the_map_is_ranked_against_the_float_networks(plan):
    plan, validation = plan
    outcome = making.make(plan, validation, lambda step: None)
    assert outcome.problems == []
    found = outcome.record.heatmap
    assert (found.range, found.rank_images, found.is_in_file) == ("training", len(validation.pixels), True)
    assert 0.9 < found.rank_correlation_low <= found.rank_correlation < 1
    assert found.scale == plan.heatmap.graph.grid(heatmap.NODE).scale
    assert 0 < found.largest_difference <= 10 * found.scale  # codes before it differ, by other roundings
    assert outcome.report["heatmap"]["rank_correlation"] == found.rank_correlation
    bundle = making.enter(plan.bundle, outcome)
    session = tflite.load(bundle.file(FILE))
    assert session.heatmap(validation.pixels[:1]).shape == (1, 7, 7, 4)
    bare = making.make(replace(plan, bundle=bundle, heatmap=None), validation, lambda step: None).record
    assert (
        bare.heatmap.other_files == outcome.record.files
    )  # the file without it is the same, so the map's record holds
    assert not bare.has_heatmap


def test_a_map_of_other_weights_is_refused(plan):
    plan, validation = plan
    mapped = plan.heatmap.graph
    arrays = mapped.arrays | {f"{heatmap.NODE}.weight": mapped.arrays[f"{heatmap.NODE}.weight"][::-1].copy()}
    crooked = replace(plan.heatmap, graph=Graph(mapped.nodes, arrays))

    class Honest:
        """The right file under a plan that expects the crooked one."""

        __name__ = "edgekd.runtimes.tflite"

        def write(self, graph, *rest):
            tflite.write(mapped if graph is crooked.graph else graph, *rest)

        def lint(self, *arguments):
            return []

    outcome = making.make(replace(plan, heatmap=crooked, module=Honest()), validation, lambda step: None)
    assert any("steps from exact integers" in problem for problem in outcome.problems)
    assert outcome.path.name.endswith(".rejected")


def test_a_map_that_changes_the_answers_is_refused(plan, monkeypatch):
    plan, validation = plan
    probs = heatmaps.Isolated.probs

    def other(self, pixels):
        return probs(self, pixels) * (1 if "without" in self.where else np.float32(1 + 2**-20))

    monkeypatch.setattr(heatmaps.Isolated, "probs", other)
    assert "other probabilities than without it" in "; ".join(making.make(plan, validation, lambda step: None).problems)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--format", "tflite-fp16"], "tflite-fp16"),
        (["--format", "all"], "--format onnx,onnx-int8,openvino,openvino-int8,tflite,tflite-int8"),
        (["--io", "int8"], "float32"),
        (["--ptq", "nncf", "--format", "openvino-int8"], "own writer"),
    ],
)
def test_what_can_have_no_map_is_refused_before_any_work(options, words, tmp_path, monkeypatch):
    monkeypatch.setattr("edgekd.artefacts.needs.confirm", lambda *given: None)
    with pytest.raises(EdgekdError, match=words):
        export.main([str(tmp_path / "no-such-bundle"), "--heatmap", *options])


def test_an_older_manifest_is_read(cloned):
    text = (cloned / "manifest.json").read_text()
    assert "heatmap" not in text
    assert all(record.heatmap is None and not record.has_heatmap for record in read_manifest(cloned).artefacts.values())
