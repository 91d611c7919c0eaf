"""What each operator of a traced torch network becomes in the graph; what the graph has no node for is noted by name."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import torch
from pydantic import ValidationError
from timm.layers import DropPath, SelectAdaptivePool2d
from torch import fx, nn
from torch.nn import functional

from edgekd.networks import PixelNetwork
from edgekd.quantization.folding import Norm, Source
from edgekd.quantization.graph import (
    Activation,
    Add,
    AnyNode,
    Conv,
    DepthwiseConv,
    FullyConnected,
    Input,
    Mean,
    Weighted,
    in_pixels,
)

PIXELS = "pixels"  # the input node
PASSING = (nn.Identity, nn.Dropout, nn.Dropout2d, DropPath)  # nothing, at inference
LEAVES = (nn.Conv2d, nn.BatchNorm2d, nn.Linear, SelectAdaptivePool2d, *PASSING)
ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
RELU = (functional.relu, torch.relu, "relu", "relu_")
SPATIAL = ({2, 3}, {-2, -1})


class _Unsupported(Exception):
    """Why a node has no place in the graph."""


class _Misplaced(_Unsupported):
    """An operator that the graph has, but not after what it follows."""


class Builder:
    """Walks the traced nodes that are `needed`; `names` says which graph node holds each one's value.

    What cannot be taken in is noted in `problems`, and what depends on it passed over. `sources` says where the weights of
    the graph's nodes lie in the network's state, whose names are `keys`.
    """

    def __init__(self, network: PixelNetwork, needed: set[fx.Node]) -> None:
        self.modules, self.keys = dict(network.body.named_modules()), set(network.body.state_dict())
        self.needed = needed
        self.sources: dict[str, Source] = {}
        self.names: dict[fx.Node, str] = {}
        self.problems: list[str] = []
        self.unknown: set[fx.Node] = set()  # values that depend on a problem; the input stands for them
        mean, std = in_pixels(network.mean), in_pixels(network.std)
        self.nodes: dict[str, AnyNode] = {PIXELS: Input(name=PIXELS, size=network.size, mean=mean, std=std)}

    @property
    def holders(self) -> dict[str, list[fx.Node]]:
        """The traced nodes that each graph node stands for; the last of them has its value, activation and all."""
        return {name: [node for node, held in self.names.items() if held == name] for name in self.nodes}

    def visit(self, node: fx.Node) -> None:
        """Take in one traced node."""
        depends = any(n in self.unknown for n in node.all_input_nodes)
        try:
            self.names[node] = self._taken(node)
        except (_Unsupported, ValidationError) as e:
            if not (depends and isinstance(e, _Misplaced)):  # what follows a problem need not be one
                self.problems.append(self._named(node, e))
            depends = True
        if depends:
            self.unknown.add(node)
            self.names[node] = PIXELS

    def _taken(self, node: fx.Node) -> str:
        if node.op == "placeholder":
            if self.names:
                raise _Unsupported("a second input")
            return PIXELS
        if set(node.all_input_nodes) != {n for n in node.args if isinstance(n, fx.Node)}:
            raise _Unsupported("only positional arguments")
        return self._module(node) if node.op == "call_module" else self._function(node)

    def _named(self, node: fx.Node, error: Exception) -> str:
        if isinstance(error, ValidationError):
            error = _Unsupported(f"{error.errors()[0]['loc'][0]} {error.errors()[0]['input']}")
        if node.op == "placeholder":
            return f"{node.target}: {error}"
        what = type(self.modules[node.target]).__name__ if node.op == "call_module" else _called(node)
        return f"{_path(node)}: {what}{f' ({error})' if str(error) else ''}"

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
        if node.name in self.nodes:
            raise _Unsupported(f"the name {node.name!r} is taken")
        self.nodes[node.name] = node
        return node.name

    def _source(self, name: str, prefix: str, has_bias: bool) -> None:
        weight, bias = f"{prefix}.weight", f"{prefix}.bias" if has_bias else None
        if not {weight, bias} - {None} <= self.keys:
            raise _Unsupported("its weights are computed, not stored")
        self.sources[name] = Source(weight=weight, bias=bias)

    def _convolution(self, node: fx.Node, module: nn.Conv2d, given: str) -> str:
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros" or isinstance(module.padding, str):
            raise _Unsupported("only plain zero padding")
        if module.groups == 1:
            kind: Callable[..., AnyNode] = Conv
        elif module.groups == module.in_channels == module.out_channels:
            kind = DepthwiseConv
        else:
            raise _Unsupported(f"{module.groups} groups of {module.in_channels} channels")
        (vertical, horizontal), name = module.padding, node.name
        self._source(name, str(node.target), module.bias is not None)
        padding = (vertical, horizontal, vertical, horizontal)
        options = {"stride": module.stride, "dilation": module.dilation, "padding": padding}
        return self._add(kind(name=name, inputs=(given,), **options))

    def _linear(self, node: fx.Node, module: nn.Linear, given: str) -> str:
        self._source(node.name, str(node.target), module.bias is not None)
        return self._add(FullyConnected(name=node.name, inputs=(given,)))

    def _flatten(self, given: str) -> str:
        if not isinstance(self.nodes[given], Mean):
            raise _Misplaced("only after the global average")
        return given

    def _batch_norm(self, node: fx.Node, module: nn.BatchNorm2d, given: str) -> str:
        before = self.nodes[given]
        if not isinstance(before, Conv | DepthwiseConv) or before.activation != "none" or self._is_shared(node, given):
            raise _Misplaced("not right after a convolution of its own")
        if module.running_var is None:
            raise _Unsupported("no running statistics")
        norm = Norm(prefix=str(node.target), eps=module.eps, is_affine=module.weight is not None)
        source = self.sources[given]
        self.sources[given] = source.model_copy(update={"norms": (*source.norms, norm)})
        activation = getattr(module, "act", None)
        if activation is None or isinstance(activation, nn.Identity):
            return given
        if type(activation) not in (nn.ReLU, nn.ReLU6):
            raise _Unsupported(f"activation {type(activation).__name__}")
        return self._activate(node, given, "relu6" if isinstance(activation, nn.ReLU6) else "relu")

    def _activate(self, node: fx.Node, given: str, activation: Activation) -> str:
        before = self.nodes[given]
        fits = isinstance(before, Weighted | Add) and before.activation == "none"
        if not fits or self._is_shared(node, given):
            raise _Misplaced("not right after a convolution, an addition or a linear layer of its own")
        self.nodes[given] = before.model_copy(update={"activation": activation})
        return given

    def _is_shared(self, node: fx.Node, given: str) -> bool:
        """Whether anyone but `node` reads what the graph node `given` holds, be it through what passes values on.

        Traced nodes come in the order of execution: one that is not taken in yet, dropout or not, is read later.
        """
        readers = {reader for holder in self.holders[given] for reader in holder.users if reader in self.needed}
        return any(reader is not node and self.names.get(reader) != given for reader in readers)


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
