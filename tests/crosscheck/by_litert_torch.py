"""The int8 graph through litert-torch and ai-edge-quantizer: python by_litert_torch.py GRAPH OUTPUT.

Weights go in as floats on their grid and the ranges as calibration results, so the converter should find the same codes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgekd.quantization.graph import Add, AnyNode, Conv, DepthwiseConv, Graph, Grid, Input, Mean

ANSWERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "ADD", "MEAN", "FULLY_CONNECTED"}  # one for each node but the input
MOVES = {"PAD", "TRANSPOSE", "RESHAPE"}  # these keep the range of what they move


def main(graph_file: str, output: str) -> None:
    graph = Graph.load(graph_file)
    float_file = Path(output).with_suffix(".float.tflite")
    write_float(graph, float_file)
    from ai_edge_quantizer import quantizer, recipe

    result = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8()).quantize(ranges(graph, float_file))
    result.export_model(output, overwrite=True)


def write_float(graph: Graph, path: Path) -> None:
    """The graph with its dequantized weights as a float model, [1, S, S, 3] in."""
    import litert_torch
    import torch

    size = graph.input.size
    litert_torch.convert(network(graph).eval(), (torch.zeros(1, size, size, 3),)).export(str(path))


def network(graph: Graph):
    """A torch module that computes the graph in float from NHWC pixels."""
    from torch import nn

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.ModuleDict({node.name.replace(".", "_"): layer(graph, node) for node in graph.nodes[1:]})

        def forward(self, pixels):
            values = {graph.input.name: pixels.permute(0, 3, 1, 2)}
            for node in graph.nodes[1:]:
                values[node.name] = self.layers[node.name.replace(".", "_")](*(values[name] for name in node.inputs))
            return values[graph.output.name]

    return Network()


def layer(graph: Graph, node: AnyNode):
    """The torch module of a node."""
    from torch import nn

    if isinstance(node, Add):
        return _sum()
    if isinstance(node, Mean):
        return _mean()
    weight, bias = real(graph, node)
    if isinstance(node, Conv | DepthwiseConv):
        weight = weight.transpose(2, 0, 1)[:, None] if isinstance(node, DepthwiseConv) else weight.transpose(0, 3, 1, 2)
        groups = len(weight) if isinstance(node, DepthwiseConv) else 1
        top, left, bottom, right = node.padding
        symmetric = (top, left) == (bottom, right)
        options = {"stride": node.stride, "dilation": node.dilation, "groups": groups}
        found = nn.Conv2d(
            weight.shape[1] * groups, len(weight), weight.shape[2:], padding=(top, left) if symmetric else 0, **options
        )
        parts = [found] if symmetric else [nn.ZeroPad2d((left, right, top, bottom)), found]
    else:
        found = nn.Linear(weight.shape[1], len(weight))
        parts = [found]
    _fill(found, weight, bias)
    activation = {"none": [], "relu": [nn.ReLU()], "relu6": [nn.ReLU6()]}[node.activation]
    return nn.Sequential(*parts, *activation)


def real(graph: Graph, node: AnyNode) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a node as the floats that their codes stand for."""
    scale = graph.weight_scale(node)
    along = scale if isinstance(node, DepthwiseConv) else scale.reshape(-1, *[1] * (graph.weight(node).ndim - 1))
    bias = graph.bias(node).astype(np.float64) * graph.bias_scale(node)
    return graph.weight(node) * along, bias.astype(np.float32)


def _fill(module, weight: np.ndarray, bias: np.ndarray) -> None:
    import torch

    module.weight.data = torch.from_numpy(np.ascontiguousarray(weight))
    module.bias.data = torch.from_numpy(bias)


def _sum():
    from torch import nn

    class Sum(nn.Module):
        def forward(self, first, second):
            return first + second

    return Sum()


def _mean():
    from torch import nn

    class Mean(nn.Module):
        def forward(self, x):
            return x.mean((2, 3))

    return Mean()


def ranges(graph: Graph, path: Path) -> dict[str, dict[str, np.ndarray]]:
    """Our ranges by the tensor names of the float model, whose operators come in the graph's order."""
    from ai_edge_litert import schema_py_generated as schema

    names = {value: key for key, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    main = model.subgraphs[0]
    grids = iter([node.grid for node in graph.nodes if not isinstance(node, Input)])
    found = {main.inputs[0]: graph.input.grid}
    for operator in main.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        if name not in ANSWERS | MOVES:
            raise SystemExit(f"operator {name} was not expected")
        found[operator.outputs[0]] = next(grids) if name in ANSWERS else found[operator.inputs[0]]
    if next(grids, None) is not None:
        raise SystemExit("the float model has fewer operators than the graph")
    return {main.tensors[index].name.decode(): _range(grid) for index, grid in found.items()}


def _range(grid: Grid) -> dict[str, np.ndarray]:
    scale = np.float64(grid.scale)
    return {"min": np.array([(-128 - grid.zero_point) * scale]), "max": np.array([(127 - grid.zero_point) * scale])}


if __name__ == "__main__":
    main(*sys.argv[1:])
