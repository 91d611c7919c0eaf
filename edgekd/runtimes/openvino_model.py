"""From the ONNX model to OpenVINO's: read from memory, simplified, named so that the same graph gives the same bytes.

`openvino.convert_model` does the same, but reports each use to its maker over the network.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd.files import write_atomic
from edgekd.quantization.graph import HIGH, LOW, Add, Graph
from edgekd.runtimes import FileFacts
from edgekd.runtimes.sessions import KEY, metadata

if TYPE_CHECKING:
    import openvino

COUNTED = re.compile(r"[A-Z]\w*_\d+")  # names that OpenVINO makes up from a counter of the whole process


def build(graph: Graph, facts: FileFacts) -> openvino.Model:
    """The graph as an OpenVINO model; QuantizeLinear and DequantizeLinear have become FakeQuantize."""
    import openvino
    from openvino._offline_transformations import apply_moc_transformations

    from edgekd.runtimes import onnx_model

    model = openvino.Core().read_model(onnx_model.build(graph, facts).SerializeToString(), b"")
    apply_moc_transformations(model, cf=False, smart_reshape=False)
    if graph.is_quantized:
        _keep_rounding(model, graph)
    describe(model, metadata(graph, facts))
    return model


def _keep_rounding(model: openvino.Model, graph: Graph) -> None:
    """Clamp what additions read to the range it has anyway: no value changes, but the rounding before it stays.

    Otherwise OpenVINO's fused kernel adds a convolution's unrounded sum, and a quarter of the codes are one off.
    """
    from openvino import opset13

    operators = {operator.get_friendly_name(): operator for operator in model.get_ops()}
    for node in graph.nodes:
        if not isinstance(node, Add):
            continue
        for place, name in enumerate(node.inputs):
            low, high = (float(value) for value in graph.grid(name).real(np.array([LOW, HIGH])))
            read = operators[node.name].input(place)
            clamp = opset13.clamp(read.get_source_output(), low, high, name=f"{node.name}.input_{place}")
            read.replace_source_output(clamp.output(0))


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
