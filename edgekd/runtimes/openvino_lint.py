"""Do OpenVINO files hold the graph they should? Read again from disk, and compared with the graph value by value.

On disk an int8 weight is Constant i8 -> Convert -> Multiply by the scales; an activation's grid is a FakeQuantize whose
ranges are the real values of its first and last code.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd.quantization import heatmap
from edgekd.quantization.graph import HIGH, LOW, Array, Graph, Grid, Input, Mean, Weighted
from edgekd.runtimes import FileFacts
from edgekd.runtimes.onnx_lint import same
from edgekd.runtimes.onnx_model import LOGITS, OUTPUT, planes
from edgekd.runtimes.sessions import metadata

if TYPE_CHECKING:
    import openvino

LEVELS = HIGH - LOW + 1
FLOAT16_RTOL, FLOAT16_ATOL = 2**-11, 2**-24  # half a step of float16; below 6e-5 its steps are all equal
PRODUCTS = ("Convolution", "GroupConvolution", "MatMul")


def problems(graph: Graph, facts: FileFacts, path: Path) -> list[str]:
    """What is wrong, in words; empty for files that hold exactly this graph and these facts."""
    import openvino

    from edgekd.runtimes.openvino_model import properties

    try:
        model = openvino.Core().read_model(path)
    except (RuntimeError, OSError) as e:
        return [f"not valid OpenVINO files: {str(e).strip().splitlines()[-1][:200]}"]
    given, expected = properties(model), metadata(graph, facts)
    found = [f"metadata {k!r} differs" for k in sorted(given | expected) if given.get(k) != expected.get(k)]
    operators = {operator.get_friendly_name(): operator for operator in model.get_ordered_ops()}
    for node in graph.nodes:
        if isinstance(node, Weighted):
            found += _weights(graph, node, facts, operators)
        if node.grid is not None:
            found += _grid(node.name, node.grid, operators.get(f"{node.name}.real"), is_input=isinstance(node, Input))
    found += _outputs(model, graph, facts, operators)
    return found + ([*_islands(model), *_temperature(facts, operators)] if graph.is_quantized else [])


def _outputs(
    model: openvino.Model, graph: Graph, facts: FileFacts, operators: dict[str, openvino.Node]
) -> Iterator[str]:
    """Probabilities or logits; and where the graph has a heat map, that, of just the tensor that the mean reads."""
    node, first = heatmap.node_of(graph), LOGITS if facts.io == "int8" else OUTPUT
    expected = [first, heatmap.OUTPUT] if node else [first]
    names = [output.get_names() for output in model.outputs]
    if len(names) != len(expected) or not all(e in given for e, given in zip(expected, names, strict=True)):
        yield f"expected the outputs {', '.join(expected)}"
    elif node:
        values = _unmoved(model.outputs[1].get_node().input_value(0).get_node())
        wanted = operators.get(f"{node.name}.real" if node.grid else f"{node.name}/WithoutBiases")
        if wanted is None or values.get_friendly_name() != wanted.get_friendly_name():
            yield f"{heatmap.OUTPUT}: not the values of {node.name}"
        mean = next(n.name for n in graph.nodes if isinstance(n, Mean) and n.inputs == node.inputs)
        readers = [operators.get(name) for name in (f"{node.name}/WithoutBiases", f"{mean}.pool")]
        sources = {_source(reader, 0).get_friendly_name() if reader else "" for reader in readers}
        if len(sources) != 1 or "" in sources:
            yield f"{heatmap.OUTPUT}: made of another tensor than the mean is"


def _weights(graph: Graph, node: Weighted, facts: FileFacts, operators: dict[str, openvino.Node]) -> Iterator[str]:
    """NAME adds the bias to NAME/WithoutBiases, which reads the input and the weight; zeros are not added at all."""
    bias, total, product = graph.bias(node), operators.get(node.name), operators.get(f"{node.name}/WithoutBiases")
    is_bare = total is None and not bias.any()
    if node is graph.output and total is None and not is_bare:
        # In float the temperature has moved before the last addition.
        bias, total = bias / np.float32(facts.calibration_temperature), operators.get("calibrated")
    adds = is_bare or (total is not None and total.get_type_name() == "Add")
    if product is None or product.get_type_name() not in PRODUCTS or not adds:
        yield f"{node.name}: no such operator with weight and bias"
        return
    parts = [("weight", product, planes(node, graph.weight(node))), ("bias", total, bias)]
    for part, reader, values in parts[:1] if is_bare else parts:
        codes, scale = _constants(_source(reader, 1))
        if not graph.is_quantized:
            if codes is None or codes.size != values.size or not _is_rounded(codes.ravel(), values.ravel()):
                yield f"{node.name}: {part} differs by more than float16 rounds"
            continue
        wanted = graph.weight_scale(node) if part == "weight" else graph.bias_scale(node)
        for words, a, b in (("codes", codes, values), ("scales", scale, wanted)):
            if a is None or not same(a.ravel(), b.ravel()):
                yield f"{node.name}: {words} of the {part} differ"


def _is_rounded(codes: Array, values: Array) -> bool:
    return np.allclose(codes, values, FLOAT16_RTOL, FLOAT16_ATOL)


def _constants(node: openvino.Node) -> tuple[Array | None, Array | None]:
    """Values and scales (None: no scales) behind the input of an operator."""
    kind = node.get_type_name()
    if kind == "Constant":
        return node.get_data(), None
    if kind in ("Reshape", "Convert"):
        return _constants(_source(node, 0))
    if kind == "Multiply":
        return _constants(_source(node, 0))[0], _constants(_source(node, 1))[0]
    return None, None


def _grid(name: str, grid: Grid, operator: openvino.Node | None, *, is_input: bool) -> Iterator[str]:
    """The ranges of NAME.real, going in and coming out; the input's may go in as int8 codes."""
    operator = _unmoved(operator) if operator is not None else None
    if operator is None or operator.get_type_name() != "FakeQuantize":
        yield f"{name}: not rounded to the int8 grid"
        return
    ends = [value[None] for value in grid.real(np.array([LOW, HIGH]))] * 2
    given = [_constants(_source(operator, index))[0] for index in range(1, 5)]
    pairs = list(zip(given, ends, strict=True))[2 if is_input else 0 :]
    exact = all(a is not None and same(a.ravel(), b) for a, b in pairs)
    if not exact or operator.get_attributes()["levels"] != LEVELS:
        yield f"{name}: scale or zero point differs"


