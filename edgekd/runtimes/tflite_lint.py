"""The lint of a `.tflite`: is the file, byte for byte of its numbers, the graph that it was written from?"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from edgekd.quantization import heatmap
from edgekd.quantization.graph import Array, Conv, Graph, Weighted
from edgekd.runtimes import FileFacts, Format
from edgekd.runtimes.sessions import metadata
from edgekd.runtimes.tflite_model import INPUT, OPERATORS, entries

BODY = {"INT8", "INT32"}
HEAD = {"DEQUANTIZE", "SUB", "QUANTIZE"}  # from bytes to the int8 body
TAIL = {"DEQUANTIZE", "MUL", "SOFTMAX"}  # after the int8 logits, on a handful of numbers


def lint(graph: Graph, format: Format, facts: FileFacts, model: Any) -> list[str]:
    """What is wrong with a ModelT, in words; nothing if it is what the writer meant."""
    if len(model.subgraphs or []) != 1:
        return [f"expected one subgraph, found {len(model.subgraphs or [])}"]
    view = _View(model)
    problems = [f"operator {name} has no place in the file" for name in view.operators if name not in OPERATORS]
    found = entries(model)
    wrong = [key for key, text in metadata(graph, facts).items() if found.get(key) != text]
    problems += [f"metadata {key!r} differs" for key in wrong]
    problems += _ends(view, graph, facts)
    problems += _weights(view, graph, format)
    return problems + (_full_int8(view, graph, facts) if graph.is_quantized else [])


class _View:
    """A ModelT by names."""

    def __init__(self, model: Any) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.model, self.subgraph = model, model.subgraphs[0]
        self.types = {v: k for k, v in vars(schema.TensorType).items() if not k.startswith("_")}
        builtin = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}
        self.codes = [builtin.get(code.builtinCode, "?") for code in model.operatorCodes]
        self.operators = Counter(self.codes[o.opcodeIndex] for o in self.subgraph.operators)
        self.tensors = {t.name.decode(): t for t in self.subgraph.tensors}

    def type(self, tensor: Any) -> str:
        """The name of a tensor's type."""
        return self.types.get(tensor.type, "?")

    def data(self, tensor: Any) -> bytes:
        """The bytes of a constant, b"" for others."""
        data = self.model.buffers[tensor.buffer].data
        return b"" if data is None else bytes(bytearray(data))


def _ends(view: _View, graph: Graph, facts: FileFacts) -> list[str]:
    problems = []
    inputs = [view.subgraph.tensors[i] for i in view.subgraph.inputs]
    size, expected = facts.input.size, facts.io.upper()
    if [t.name.decode() for t in inputs] != [INPUT] or view.type(inputs[0]) != expected:
        problems.append(f"expected one input {INPUT!r} of type {expected}")
    elif list(inputs[0].shape) != [1, size, size, 3]:
        problems.append(f"expected an input of shape [1, {size}, {size}, 3], found {list(inputs[0].shape)}")
    outputs = [view.subgraph.tensors[i] for i in view.subgraph.outputs]
    expected = "INT8" if facts.io == "int8" else "FLOAT32"
    node = heatmap.node_of(graph)
    if len(outputs) != (2 if node else 1) or view.type(outputs[0]) != expected:
        problems.append(f"expected {'two outputs, the first' if node else 'one output'} of type {expected}")
    return problems + (_heatmap(view, graph, node) if node and len(outputs) == 2 else [])


def _heatmap(view: _View, graph: Graph, node: Conv) -> list[str]:
    """The second output: the map of the class, of just the tensor that the mean reads."""
    tensor = view.subgraph.tensors[view.subgraph.outputs[1]]
    name, shape = tensor.name.decode(), [1, *graph.shapes[node.name]]
    if name != heatmap.OUTPUT or view.type(tensor) != "FLOAT32" or list(tensor.shape) != shape:
        return [f"expected a second output {heatmap.OUTPUT!r} of type FLOAT32 and shape {shape}"]
    steps, last = (["DEQUANTIZE"] if node.grid else []) + ["CONV_2D"], view.subgraph.outputs[1]
    for step in steps:
        maker = next((o for o in view.subgraph.operators if last in o.outputs), None)
        if maker is None or view.codes[maker.opcodeIndex] != step:
            return [f"{heatmap.OUTPUT}: expected {' of '.join(steps)}"]
        last = maker.inputs[0]
    readers = [o for o in view.subgraph.operators if view.codes[o.opcodeIndex] == "MEAN" and last == o.inputs[0]]
    return [] if readers else [f"{heatmap.OUTPUT}: made of another tensor than the mean is"]


def _weights(view: _View, graph: Graph, format: Format) -> list[str]:
    problems = []
    for node in graph.nodes:
        if not isinstance(node, Weighted):
            continue
        half = format.scheme == "fp16"
        weight = graph.weight(node).astype(np.float16) if half else graph.weight(node)
        for part, array in ((f"weight{'_half' if half else ''}", weight), ("bias", graph.bias(node))):
            tensor = view.tensors.get(f"{node.name}.{part}")
            if tensor is None or view.data(tensor) != np.ascontiguousarray(array).tobytes():
                problems.append(f"{node.name}: {part} is not the graph's")
    return problems


def _full_int8(view: _View, graph: Graph, facts: FileFacts) -> list[str]:
    problems = []
    for operator in view.subgraph.operators:
        name = view.codes[operator.opcodeIndex]
        touched = [view.subgraph.tensors[i] for i in (*operator.inputs, *operator.outputs) if i >= 0]
        floats = [t.name.decode() for t in touched if view.type(t) not in BODY]
        if floats and name not in TAIL | HEAD:
            problems.append(f"{name} is a float island: {floats[0]} is {view.type(view.tensors[floats[0]])}")
    if facts.io == "int8" and (tail := sorted(TAIL & set(view.operators))):
        problems.append(f"io int8 leaves no place for {', '.join(tail)}")
    for node in graph.nodes:
        grid = graph.grid(node.name)
        is_first = node is graph.input
        is_entry = is_first and facts.io == "int8" and not any(graph.input.mean)
        tensor = view.tensors.get(INPUT if is_entry else f"{node.name}{'_int8' * is_first}")
        if (
            tensor is None
            or view.type(tensor) != "INT8"
            or not _is_on(tensor, np.array([grid.scale], np.float32), grid.zero_point)
        ):
            problems.append(f"{node.name}: the scale or zero point is not the graph's")
        if isinstance(node, Weighted):
            for part, scale in (("weight", graph.weight_scale(node)), ("bias", graph.bias_scale(node))):
                tensor = view.tensors.get(f"{node.name}.{part}")
                if tensor is None or not _is_on(tensor, scale, 0):
                    problems.append(f"{node.name}: the scales of its {part} are not the graph's")
    return problems


def _is_on(tensor: Any, scale: Array, zero_point: int) -> bool:
    found = tensor.quantization
    if found is None or found.scale is None or found.zeroPoint is None:
        return False
    same = np.float32(found.scale).tobytes() == np.ascontiguousarray(scale, np.float32).tobytes()
    return same and list(found.zeroPoint) == [zero_point] * len(scale)
