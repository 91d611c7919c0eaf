"""The graph as an ONNX model, written with onnx.helper alone: float, or int8 in QDQ form.

QDQ (QuantizeLinear, DequantizeLinear) is how ONNX says int8: weights and biases are integer initializers, each tensor
between two operators passes the int8 grid, and a runtime replaces "dequantize, operator, quantize" by its integer kernel.
Activations have uint8 codes, 128 above the graph's int8 codes, as has the zero point: the same real values. x86 kernels
multiply unsigned by signed bytes, and ONNX Runtime, which would convert them itself, leaves out those with two readers.
Layouts become ONNX's: activations [N, C, H, W], weights [O, I, kh, kw], depthwise weights [C, 1, kh, kw].
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.quantization import heatmap
from edgekd.quantization.graph import (
    HIGH,
    LOW,
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
    Weighted,
    no_rule,
)
from edgekd.quantization.integers import clamp
from edgekd.runtimes import FileFacts
from edgekd.runtimes.sessions import metadata

if TYPE_CHECKING:
    import onnx

OPSET = 17  # 13 brought scales per channel; 17 is read by every runtime since 2022
IR_VERSION = 8
INPUT, OUTPUT, LOGITS = "pixels", "probs", "logits"
BATCH = "N"
UNSIGNED = 128  # what a uint8 code is above the int8 code of the same real value


def build(graph: Graph, facts: FileFacts) -> onnx.ModelProto:
    """The model: pixels [N, S, S, 3] uint8 -> probs [N, K] float32; with io "int8", codes int8 -> logits [N, K] int8.

    A graph with a heat map has it as the second output [N, H, W, K] float32.
    """
    from onnx import TensorProto, helper

    builder = _Builder(graph)
    readers = {graph.input.name: builder.start(facts)}
    for node in graph.nodes[1:]:
        readers[node.name] = builder.visit(node, [readers[name] for name in node.inputs])
    size, outputs = graph.input.size, graph.shapes[graph.output.name][0]
    is_int8 = facts.io == "int8"
    builder.finish(facts, readers[graph.output.name])
    first, kind = (LOGITS, TensorProto.INT8) if is_int8 else (OUTPUT, TensorProto.FLOAT)
    given = [helper.make_tensor_value_info(first, kind, [BATCH, outputs])]
    if mapped := heatmap.node_of(graph):
        builder.op("Transpose", "heatmap.places", [readers[mapped.name]], heatmap.OUTPUT, perm=[0, 2, 3, 1])
        places: list[str | int | None] = [BATCH, *graph.shapes[mapped.name]]
        given.append(helper.make_tensor_value_info(heatmap.OUTPUT, TensorProto.FLOAT, places))
    model = helper.make_model(
        helper.make_graph(
            builder.nodes,
            facts.name or "edgekd",
            [helper.make_tensor_value_info(INPUT, getattr(TensorProto, facts.io.upper()), [BATCH, size, size, 3])],
            given,
            builder.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="edgekd",
        producer_version=facts.version,
        doc_string=facts.description,
    )
    helper.set_model_props(model, metadata(graph, facts))
    return model


def planes(node: Weighted, weight: Array) -> Array:
    """A weight in ONNX's layout."""
    if isinstance(node, DepthwiseConv):
        return weight.transpose(2, 0, 1)[:, None]
    return weight.transpose(0, 3, 1, 2) if isinstance(node, Conv) else weight


