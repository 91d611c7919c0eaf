"""torch.export program -> .tflite by litert-torch; int8 by ai-edge-quantizer. See `edgekd.conversion` for the request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import litert_torch
import numpy as np
import torch


def main(request: dict) -> None:
    """Convert `request["source"]` and write `request["output"]`."""
    body = torch.export.load(request["source"]).module()
    size = request["size"]
    model = litert_torch.convert(body, (torch.zeros(1, size, size, 3),))
    if request["scheme"] == "fp32":
        model.export(request["output"])
        return
    model.export("float.tflite")
    quantize(request)


def quantize(request: dict) -> None:
    """float.tflite on the int8 grid, with ranges from the representative pixels."""
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_quantizer import quantizer, recipe

    ((signature, ends),) = Interpreter("float.tflite").get_signature_list().items()
    found = quantizer.Quantizer("float.tflite", recipe.static_wi8_ai8())
    data = {signature: [{ends["inputs"][0]: image} for image in representatives(request)]}
    result = found.quantize(found.calibrate(data, num_threads=1))
    result.export_model(request["output"], overwrite=True)


def representatives(request: dict) -> Iterator[np.ndarray]:
    """Normalized images [1, S, S, 3] float32."""
    for pixels in np.load(request["pixels"]):
        yield ((pixels[None] / np.float32(255) - request["mean"]) / request["std"]).astype(np.float32)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
