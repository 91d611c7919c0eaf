"""The TFLite model of a graph, written straight with LiteRT's schema: no converter, no second calibration.

Every quantized tensor has the graph's own scale and zero point. Bytes are a function of graph and facts alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from edgekd.quantization import heatmap
from edgekd.quantization.graph import (
    PIXELS,
    Add,
    AnyNode,
    Array,
    Conv,
    DepthwiseConv,
    FullyConnected,
    Graph,
    Grid,
    Mean,
    no_rule,
)
from edgekd.runtimes import FileFacts, Format
from edgekd.runtimes.sessions import metadata

VERSION = 3  # of the schema
ALIGNMENT = 16  # bytes; kernels read weights in place
BUILDER_BYTES = 1 << 20
INPUT, OUTPUT, LOGITS = "pixels", "probs", "logits"
# Name in the schema -> (version for float, version for int8): the oldest that says what is written here.
OPERATORS = {
    "CONV_2D": (1, 3),
    "DEPTHWISE_CONV_2D": (1, 3),
    "ADD": (1, 2),
    "MEAN": (1, 2),
    "FULLY_CONNECTED": (1, 5),
    "PAD": (1, 2),
    "QUANTIZE": (1, 2),
    "DEQUANTIZE": (1, 2),
    "SUB": (1, 2),
    "MUL": (1, 2),
    "SOFTMAX": (1, 2),
}
HALF_DEQUANTIZE = 3  # version of DEQUANTIZE that reads float16


def model(graph: Graph, format: Format, facts: FileFacts) -> Any:
    """The schema's ModelT of a graph; `bytes_of` makes it a file's content."""
    return _Writer(graph, format, facts).model()


def bytes_of(model: Any) -> bytes:
    """The flatbuffer of a ModelT, with all data aligned."""
    from flatbuffers import Builder

    class Aligned(Builder):
        def StartVector(self, elemSize: int, numElems: int, alignment: int) -> Any:
            return super().StartVector(elemSize, numElems, ALIGNMENT if elemSize == 1 else alignment)

    builder = Aligned(BUILDER_BYTES)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def same_padding(length: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Zeros before and after one side under TFLite's SAME."""
    span = dilation * (kernel - 1) + 1
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


