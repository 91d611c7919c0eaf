"""nncf's post-training quantization: files that load like all others, and weights on 8 bits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.preprocess import InputContract
from edgekd.quantization import nncf_ptq
from edgekd.quantization.graph import Conv, FullyConnected, Graph, Input, Mean
from edgekd.runtimes import FileFacts, openvino

FACTS = FileFacts("tiny", "", ("a", "b"), InputContract(size=16), 1.5)


@pytest.fixture(scope="module")
def graph() -> Graph:
    rng = np.random.default_rng(5)
    shapes = {"stem": (8, 3, 3, 3), "head": (2, 8)}
    arrays = {f"{n}.weight": rng.normal(0, 0.3, s).astype(np.float32) for n, s in shapes.items()}
    arrays |= {f"{n}.bias": rng.normal(0, 0.3, s[0]).astype(np.float32) for n, s in shapes.items()}
    nodes = (
        Input(name="image", size=16, mean=(120.0,) * 3, std=(60.0,) * 3),
        Conv(name="stem", inputs=("image",), stride=(2, 2), padding=(1, 1, 1, 1), activation="relu"),
        Mean(name="pool", inputs=("stem",)),
        FullyConnected(name="head", inputs=("pool",)),
    )
    return Graph(nodes, arrays)


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(6).integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)


@pytest.mark.skipif(find_spec("nncf") is None, reason="nncf is not installed")
def test_quantized_files_load_like_others_and_are_near_the_float_network(graph, pixels, tmp_path):
    import openvino as ov

    nncf_ptq.write(graph, FACTS, pixels, tmp_path / "int8.xml")
    openvino.write(graph, openvino.FORMATS[0], FACTS, tmp_path / "float.xml")
    session = openvino.load(tmp_path / "int8.xml", 1)
    assert session.facts == FACTS
    np.testing.assert_allclose(session.probs(pixels), openvino.load(tmp_path / "float.xml", 1).probs(pixels), atol=0.03)
    types = {n.get_element_type().get_type_name() for n in ov.Core().read_model(tmp_path / "int8.xml").get_ops()}
    assert "i8" in types


@pytest.mark.skipif(find_spec("nncf") is None, reason="nncf is not installed")
def test_nncf_has_nothing_to_send_with():
    # In a process of its own: beside pytest it would be silent anyway.
    code = "import edgekd, sys; from nncf.telemetry import wrapper as w; sys.exit(type(w.telemetry) is w.NNCFTelemetry)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_cannot_be_quantized_is_refused(graph, pixels, tmp_path):
    with pytest.raises(EdgekdError, match="io = 'uint8'"):
        nncf_ptq.write(graph, replace(FACTS, io="int8"), pixels, tmp_path / "x.xml")
    with pytest.raises(EdgekdError, match=r"\[M, 16, 16, 3\] uint8"):
        nncf_ptq.write(graph, FACTS, pixels[:0], tmp_path / "x.xml")