class _Builder:
    """Nodes and initializers so far. Tensors are named after the graph's nodes: NAME.sum, NAME.codes, NAME.real."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.constants: set[str] = set()

    def op(self, kind: str, name: str, inputs: list[str], output: str | None = None, **attributes: Any) -> str:
        """Add a node; its output is called like the node unless told otherwise."""
        from onnx import helper

        output = output or name
        self.nodes.append(helper.make_node(kind, inputs, [output], name, **attributes))
        return output

    def constant(self, name: str, array: Array | np.generic) -> str:
        """Add an initializer; one of a name is enough."""
        from onnx import numpy_helper

        if name not in self.constants:
            self.constants.add(name)
            self.initializers.append(numpy_helper.from_array(np.asarray(array, order="C"), name))
        return name

    def start(self, facts: FileFacts) -> str:
        """From the input to what the graph's input node gives."""
        from onnx import TensorProto

        source = self.graph.input
        x = self.op("Transpose", f"{source.name}.planes", [INPUT], perm=[0, 3, 1, 2])
        if facts.io == "int8":
            scale = self.constant("codes.scale", np.float32(PIXELS.scale))
            zero_point = self.constant("codes.zero_point", np.int8(PIXELS.zero_point))
            x = self.op("DequantizeLinear", "codes.real", [x, scale, zero_point])
        else:
            x = self.op("Cast", f"{source.name}.float", [x], to=TensorProto.FLOAT)
        if source.grid is not None:
            if any(source.mean):
                grey = self.constant(f"{source.name}.mean", np.float32(source.mean[0]))
                x = self.op("Sub", f"{source.name}.centred", [x, grey])
            return self.on_grid(source.name, x, source.grid)  # exact, and tells runtimes that the first layer is int8
        mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (source.mean, source.std))
        x = self.op("Sub", f"{source.name}.centred", [x, self.constant(f"{source.name}.mean", mean)])
        return self.op("Div", f"{source.name}.normalized", [x, self.constant(f"{source.name}.std", std)])

    def visit(self, node: AnyNode, inputs: list[str]) -> str:
        """One node of the graph; gives the tensor that its readers read."""
        if isinstance(node, Mean):
            x = self.op("GlobalAveragePool", f"{node.name}.pool", inputs)
            x = self.op("Flatten", node.name, [x], f"{node.name}.sum")
        elif isinstance(node, Add):
            x = self.op("Add", node.name, inputs, f"{node.name}.sum")
        elif isinstance(node, Weighted):
            x = self.weighted(node, inputs[0])
        else:
            raise no_rule(node, "the ONNX writer")
        activation = getattr(node, "activation", "none")
        if node.grid is None:
            return self.activate(node.name, x, activation)
        if clamp(node.grid, activation) != (LOW, HIGH):  # otherwise the ends of the grid are those of the activation
            x = self.on_grid(node.name, x, node.grid, "before.")
            x = self.activate(node.name, x, activation)
        return self.on_grid(node.name, x, node.grid)

    def weighted(self, node: Weighted, x: str) -> str:
        """A convolution or the fully connected layer, without its activation."""
        weight = planes(node, self.graph.weight(node))
        inputs = [x, self.parameter(node, "weight", weight), self.parameter(node, "bias", self.graph.bias(node))]
        if isinstance(node, FullyConnected):
            return self.op("Gemm", node.name, inputs, f"{node.name}.sum", transB=1)
        return self.op(
            "Conv",
            node.name,
            inputs,
            f"{node.name}.sum",
            kernel_shape=weight.shape[2:],
            strides=node.stride,
            dilations=node.dilation,
            pads=node.padding,
            group=len(weight) if isinstance(node, DepthwiseConv) else 1,
        )

    def parameter(self, node: Weighted, part: str, array: Array) -> str:
        """A weight or bias: a float initializer, or an integer one and its DequantizeLinear per channel."""
        name = f"{node.name}.{part}"
        codes = self.constant(name, array)
        if not self.graph.is_quantized:
            return codes
        scale = self.graph.weight_scale(node) if part == "weight" else self.graph.bias_scale(node)
        inputs = [
            codes,
            self.constant(f"{name}.scale", scale),
            self.constant(f"{name}.zero_point", np.zeros(len(scale), array.dtype)),
        ]
        return self.op("DequantizeLinear", f"{name}.real", inputs, axis=0)

    def activate(self, name: str, x: str, activation: str) -> str:
        """The activation's operator."""
        if activation == "relu":
            return self.op("Relu", f"{name}.relu", [x])
        if activation == "relu6":
            limits = [self.constant("zero", np.float32(0)), self.constant("six", np.float32(6))]
            return self.op("Clip", f"{name}.relu6", [x, *limits])
        return x

    def on_grid(self, name: str, x: str, grid: Grid, step: str = "") -> str:
        """Round to the int8 grid."""
        codes = self.op("QuantizeLinear", f"{name}.{step}codes", [x, *self.scale(name, grid)])
        return self.dequantize(name, codes, grid, step)

    def dequantize(self, name: str, codes: str, grid: Grid, step: str = "") -> str:
        """Real values of codes."""
        return self.op("DequantizeLinear", f"{name}.{step}real", [codes, *self.scale(name, grid)])

    def scale(self, name: str, grid: Grid) -> list[str]:
        """The initializers of a grid."""
        zero_point = self.constant(f"{name}.zero_point", np.uint8(grid.zero_point + UNSIGNED))
        return [self.constant(f"{name}.scale", np.float32(grid.scale)), zero_point]

    def finish(self, facts: FileFacts, x: str) -> None:
        """From real logits to probabilities; with io "int8" the codes before them go out."""
        if facts.io == "int8":
            grid = self.graph.grid(self.graph.output.name)
            zero_point = self.constant(f"{LOGITS}.zero_point", np.int8(grid.zero_point))
            self.op("QuantizeLinear", LOGITS, [x, f"{self.graph.output.name}.scale", zero_point])
            return
        temperature = self.constant("calibration_temperature", np.float32(facts.calibration_temperature))
        x = self.op("Div", "calibrated", [x, temperature])
        self.op("Softmax", "softmax", [x], OUTPUT, axis=1)
