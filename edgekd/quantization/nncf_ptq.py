"""Post-training quantization by nncf: OpenVINO int8 files from a float graph and a representative set, without training.

nncf chooses its own ranges, so these files are not the ones that quantization-aware training gives; they are a baseline.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import numpy as np

from edgekd.errors import EdgekdError, missing_package
from edgekd.quantization.graph import Graph
from edgekd.runtimes import FileFacts, cpu, openvino_model
from edgekd.runtimes.sessions import metadata

EXTRA = "nncf"
SILENT = "NNCF_CI"  # set: nncf reports nothing to its maker over the network


def write(graph: Graph, facts: FileFacts, pixels: np.ndarray, path: Path, *, half_range: bool | None = None) -> None:
    """Write `path` (.xml) and its .bin: the float graph, quantized from the pixels [M, S, S, 3] uint8.

    `half_range` gives weights 7 bits, so that no 16-bit sum saturates on x86 without VNNI; None: if this processor needs
    it. The metadata are those of other OpenVINO files.
    Raises: EdgekdError for a graph on the int8 grid, an empty set, io "int8", or where nncf is missing.
    """
    if graph.is_quantized or facts.io == "int8":
        raise EdgekdError("post-training quantization by nncf", "a float graph and io = 'uint8'", "an int8 one")
    size = graph.input.size
    if pixels.dtype != np.uint8 or pixels.shape[1:] != (size, size, 3) or not len(pixels):
        raise EdgekdError("representative set", f"[M, {size}, {size}, 3] uint8", f"{list(pixels.shape)} {pixels.dtype}")
    nncf = _nncf()
    half_range = cpu.saturates() if half_range is None else half_range
    fix = nncf.OverflowFix.ENABLE if half_range else nncf.OverflowFix.DISABLE
    model = nncf.quantize(
        openvino_model.build(graph, facts),
        nncf.Dataset(pixels, lambda image: image[None]),
        subset_size=len(pixels),
        preset=nncf.QuantizationPreset.MIXED,
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
    )
    openvino_model.describe(model, metadata(graph, facts))
    openvino_model.save(model, path, fp16=False)


def _nncf() -> ModuleType:
    os.environ.setdefault(SILENT, "1")
    try:
        import nncf
    except ImportError:
        raise missing_package("nncf", EXTRA, "post-training quantization by nncf") from None
    return nncf
