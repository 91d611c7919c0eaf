"""The facts in an artefact, and what every session does around it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekd.errors import EdgekdError
from edgekd.runtimes import Format
from edgekd.runtimes.sessions import Ends, facts_of, metadata, need_packages

PLACE = Path("some.file")


@pytest.mark.parametrize("io", ["uint8", "int8"])
def test_facts_survive_the_way_through_metadata(int8_graph, facts, io):
    facts = replace(facts, io=io)
    found = metadata(int8_graph, facts)
    assert facts_of(found, PLACE) == facts
    assert Ends.of(found, PLACE).facts == facts
    assert ("logits_scale" in found) == (io == "int8")


def test_the_scale_of_int8_logits_survives_to_the_bit(int8_graph, facts):
    ends = Ends.of(metadata(int8_graph, replace(facts, io="int8")), PLACE)
    assert ends.logits_scale == int8_graph.grid("head").scale


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "edgekd.artefact/2"},
        {"io": "float"},
        {"calibration_temperature": "warm"},
        {"calibration_temperature": 0},
        {"calibration_temperature": float("nan")},
        {"label_names": None},
        {"label_names": [1, 2, 3]},
        {"input": {"size": 0}},
        {"input": None},
    ],
)
def test_damaged_metadata_are_an_error(int8_graph, facts, change):
    found = metadata(int8_graph, facts)
    found["edgekd"] = json.dumps(json.loads(found["edgekd"]) | change)
    with pytest.raises(EdgekdError, match=r"some\.file"):
        Ends.of(found, PLACE)


@pytest.mark.parametrize("found", [{}, {"edgekd": ""}, {"edgekd": "[]"}, {"edgekd": "[" * 100_000}, {"edgekd": "{}"}])
def test_foreign_metadata_are_an_error(found):
    with pytest.raises(EdgekdError, match="a file written by edgekd"):
        facts_of(found, PLACE)


def test_pixels_go_in_as_codes_where_io_is_int8(int8_graph, facts):
    ends = Ends.of(metadata(int8_graph, replace(facts, io="int8")), PLACE)
    pixels = np.arange(16 * 16 * 3, dtype=np.int64).astype(np.uint8).reshape(1, 16, 16, 3)
    assert (ends.feed(pixels).astype(int) == pixels.astype(int) - 128).all()
    assert ends.feed(pixels).dtype == np.int8


def test_a_missing_package_names_the_command_that_installs_it():
    format = Format("x", "X", (".x",), "fp32", ("no_such_package",))
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[export\]"'):
        need_packages(format, "format 'x'")


def test_runtimes_load_nothing_heavy():
    program = """
import sys
from edgekd import runtimes
from edgekd.runtimes import onnx_lint, onnx_model, openvino_lint, openvino_model
assert {"onnx", "onnx-int8", "openvino", "openvino-int8"} <= set(runtimes.formats())
heavy = {"torch", "onnx", "onnxruntime", "openvino", "nncf", "scipy", "sklearn"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
