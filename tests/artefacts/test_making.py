"""Int8 files of a trained network under the limits as they are: what is faithful ships, and what is not does not."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edgekd.artefacts import graphs, making
from edgekd.artefacts.making import ExportPlan
from edgekd.artefacts.validation import Validation, golden
from edgekd.artefacts.verification import ReferenceLogits
from edgekd.bundle import Bundle
from edgekd.data.phantom import phantom
from edgekd.measures.calibration import softmax
from edgekd.preprocess import to_pixels
from edgekd.quantization import integers, reference
from edgekd.quantization.graph import Graph
from edgekd.runtimes import find
from edgekd.runtimes.isolated import Isolated

BUNDLE = Path(__file__).parents[2] / "models/mri4p-mobilenetv2"
IMAGES = 24
SURE = 0.3  # lead in probability from which on a trained network's answer is one: phantoms are new to it


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return Bundle.open(shutil.copytree(BUNDLE, tmp_path_factory.mktemp("making") / "bundle"))


@pytest.fixture(scope="module")
def validation(bundle):
    """Phantoms on which the float student is sure, and right but for every eighth."""
    contract = bundle.manifest.input
    images = [Image.fromarray(phantom(11, i, contract.size).image).convert("RGB") for i in range(IMAGES)]
    pixels = np.stack([to_pixels(image, contract) for image in images])
    logits = reference.logits(graphs.float_graph(bundle), pixels)
    probs = np.sort(softmax(logits), axis=1)
    sure = probs[:, -1] - probs[:, -2] > SURE
    pixels, logits = pixels[sure], logits[sure]
    assert len(pixels) > IMAGES / 2
    assert len(np.unique(logits.argmax(1))) > 1
    labels = logits.argmax(1)
    labels[::8] = (labels[::8] + 1) % logits.shape[1]  # without a wrong answer the temperature would be extreme
    return Validation(pixels, labels, tuple(map(str, range(len(pixels)))), logits)


@pytest.fixture(scope="module")
def plan(bundle, validation):
    """The trained graph as tflite-int8."""
    graph = graphs.int8_graph(bundle)
    expected = ReferenceLogits(
        integers.logits(graph, golden(bundle)["pixels"]), reference.logits(graph, validation.pixels)
    )
    return ExportPlan(bundle, *find("tflite-int8"), graph, "qat", expected)


@pytest.mark.parametrize("name", ["tflite-int8", "onnx-int8", "openvino-int8"])
def test_a_trained_network_passes_every_limit_as_int8(name, plan, validation):
    format, module = find(name)
    outcome = making.make(replace(plan, format=format, module=module), validation, lambda step: None)
    assert outcome.problems == []
    assert outcome.record.top1_agreement == 1.0
    assert outcome.report["parity"]["images"] == len(validation.pixels) + len(golden(plan.bundle)["pixels"])
    assert outcome.path.is_file()
    conformal = outcome.record.conformal
    assert (conformal.drawn, conformal.by_group) == (len(validation.pixels), False)
    with Isolated() as child:
        scores = (
            1
            - child.load(name, outcome.path).probs(validation.pixels)[range(len(validation.labels)), validation.labels]
        )
    rank = -(-9 * (len(scores) + 1) // 10)
    assert conformal.quantile == pytest.approx(np.sort(scores)[rank - 1], abs=1e-4)


def test_a_file_that_computes_something_else_passes_neither_parity_nor_the_gate(plan, validation):
    head = plan.graph.output
    bias = plan.graph.bias(head).copy()
    favoured = int(np.bincount(validation.labels, minlength=len(bias)).argmin())  # an answer that is hardly ever right
    bias[favoured] += int(10 / plan.graph.bias_scale(head)[favoured])  # in logits
    changed = Graph(plan.graph.nodes, plan.graph.arrays | {f"{head.name}.bias": bias})
    outcome = making.make(replace(plan, graph=changed), validation, lambda step: None)
    words = "; ".join(outcome.problems)
    assert "another answer where the reference leads by" in words
    assert "accuracy falls by" in words
    assert outcome.path.name == "tflite-int8.tflite.rejected"