class _Writer:
    """Collects tensors, buffers and operators; `tensors` says which tensor holds a node's output."""

    def __init__(self, graph: Graph, format: Format, facts: FileFacts) -> None:
        from ai_edge_litert import schema_py_generated as schema

        self.schema, self.graph, self.facts = schema, graph, facts
        self.is_half = format.scheme == "fp16"
        self.buffers: list[Any] = [schema.BufferT()]
        self.codes: dict[tuple[str, int], int] = {}
        self.subgraph = schema.SubGraphT()
        self.subgraph.name, self.subgraph.tensors, self.subgraph.operators = b"main", [], []
        self.tensors: dict[str, int] = {}

    def model(self) -> Any:
        """The complete model."""
        schema, graph = self.schema, self.graph
        if graph.is_quantized:
            self._quantized_input()
        else:
            self._float_input()
        for node in graph.nodes[1:]:
            self._node(node)
        self._outputs()
        found = schema.ModelT()
        found.version, found.description = VERSION, self.facts.description.encode()
        found.subgraphs, found.buffers, found.operatorCodes = [self.subgraph], self.buffers, self._operator_codes()
        found.metadata = [self._metadata(name, content) for name, content in self._entries()]
        found.signatureDefs = [self._signature()]
        return found

    # Ends

    def _quantized_input(self) -> None:
        source, name = self.graph.input, self.graph.input.name
        shape, grey = (1, source.size, source.size, 3), source.mean[0]
        if self.facts.io == "int8":
            value = self._tensor(INPUT, shape, "INT8", grid=PIXELS)
            self.subgraph.inputs = [value]
            if grey:  # whole numbers all the way: the codes stay, and stand for pixels less the grey
                constant = np.array([PIXELS.zero_point], np.int8)  # on this grid the negative of the grey
                mean = self._tensor("mean", (1,), "INT8", grid=source.grid, data=constant)
                centred = self._tensor(f"{name}_int8", shape, "INT8", grid=source.grid)
                self._operator("ADD", [value, mean], centred, "AddOptions", {})
                value = centred
            self.tensors[name] = value
            return
        pixels = self._tensor(INPUT, shape, "UINT8", scale=np.array([1.0], np.float32), zero_point=0)
        self.subgraph.inputs = [pixels]
        # By way of float32, exactly: XNNPACK has both steps, but not the one from uint8 to int8, which costs a tenth of a
        # millisecond without it.
        value = self._apply("DEQUANTIZE", [pixels], f"{name}_float", shape, "DequantizeOptions", {}, is_float=True)
        if grey:
            mean = self._constant("mean", np.array([grey], np.float32))
            value = self._apply("SUB", [value, mean], "centred", shape, "SubOptions", {}, is_float=True)
        self.tensors[name] = self._tensor(f"{name}_int8", shape, "INT8", grid=source.grid)
        self._operator("QUANTIZE", [value], self.tensors[name], "QuantizeOptions", {}, version=1)

    def _float_input(self) -> None:
        source = self.graph.input
        shape = (1, source.size, source.size, 3)
        value = self._tensor(INPUT, shape, "UINT8", scale=np.array([1.0], np.float32), zero_point=0)
        self.subgraph.inputs = [value]
        # Bytes of scale 1 are dequantized rather than cast: XNNPACK has the former.
        value = self._apply("DEQUANTIZE", [value], f"{source.name}_float", shape, "DequantizeOptions", {})
        if any(source.mean):
            mean = self._constant("mean", np.array(source.mean, np.float32))
            value = self._apply("SUB", [value, mean], "centred", shape, "SubOptions", {})
        if source.std != (1.0, 1.0, 1.0):
            factor = self._constant("inverse_std", (1 / np.array(source.std, np.float64)).astype(np.float32))
            value = self._apply("MUL", [value, factor], "normalized", shape, "MulOptions", {})
        self.tensors[source.name] = value

    def _outputs(self) -> None:
        name = self.graph.output.name
        value, shape = self.tensors[name], (1, *self.graph.shapes[name])
        if self.facts.io == "int8":
            self.subgraph.outputs = [value]
            return
        if self.graph.is_quantized:
            value = self._apply("DEQUANTIZE", [value], f"{LOGITS}_float", shape, "DequantizeOptions", {})
        factor = self._constant("inverse_temperature", np.array([1 / self.facts.calibration_temperature], np.float32))
        value = self._apply("MUL", [value, factor], "calibrated", shape, "MulOptions", {}, is_float=True)
        out = self._apply("SOFTMAX", [value], OUTPUT, shape, "SoftmaxOptions", {"beta": 1.0}, is_float=True)
        self.subgraph.outputs = [out]
        if node := heatmap.node_of(self.graph):
            self.subgraph.outputs.append(self._heatmap(node))

    def _heatmap(self, node: Conv) -> int:
        """The map in float32; in a float graph that is the node's own tensor, by the output's name."""
        value, shape = self.tensors[node.name], (1, *self.graph.shapes[node.name])
        if node.grid:
            return self._apply("DEQUANTIZE", [value], heatmap.OUTPUT, shape, "DequantizeOptions", {})
        self.subgraph.tensors[value].name = heatmap.OUTPUT.encode()
        return value

    # Nodes

    def _node(self, node: AnyNode) -> None:
        inputs = [self.tensors[name] for name in node.inputs]
        options: dict[str, Any] = {}
        if isinstance(node, Conv | DepthwiseConv):
            operator, kind, inputs, options = self._convolution(node, inputs[0])
        elif isinstance(node, Add):
            operator, kind = "ADD", "AddOptions"
        elif isinstance(node, Mean):
            operator, kind, options = "MEAN", "ReducerOptions", {"keepDims": False}
            inputs.append(self._constant(f"{node.name}.axes", np.array([1, 2], np.int32)))
        elif isinstance(node, FullyConnected):
            operator, kind = "FULLY_CONNECTED", "FullyConnectedOptions"
            inputs += [self._weight(node, self.graph.weight(node), 0), self._bias(node)]
        else:
            raise no_rule(node, "the TFLite writer")
        if activation := getattr(node, "activation", "none"):
            types = self.schema.ActivationFunctionType
            options |= {} if isinstance(node, Mean) else {"fusedActivationFunction": getattr(types, activation.upper())}
        shape = (1, *self.graph.shapes[node.name])
        kind_of_value = "INT8" if node.grid else "FLOAT32"
        self.tensors[node.name] = self._tensor(node.name, shape, kind_of_value, grid=node.grid)
        self._operator(operator, inputs, self.tensors[node.name], kind, options)

    def _convolution(self, node: Conv | DepthwiseConv, given: int) -> tuple[str, str, list[int], dict[str, Any]]:
        height, width = self.graph.shapes[node.inputs[0]][:2]
        weight, is_depthwise = self.graph.weight(node), isinstance(node, DepthwiseConv)
        kernel = weight.shape[:2] if is_depthwise else weight.shape[1:3]
        top, left, bottom, right = node.padding
        wanted = ((top, bottom), (left, right))
        same = tuple(
            same_padding(n, k, s, d)
            for n, k, s, d in zip((height, width), kernel, node.stride, node.dilation, strict=True)
        )
        padding = self.schema.Padding.VALID
        if wanted == same:
            padding = self.schema.Padding.SAME
        elif any(node.padding):
            given = self._pad(node, given, wanted)
        options: dict[str, Any] = {"padding": padding, "strideH": node.stride[0], "strideW": node.stride[1]}
        options |= {"dilationHFactor": node.dilation[0], "dilationWFactor": node.dilation[1]}
        inputs = [given, self._weight(node, weight[None] if is_depthwise else weight, 3 if is_depthwise else 0)]
        inputs.append(self._bias(node))
        if is_depthwise:
            return "DEPTHWISE_CONV_2D", "DepthwiseConv2DOptions", inputs, options | {"depthMultiplier": 1}
        return "CONV_2D", "Conv2DOptions", inputs, options

    def _pad(self, node: AnyNode, given: int, wanted: Sequence[tuple[int, int]]) -> int:
        """TFLite's SAME pads elsewhere (Stride 2: after, not before), so the zeros come from an operator of their own."""
        before = self.graph.by_name[node.inputs[0]]
        height, width, channels = self.graph.shapes[before.name]
        shape = (1, height + sum(wanted[0]), width + sum(wanted[1]), channels)
        value = self._tensor(f"{node.name}.padded", shape, "INT8" if before.grid else "FLOAT32", grid=before.grid)
        amounts = self._constant(f"{node.name}.padding", np.array([(0, 0), *wanted, (0, 0)], np.int32))
        self._operator("PAD", [given, amounts], value, "PadOptions", {})
        return value

    def _weight(self, node: AnyNode, weight: Array, axis: int) -> int:
        name = f"{node.name}.weight"
        if node.grid:
            scale = self.graph.weight_scale(node)
            return self._tensor(name, weight.shape, "INT8", scale=scale, axis=axis, data=weight)
        if not self.is_half:
            return self._constant(name, weight)
        half = self._tensor(f"{name}_half", weight.shape, "FLOAT16", data=weight.astype(np.float16))
        value = self._tensor(name, weight.shape, "FLOAT32")
        self._operator("DEQUANTIZE", [half], value, "DequantizeOptions", {}, version=HALF_DEQUANTIZE)
        return value

    def _bias(self, node: AnyNode) -> int:
        bias, name = self.graph.bias(node), f"{node.name}.bias"
        if node.grid:
            return self._tensor(name, bias.shape, "INT32", scale=self.graph.bias_scale(node), data=bias)
        return self._constant(name, bias)

    # Tables of the schema

    def _tensor(
        self,
        name: str,
        shape: Sequence[int],
        kind: str,
        *,
        grid: Grid | None = None,
        scale: Array | None = None,
        zero_point: int = 0,
        axis: int = 0,
        data: Array | None = None,
    ) -> int:
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), [int(n) for n in shape], 0
        tensor.type = getattr(self.schema.TensorType, kind)
        if data is not None:
            tensor.buffer = self._buffer(np.ascontiguousarray(data).tobytes())
        if grid is not None:
            scale, zero_point = np.array([grid.scale], np.float32), grid.zero_point
        if scale is not None:
            tensor.quantization = self.schema.QuantizationParametersT()
            tensor.quantization.scale = np.ascontiguousarray(scale, np.float32)
            tensor.quantization.zeroPoint = np.full(len(scale), zero_point, np.int64)
            tensor.quantization.quantizedDimension = axis
        self.subgraph.tensors.append(tensor)
        return len(self.subgraph.tensors) - 1

    def _constant(self, name: str, data: Array) -> int:
        kind = {"float32": "FLOAT32", "int32": "INT32"}[data.dtype.name]
        return self._tensor(name, data.shape, kind, data=data)

    def _buffer(self, content: bytes) -> int:
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(content, np.uint8)
        self.buffers.append(buffer)
        return len(self.buffers) - 1

    def _apply(
        self,
        operator: str,
        inputs: list[int],
        name: str,
        shape: Sequence[int],
        kind: str,
        options: dict[str, Any],
        is_float: bool = False,
    ) -> int:
        """An operator with a float result of its own."""
        value = self._tensor(name, shape, "FLOAT32")
        self._operator(operator, inputs, value, kind, options, version=1 if is_float else None)
        return value

    def _operator(
        self,
        operator: str,
        inputs: Iterable[int],
        output: int,
        kind: str,
        options: dict[str, Any],
        version: int | None = None,
    ) -> None:
        if version is None:
            version = OPERATORS[operator][self.graph.is_quantized]
        found = self.schema.OperatorT()
        found.opcodeIndex = self.codes.setdefault((operator, version), len(self.codes))
        found.inputs, found.outputs = list(inputs), [output]
        found.builtinOptionsType = getattr(self.schema.BuiltinOptions, kind)
        found.builtinOptions = getattr(self.schema, f"{kind}T")()
        for name, value in options.items():
            setattr(found.builtinOptions, name, value)
        self.subgraph.operators.append(found)

    def _operator_codes(self) -> list[Any]:
        found = []
        for name, version in self.codes:
            code = self.schema.OperatorCodeT()
            code.builtinCode = getattr(self.schema.BuiltinOperator, name)
            code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
            found.append(code)
        return found

    def _entries(self) -> Iterable[tuple[str, bytes]]:
        from edgekd.runtimes.tflite_metadata import NAME, metadata_buffer

        yield NAME, metadata_buffer(self.facts, has_heatmap=len(self.subgraph.outputs) > 1)
        for name, text in metadata(self.graph, self.facts).items():
            yield name, text.encode()

    def _metadata(self, name: str, content: bytes) -> Any:
        entry = self.schema.MetadataT()
        entry.name, entry.buffer = name.encode(), self._buffer(content)
        return entry

    def _signature(self) -> Any:
        """Names of input and output for LiteRT's signature runner."""
        found = self.schema.SignatureDefT()
        found.signatureKey, found.subgraphIndex = b"serving_default", 0
        output = LOGITS if self.facts.io == "int8" else OUTPUT
        for ends, names, indices in (
            ("inputs", (INPUT,), self.subgraph.inputs),
            ("outputs", (output, heatmap.OUTPUT), self.subgraph.outputs),
        ):
            entries = []
            for name, index in zip(names, indices, strict=False):  # most files have one output
                entry = self.schema.TensorMapT()
                entry.name, entry.tensorIndex = name.encode(), index
                entries.append(entry)
            setattr(found, ends, entries)
        return found


def entries(model: Any) -> dict[str, str]:
    """The text entries of a ModelT's metadata."""
    found = {}
    for entry in model.metadata or []:
        data = model.buffers[entry.buffer].data if 0 <= entry.buffer < len(model.buffers) else None
        content = bytes(bytearray(data)) if data is not None else b""
        try:
            found[entry.name.decode()] = content.decode()
        except (UnicodeDecodeError, AttributeError):
            continue  # a binary entry
    return found
