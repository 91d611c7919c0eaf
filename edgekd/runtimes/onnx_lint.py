"""Does an ONNX file hold the graph it should? Read again from disk, and compared with the graph value by value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd.quantization import heatmap
from edgekd.quantization.graph import Array, Graph, Grid, Mean, Weighted
from edgekd.runtimes import FileFacts
from edgekd.runtimes.onnx_model import LOGITS, OPSET, OUTPUT, UNSIGNED, planes
from edgekd.runtimes.sessions import metadata

if TYPE_CHECKING:
    import onnx

QUANTIZE, DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"


def problems(graph: Graph, facts: FileFacts, path: Path) -> list[str]:
    """What is wrong, in words; empty for a file that holds exactly this graph and these facts."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
        onnx.checker.check_model(model, full_check=True)
    except Exception as e:  # protobuf's, the checker's and shape inference's errors have nothing in common
        return [f"not a valid ONNX file: {(str(e).splitlines() or [type(e).__name__])[0][:200]}"]
    view = _View(model)
    found = [*_header(model, metadata(graph, facts)), *_temperature(facts, view)]
    for node in graph.nodes:
        if isinstance(node, Weighted):
            found += _weights(graph, node, view)
        if node.grid is not None:
            found += _grid(node.name, node.grid, view)
    found += _outputs(model, graph, facts, view)
    return found + (_islands(view) if graph.is_quantized else [])


class _View:
    """A model's initializers by name, and its nodes by name and by what they give."""

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import numpy_helper

        self.nodes = list(model.graph.node)
        self.values = {i.name: numpy_helper.to_array(i) for i in model.graph.initializer}
        self.named = {node.name: node for node in self.nodes}
        self.makers = {output: node for node in self.nodes for output in node.output}

    def parameters(self, name: str, kind: str) -> list[Array | None]:
        """Values of all inputs of the node `name` of the given kind (None: not a constant); empty if there is none."""
        node = self.named.get(name)
        return [self.values.get(i) for i in node.input] if node is not None and node.op_type == kind else []


def _header(model: onnx.ModelProto, expected: dict[str, str]) -> Iterator[str]:
    opsets = {o.domain: o.version for o in model.opset_import}
    if opsets != {"": OPSET}:
        yield f"operator sets {opsets}, expected version {OPSET} of the standard one alone"
    found = {p.key: p.value for p in model.metadata_props}
    yield from (f"metadata {key!r} differs" for key in sorted(expected | found) if expected.get(key) != found.get(key))


def _outputs(model: onnx.ModelProto, graph: Graph, facts: FileFacts, view: _View) -> Iterator[str]:
    """Probabilities or logits; and where the graph has a heat map, that, of just the tensor that the mean reads."""
    node, first = heatmap.node_of(graph), LOGITS if facts.io == "int8" else OUTPUT
    expected = [first, heatmap.OUTPUT] if node else [first]
    if [output.name for output in model.graph.output] != expected:
        yield f"expected the outputs {', '.join(expected)}"
    elif node:
        maker, conv = view.makers.get(heatmap.OUTPUT), view.named.get(node.name)
        pool = next(
            view.named.get(f"{n.name}.pool") for n in graph.nodes if isinstance(n, Mean) and n.inputs == node.inputs
        )
        places = [maker.input[0], list(maker.attribute[0].ints)] if maker and maker.op_type == "Transpose" else []
        if places != [f"{node.name}.{'real' if node.grid else 'sum'}", [0, 2, 3, 1]]:
            yield f"{heatmap.OUTPUT}: not the values of {node.name}"
        if conv is None or pool is None or conv.op_type != "Conv" or conv.input[0] != pool.input[0]:
            yield f"{heatmap.OUTPUT}: made of another tensor than the mean is"


def _temperature(facts: FileFacts, view: _View) -> Iterator[str]:
    expected = np.float32(facts.calibration_temperature)
    if facts.io == "uint8" and not same(view.values.get("calibration_temperature"), expected):
        yield "the calibration temperature differs"


def _weights(graph: Graph, node: Weighted, view: _View) -> Iterator[str]:
    expected = {"weight": planes(node, graph.weight(node)), "bias": graph.bias(node)}
    reader = view.named.get(node.name)
    if reader is None or len(reader.input) != 3:
        yield f"{node.name}: no such operator with weight and bias"
        return
    for (part, codes), tensor in zip(expected.items(), reader.input[1:], strict=True):
        if not graph.is_quantized:
            if not same(view.values.get(tensor), codes):
                yield f"{node.name}: {part} differs"
            continue
        scale = graph.weight_scale(node) if part == "weight" else graph.bias_scale(node)
        maker = view.makers.get(tensor)
        given = view.parameters(maker.name, DEQUANTIZE) if maker is not None else []
        wanted = [codes, scale, np.zeros(len(scale), codes.dtype)]
        for words, a, b in zip(("codes", "scales", "zero points"), given or [None] * 3, wanted, strict=True):
            if not same(a, b):
                yield f"{node.name}: {words} of the {part} differ"


def _grid(name: str, grid: Grid, view: _View) -> Iterator[str]:
    """The last rounding of a node's output, both ways."""
    wanted: tuple[np.generic, ...] = np.float32(grid.scale), np.uint8(grid.zero_point + UNSIGNED)
    for step, kind in (("codes", QUANTIZE), ("real", DEQUANTIZE)):
        given = view.parameters(f"{name}.{step}", kind)[1:]
        if len(given) != 2 or not all(same(a, b) for a, b in zip(given, wanted, strict=True)):
            yield f"{name}: scale or zero point of {kind} differs"


def _islands(view: _View) -> list[str]:
    """Convolutions, matrix products and additions that would be calculated in float."""
    found = []
    for node in view.nodes:
        if node.op_type not in ("Conv", "Gemm", "MatMul", "Add"):
            continue
        makers = [view.makers.get(tensor) for tensor in node.input]
        if not all(maker is not None and maker.op_type == DEQUANTIZE for maker in makers):
            found.append(f"{node.name}: reads a tensor that is not on the int8 grid")
        readers = [reader.op_type for reader in view.nodes if node.output[0] in reader.input]
        if readers != [QUANTIZE]:
            found.append(f"{node.name}: gives a tensor that is not rounded to the int8 grid")
    return found


def same(found: Array | None, expected: Array | np.generic) -> bool:
    """Whether two arrays agree in type, shape and every bit."""
    expected = np.asarray(expected)
    if found is None or found.dtype != expected.dtype or found.shape != expected.shape:
        return False
    return found.tobytes() == expected.tobytes()
