"""From a torch network to the graph: torch.fx finds the operators, batch normalization is folded, activations are fused.

What the graph has no node for is named (module path and operator), all of it at once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from timm.layers import DropPath, SelectAdaptivePool2d
from torch import fx, nn
from torch.nn import functional

from edgekd.errors import EdgekdError, several
from edgekd.networks import PixelNetwork
from edgekd.quantization.graph import (
    Activation,
    Add,
    AnyNode,
    Conv,
    DepthwiseConv,
    FullyConnected,
    Graph,
    Input,
    Mean,
    Weighted,
)

ROUTES = "the generic converters: --via litert-torch, or --onnx FILE for an ONNX file of your own"
PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d, DropPath)  # nothing, at inference
LEAVES = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, SelectAdaptivePool2d, *PASSING)
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
RELU = (functional.relu, torch.relu, "relu", "relu_")
SPATIAL = ({2, 3}, {-2, -1})


def lower(network: PixelNetwork) -> Graph:
    """The float graph of a network, its normalization in the input node.

    Raises: EdgekdError that names every module and operator which the graph cannot hold, and the routes that are left.
    """
    body = network.body.eval()
    try:
        traced = _Tracer().trace(body)
    except Exception as e:  # tracing runs the network's own Python
        where = f"network {type(body).__name__}"
        raise EdgekdError(where, "one that torch.fx can trace", f"{type(e).__name__}: {e}", ROUTES) from None
    builder = _Builder(dict(body.named_modules()), dict(body.named_parameters()))
    builder.start(network)
    for node in traced.nodes:
        builder.visit(node)
    if builder.problems:
        raise several(f"network {type(body).__name__} cannot be lowered", builder.problems, ROUTES)
    return Graph(tuple(builder.nodes.values()), builder.arrays)


def fold_normalization(graph: Graph) -> Graph:
    """The same graph on bare pixels: (x - mean) / std goes into the convolutions that read the input.

    Only where the input is zero-padded do the two differ: the border is then black instead of the mean colour. So this
    comes before quantization-aware training, which lets the weights settle with the borders that the file will have.
    """
    source = graph.input
    mean, std = np.float64(source.mean), np.float64(source.std)
    arrays = dict(graph.arrays)
    for node in graph.nodes:
        if source.name not in node.inputs:
            continue
        if not isinstance(node, Conv):
            raise EdgekdError(
                f"graph node {node.name!r}", "a convolution as the reader of the input", node.kind, ROUTES
            )
        weight = graph.weight(node).astype(np.float64) / std
        bias = graph.bias(node) - (weight * mean).sum((1, 2, 3))
        arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = weight.astype(np.float32), bias.astype(np.float32)
    bare = source.model_copy(update={"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)})
    return Graph((bare, *graph.nodes[1:]), arrays)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


class _Unsupported(Exception):
    """Why a node has no place in the graph."""


class _Misplaced(_Unsupported):
    """An operator that the graph has, but not after what it follows."""


class _Builder:
    """Walks the traced nodes; `names` says which graph node holds each one's value."""

    def __init__(self, modules: dict[str, nn.Module], parameters: dict[str, nn.Parameter]) -> None:
        self.modules, self.parameters = modules, parameters
        self.nodes: dict[str, AnyNode] = {}
        self.arrays: dict[str, np.ndarray] = {}
        self.names: dict[fx.Node, str] = {}
        self.problems: list[str] = []
        self.unknown: set[fx.Node] = set()  # values that depend on a problem; the input stands for them

    def start(self, network: PixelNetwork) -> None:
        """The input node, in pixel units."""
        mean, std = (tuple(float(np.float32(255 * v)) for v in values) for values in (network.mean, network.std))
        self.nodes["pixels"] = Input(name="pixels", size=network.size, mean=mean, std=std)

    def visit(self, node: fx.Node) -> None:
        """Take in one traced node; what cannot be is noted, and what depends on it passed over."""
        if node.op == "placeholder":
            self.names[node] = "pixels"
            return
        if node.op == "output":
            return
        depends = any(n in self.unknown for n in node.all_input_nodes)
        try:
            self.names[node] = self._module(node) if node.op == "call_module" else self._function(node)
        except _Unsupported as e:
            if not (depends and isinstance(e, _Misplaced)):  # what follows a problem need not be one
                what = type(self.modules[node.target]).__name__ if node.op == "call_module" else _called(node)
                self.problems.append(f"{_path(node)}: {what}{f' ({e})' if str(e) else ''}")
            depends = True
        if depends:
            self.unknown.add(node)
            self.names[node] = next(iter(self.nodes))

    def _module(self, node: fx.Node) -> str:
        module, given = self.modules[node.target], self._given(node)
        if isinstance(module, PASSING):
            return given[0]
        if isinstance(module, nn.BatchNorm2d):
            return self._batch_norm(node, module, given[0])
        if isinstance(module, nn.ReLU6) or (isinstance(module, nn.Hardtanh) and _bounds(module) == (0, 6)):
            return self._activate(node, given[0], "relu6")
        if isinstance(module, nn.ReLU):
            return self._activate(node, given[0], "relu")
        if isinstance(module, nn.Conv2d):
            return self._convolution(node, module, given[0])
        if isinstance(module, nn.Linear):
            return self._linear(node, module, given[0])
        if isinstance(module, nn.Flatten):
            return self._flatten(given[0])
        if isinstance(module, SelectAdaptivePool2d) and module.pool_type in ("avg", "fast", "fastavg"):
            return self._add(Mean(name=node.name, inputs=(given[0],)))
        if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
            return self._add(Mean(name=node.name, inputs=(given[0],)))
        raise _Unsupported

    def _function(self, node: fx.Node) -> str:
        target = node.target
        if target in ADDITIONS and len(node.all_input_nodes) == 2 and not node.kwargs:
            return self._add(Add(name=node.name, inputs=tuple(self._given(node))))
        if target in (functional.dropout, functional.dropout2d):
            return self._given(node)[0]
        if target in RELU:
            return self._activate(node, self._given(node)[0], "relu")
        if target is functional.relu6:
            return self._activate(node, self._given(node)[0], "relu6")
        if target in (torch.flatten, "flatten"):
            return self._flatten(self._given(node)[0])
        if target in (torch.mean, "mean") and _axes(node) in SPATIAL:
            return self._add(Mean(name=node.name, inputs=(self._given(node)[0],)))
        if target is functional.adaptive_avg_pool2d and node.args[1:] in ((1,), ((1, 1),)):
            return self._add(Mean(name=node.name, inputs=(self._given(node)[0],)))
        raise _Unsupported

    def _given(self, node: fx.Node) -> list[str]:
        return [self.names[n] for n in node.args if isinstance(n, fx.Node)]

    def _add(self, node: AnyNode) -> str:
        self.nodes[node.name] = node
        return node.name

    def _store(self, name: str, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        array = weight.detach().float().cpu().numpy()
        self.arrays[f"{name}.weight"] = array
        empty = np.zeros(array.shape[-1] if array.ndim == 3 else len(array), np.float32)
        self.arrays[f"{name}.bias"] = empty if bias is None else bias.detach().float().cpu().numpy()

    def _convolution(self, node: fx.Node, module: nn.Conv2d, given: str) -> str:
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise _Unsupported("only plain zero padding")
        weight = module.weight.detach()
        if module.groups == 1:
            kind: Callable[..., AnyNode] = Conv
            weight = weight.permute(0, 2, 3, 1)
        elif module.groups == module.in_channels == module.out_channels:
            kind, weight = DepthwiseConv, weight[:, 0].permute(1, 2, 0)
        else:
            raise _Unsupported(f"{module.groups} groups of {module.in_channels} channels")
        (vertical, horizontal), name = module.padding, node.name
        self._store(name, weight, module.bias)
        padding = (vertical, horizontal, vertical, horizontal)
        options = {"stride": module.stride, "dilation": module.dilation, "padding": padding}
        return self._add(kind(name=name, inputs=(given,), **options))

    def _linear(self, node: fx.Node, module: nn.Linear, given: str) -> str:
        self._store(node.name, module.weight, module.bias)
        return self._add(FullyConnected(name=node.name, inputs=(given,)))

    def _flatten(self, given: str) -> str:
        if not isinstance(self.nodes[given], Mean):
            raise _Misplaced("only after the global average")
        return given

    def _batch_norm(self, node: fx.Node, module: nn.BatchNorm2d, given: str) -> str:
        before = self.nodes[given]
        if not isinstance(before, Conv | DepthwiseConv) or before.activation != "none" or _is_shared(node):
            raise _Misplaced("not right after a convolution of its own")
        variance, mean = module.running_var.double(), module.running_mean.double()
        gain = torch.rsqrt(variance + module.eps)
        shift = torch.zeros_like(gain) if module.bias is None else module.bias.double()
        if module.weight is not None:
            gain = gain * module.weight.double()
        gain, shift, mean = (t.detach().cpu().numpy() for t in (gain, shift, mean))
        weight, bias = self.arrays[f"{given}.weight"], self.arrays[f"{given}.bias"]
        along = gain if isinstance(before, DepthwiseConv) else gain[:, None, None, None]
        self.arrays[f"{given}.weight"] = (weight * along).astype(np.float32)
        self.arrays[f"{given}.bias"] = (shift + (bias - mean) * gain).astype(np.float32)
        activation = getattr(module, "act", None)
        if activation is None or isinstance(activation, nn.Identity):
            return given
        if type(activation) not in (nn.ReLU, nn.ReLU6):
            raise _Unsupported(f"activation {type(activation).__name__}")
        return self._activate(None, given, "relu6" if isinstance(activation, nn.ReLU6) else "relu")

    def _activate(self, node: fx.Node | None, given: str, activation: Activation) -> str:
        before = self.nodes[given]
        fits = isinstance(before, Weighted | Add) and before.activation == "none"
        if not fits or (node is not None and _is_shared(node)):
            raise _Misplaced("not right after a convolution, an addition or a linear layer of its own")
        self.nodes[given] = before.model_copy(update={"activation": activation})
        return given


def _is_shared(node: fx.Node) -> bool:
    """Whether someone else reads what `node` would change."""
    return len(node.args[0].users) > 1


def _bounds(module: nn.Hardtanh) -> tuple[float, float]:
    return module.min_val, module.max_val


def _axes(node: fx.Node) -> set[int]:
    axes: Any = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else ())
    return set(axes) if isinstance(axes, tuple | list) else {axes}


def _called(node: fx.Node) -> str:
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))


def _path(node: fx.Node) -> str:
    """The dotted path of the module whose forward the node stands in."""
    if node.op == "call_module":
        return str(node.target)
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path = stack[-1][0] if stack else ""
    return path or "the network itself"