def _temperature(facts: FileFacts, operators: dict[str, openvino.Node]) -> Iterator[str]:
    """Multiplied by 1/T, unless T is 1 or the logits go out."""
    operator, expected = operators.get("calibrated"), np.float32(1) / np.float32(facts.calibration_temperature)
    if facts.io == "int8" or (operator is None and expected == 1):
        return
    factor = _constants(_source(operator, 1))[0] if operator is not None else None
    if factor is None or not same(factor.ravel(), np.array([expected])):
        yield "the calibration temperature differs"


def _islands(model: openvino.Model) -> Iterator[str]:
    """Convolutions and matrix products that would be calculated in float."""
    for operator in model.get_ordered_ops():
        if operator.get_type_name() not in PRODUCTS:
            continue
        name = operator.get_friendly_name().removesuffix("/WithoutBiases")
        if _unmoved(_source(operator, 0)).get_type_name() != "FakeQuantize":
            yield f"{name}: reads a tensor that is not on the int8 grid"
        weight, _ = _constants(_source(operator, 1))
        if weight is None or weight.dtype != np.int8:
            yield f"{name}: has a weight that is not int8"


def _unmoved(operator: openvino.Node) -> openvino.Node:
    """The operator behind those that only move values."""
    while operator.get_type_name() in ("Transpose", "Reshape"):
        operator = _source(operator, 0)
    return operator


def _source(operator: openvino.Node, index: int) -> openvino.Node:
    return operator.input_value(index).get_node()
