"""The float graph of a bundle: to the bit the one that lowering gives, and no other than the bundle's."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

from edgekd import __version__, extras
from edgekd.artefacts import graphs, making
from edgekd.artefacts.validation import golden
from edgekd.bundle import FLOAT_GRAPH, WEIGHTS, Bundle
from edgekd.errors import EdgekdError
from edgekd.networks import from_bundle
from edgekd.quantization.lowering import lower
from edgekd.runtimes import FileFacts, find

MODELS = Path(__file__).parents[2] / "models"
NAMES = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")


@pytest.fixture
def bundle(tmp_path):
    return Bundle.open(shutil.copytree(MODELS / NAMES[0], tmp_path / "bundle"))


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_graphs_are_the_lowered_ones_to_the_bit(name):
    bundle = Bundle.open(MODELS / name)
    assert FLOAT_GRAPH in bundle.manifest.files
    found, expected = graphs.float_graph(bundle), lower(from_bundle(bundle))
    assert found.nodes == expected.nodes
    assert found.arrays.keys() == expected.arrays.keys()
    assert all(np.array_equal(found.arrays[name], array) for name, array in expected.arrays.items())


@pytest.mark.parametrize("name", NAMES)
def test_files_written_from_the_graph_have_the_hashes_that_were_verified(name, tmp_path):
    bundle = Bundle.open(MODELS / name)
    m, record = bundle.manifest, bundle.manifest.artefacts["tflite"]
    format, module = find("tflite")
    facts = FileFacts(
        f"{m.name} tflite", making.DESCRIPTION, m.label_names, m.input, record.calibration_temperature, "uint8",
        m.licence, __version__,
    )  # fmt: skip
    module.write(graphs.float_graph(bundle), format, facts, tmp_path / "tflite.tflite")
    plan = making.ExportPlan(bundle, format, module, None, "float", None)
    assert plan.hashes(tmp_path / "tflite.tflite") == {n: f.sha256 for n, f in record.files.items()}


@pytest.mark.parametrize("with_graph", [True, False])
def test_the_float_network_answers_the_golden_images(with_graph, bundle):
    if not with_graph:  # as older bundles, and those of networks that cannot be lowered
        bundle = bundle.without([FLOAT_GRAPH])
    vectors = golden(bundle)
    assert graphs.float_network(bundle)(vectors["pixels"]) == pytest.approx(vectors["logits"], abs=2e-3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda v: v["nodes"][0].update(size=160), "224 px and 4 classes"),
        (lambda v: v["nodes"][0].update(mean=[0.0, 0.0, 0.0]), "the normalization of the bundle's input"),
        (lambda v: v["nodes"][1].update(stride=[1, 0]), "stride"),
        (lambda v: v["sources"]["classifier"].update(weight="elsewhere"), "classifier: no tensor 'elsewhere'"),
        (lambda v: v["sources"]["classifier"].update(weight="conv_head.weight"), r"\(1280, 320, 1, 1\)"),
        (lambda v: v["sources"].pop("conv_stem"), "conv_stem: no source"),
    ],
)
def test_a_graph_that_is_not_the_bundles_is_refused(change, expected, bundle):
    path = bundle.file(FLOAT_GRAPH)
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(EdgekdError, match=f"(?s)graph\\.json.*{expected}"):
        graphs.float_graph(bundle.enriched())  # with the hash of the changed file


@pytest.mark.parametrize("damage", ["missing tensor", "NaN", "no safetensors"])
def test_other_weights_are_refused(damage, bundle):
    path = bundle.file(WEIGHTS)
    tensors = safetensors.numpy.load_file(path)
    if damage == "missing tensor":
        del tensors["bn1.running_var"]
    else:
        tensors["bn1.running_var"][3] = np.nan
    path.write_bytes(safetensors.numpy.save(tensors) if damage != "no safetensors" else b"PK\x03\x04" * 9)
    expected = {"missing tensor": "'bn1.running_var'", "NaN": "NaN", "no safetensors": "a safetensors file"}[damage]
    with pytest.raises(EdgekdError, match=expected):
        graphs.float_graph(bundle.enriched())


def test_only_the_tensors_of_the_graph_are_read(bundle):
    path = bundle.file(WEIGHTS)
    tensors = safetensors.numpy.load_file(path) | {"of.another.branch": np.full((2, 2), np.nan, np.float32)}
    path.write_bytes(safetensors.numpy.save(tensors))
    assert graphs.float_graph(bundle.enriched()).nodes


def test_without_torch_a_bundle_without_its_graph_names_the_extra(bundle, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    assert graphs.float_graph(bundle).nodes
    older = bundle.without([FLOAT_GRAPH])
    for use in (
        lambda: graphs.float_graph(older),
        lambda: graphs.float_network(older),
        lambda: graphs.post_training_graph(bundle, "mse", np.zeros((1, 224, 224, 3), np.uint8)),
    ):
        with pytest.raises(EdgekdError, match=r"(?s)'torch'.*edgekd\[train\]"):
            use()
