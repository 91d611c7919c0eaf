"""From the ONNX model to OpenVINO's: read from memory, simplified, named so that the same graph gives the same bytes.

`openvino.convert_model` does the same, but reports each use to its maker over the network.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.files import write_atomic
from edgekd.quantization.graph import Graph
from edgekd.runtimes import Facts
from edgekd.runtimes.sessions import KEY, metadata

if TYPE_CHECKING:
    import openvino

COUNTED = re.compile(r"[A-Z]\w*_\d+")  # names that OpenVINO makes up from a counter of the whole process


def build(graph: Graph, facts: Facts) -> openvino.Model:
    """The graph as an OpenVINO model; QuantizeLinear and DequantizeLinear have become FakeQuantize."""
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    from edgekd.runtimes import onnx_model

    model = openvino.Core().read_model(onnx_model.build(graph, facts).SerializeToString(), b"")
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    describe(model, metadata(graph, facts))
    return model


def describe(model: openvino.Model, properties: Mapping[str, str]) -> None:
    """Put the metadata into the model's section `edgekd`, and give operators names that do not count."""
    for key, value in properties.items():
        model.set_rt_info(value, [KEY, key])
    for index, operator in enumerate(model.get_ordered_ops()):
        if COUNTED.fullmatch(operator.get_friendly_name()):
            operator.set_friendly_name(f"{operator.get_type_name()}_{index}")


def properties(model: openvino.Model) -> dict[str, str]:
    """The metadata that `describe` put in; empty for a foreign model."""
    if not model.has_rt_info([KEY]):
        return {}
    found = model.get_rt_info([KEY]).value
    return {key: str(getattr(value, "value", value)) for key, value in found.items()}


def save(model: openvino.Model, path: Path, *, fp16: bool) -> None:
    """Write `path` (.xml) and the weights beside it (.bin), the weights first; `fp16` halves float weights.

    Raises: EdgekdError where that cannot be written.
    """
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder) / "model.xml"
        openvino.save_model(model, whole, compress_to_fp16=fp16)
        write_atomic(path.with_suffix(".bin"), whole.with_suffix(".bin").read_bytes())
        write_atomic(path, whole.read_bytes())
