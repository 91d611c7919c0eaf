"""The graph that every artefact is written from: what a student computes, once, in types, in float or on the int8 grid.

A node is structure (pydantic, so that a graph from a file is checked like any other input); its weights lie beside it in
`Graph.arrays`. Layouts are TFLite's: activations [H, W, C], weights [out, kh, kw, in], depthwise [kh, kw, C].

The int8 scheme is TFLite's specification: weights symmetric per output channel (codes -127..127), activations asymmetric
per tensor (codes -128..127), biases int32 with scale s_in * s_w.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field

from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.section import Section, validate

SCHEMA: Final = "edgekd.graph/1"
LOW, HIGH = -128, 127  # codes of an activation
MAX_SIDE, MAX_CHANNELS, MAX_NODES = 4096, 65536, 4096  # far above any student; keep a hostile file small

Array = np.ndarray
Shape = tuple[int, ...]
Count = Annotated[int, Field(ge=1, le=MAX_SIDE)]
Pixels = Annotated[int, Field(ge=0, le=MAX_SIDE)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Activation = Literal["none", "relu", "relu6"]
Name = Annotated[str, Field(pattern=r"^[\w.]{1,200}$")]


class Grid(Section):
    """The int8 grid of an activation: real = scale * (code - zero_point). `scale` is a float32 value."""

    scale: float = Field(gt=0, allow_inf_nan=False)
    zero_point: int = Field(ge=LOW, le=HIGH)

    def codes(self, real: Array) -> Array:
        """int8 codes of real values, rounded half to even and clamped."""
        return np.clip(np.rint(real / self.scale) + self.zero_point, LOW, HIGH).astype(np.int8)

    def real(self, codes: Array) -> Array:
        """float32 values of codes."""
        return np.float32(self.scale) * (codes.astype(np.float32) - np.float32(self.zero_point))


PIXELS = Grid(scale=1.0, zero_point=LOW)  # uint8 pixels 0..255 as int8 codes: exact


class Node(Section):
    """What all nodes have. `grid` is that of the output: None in a float graph."""

    name: Name
    inputs: tuple[Name, ...]
    grid: Grid | None = None


class Input(Node):
    """RGB pixels 0..255 [size, size, 3], normalized to (pixel - mean) / std, both in pixel units."""

    kind: Literal["input"] = "input"
    inputs: tuple[Name, ...] = Field((), max_length=0)
    size: Count
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Finite, Finite, Finite] = (1.0, 1.0, 1.0)

    @property
    def pixel_grid(self) -> Grid | None:
        """The int8 grid on which `pixel - mean` is exact, with code `pixel - 128`; None where there is none.

        Zeros that a convolution pads with are pixels of the mean. There is such a grid for one mean of all channels, a whole
        one, and no deviation.
        """
        mean = self.mean[0]
        if (
            self.std != (1.0, 1.0, 1.0)
            or set(self.mean) != {mean}
            or not (mean.is_integer() and 0 <= mean <= HIGH - LOW)
        ):
            return None
        return Grid(scale=1.0, zero_point=LOW + int(mean))


class Convolution(Node):
    """A convolution over zero-padded input, its bias, its activation."""

    inputs: tuple[Name, ...] = Field(min_length=1, max_length=1)
    stride: tuple[Count, Count] = (1, 1)
    dilation: tuple[Count, Count] = (1, 1)
    padding: tuple[Pixels, Pixels, Pixels, Pixels] = (0, 0, 0, 0)  # top, left, bottom, right
    activation: Activation = "none"


class Conv(Convolution):
    """Dense: weight [O, kh, kw, I], bias [O]."""

    kind: Literal["conv"] = "conv"


class DepthwiseConv(Convolution):
    """One filter per channel: weight [kh, kw, C], bias [C]."""

    kind: Literal["depthwise_conv"] = "depthwise_conv"


class Add(Node):
    """The sum of two tensors of one shape."""

    kind: Literal["add"] = "add"
    inputs: tuple[Name, ...] = Field(min_length=2, max_length=2)
    activation: Activation = "none"


class Mean(Node):
    """The mean over height and width: [H, W, C] -> [C]."""

    kind: Literal["mean"] = "mean"
    inputs: tuple[Name, ...] = Field(min_length=1, max_length=1)


class FullyConnected(Node):
    """weight [O, I], bias [O]: [I] -> [O]."""

    kind: Literal["fully_connected"] = "fully_connected"
    inputs: tuple[Name, ...] = Field(min_length=1, max_length=1)
    activation: Activation = "none"


AnyNode = Annotated[Input | Conv | DepthwiseConv | Add | Mean | FullyConnected, Field(discriminator="kind")]
Weighted = Conv | DepthwiseConv | FullyConnected


def in_pixels(values: Sequence[float]) -> tuple[float, float, float]:
    """A mean or deviation per channel, in units of pixel / 255, in the units of `Input`: float32 values of 0..255."""
    red, green, blue = (float(np.float32(255 * v)) for v in values)
    return red, green, blue


def no_rule(node: AnyNode, what: str) -> EdgekdError:
    """The error of what takes each kind of node in its own way and meets another; a new kind needs a rule everywhere."""
    return EdgekdError(f"graph node {node.name!r}", f"a kind of node that {what} has a rule for", repr(node.kind))


class Structure(Section):
    """A graph without its weights, as files hold it."""

    schema_: Literal["edgekd.graph/1"] = Field(SCHEMA, alias="schema")
    nodes: tuple[AnyNode, ...] = Field(min_length=2, max_length=MAX_NODES)


@dataclass(frozen=True, eq=False)
class Graph:
    """Nodes in the order of execution; the first is the only input, the last gives the logits.

    `arrays`: "NAME.weight" and "NAME.bias", float32; on the int8 grid weights are int8 codes, biases int32 codes, and
    "NAME.weight_scale" is [O] float32.
    Raises: EdgekdError if nodes, shapes, types or grids do not fit together.
    """

    nodes: tuple[AnyNode, ...]
    arrays: dict[str, Array]

    def __post_init__(self) -> None:
        _check(self)

    @property
    def input(self) -> Input:
        """The input node."""
        first = self.nodes[0]
        assert isinstance(first, Input)  # as `_check` has seen
        return first

    @property
    def output(self) -> AnyNode:
        """The node that gives the logits."""
        return self.nodes[-1]

    @property
    def is_quantized(self) -> bool:
        """Whether the graph is on the int8 grid."""
        return self.input.grid is not None

    @cached_property
    def by_name(self) -> dict[str, AnyNode]:
        """Nodes by name."""
        return {node.name: node for node in self.nodes}

    @cached_property
    def shapes(self) -> dict[str, Shape]:
        """Output shape of every node, without the batch: (H, W, C) or (C,)."""
        return _shapes(self)

    def grid(self, name: str) -> Grid:
        """The int8 grid of a node's output."""
        grid = self.by_name[name].grid
        if grid is None:
            raise ValueError(f"{name} is not on the int8 grid")
        return grid

    def weight(self, node: AnyNode) -> Array:
        """Weights as they lie in the graph: float32, or int8 codes."""
        return self.arrays[f"{node.name}.weight"]

    def bias(self, node: AnyNode) -> Array:
        """Biases [O]: float32, or int32 codes of scale `bias_scale`."""
        return self.arrays[f"{node.name}.bias"]

    def weight_scale(self, node: AnyNode) -> Array:
        """Scales [O] float32 of int8 weights."""
        return self.arrays[f"{node.name}.weight_scale"]

    def bias_scale(self, node: AnyNode) -> Array:
        """Scales [O] float32 of int32 biases: s_in * s_w, multiplied in float32 as TFLite checks it."""
        return np.float32(self.grid(node.inputs[0]).scale) * self.weight_scale(node)

    def save(self, path: Path) -> None:
        """Write the graph as safetensors whose metadata is the structure."""
        import safetensors.numpy

        nodes = [node.model_dump(mode="json") for node in self.nodes]
        arrays = {name: np.ascontiguousarray(array) for name, array in self.arrays.items()}
        metadata = {"graph": json.dumps({"schema": SCHEMA, "nodes": nodes})}
        write_atomic(path, safetensors.numpy.save(arrays, metadata))

    @classmethod
    def load(cls, path: str | Path) -> Graph:
        """Read and check what `save` wrote.

        Raises: EdgekdError for a file that is missing, damaged or no graph.
        """
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                text = (file.metadata() or {}).get("graph", "")
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            values: Any = json.loads(text)
        except (OSError, SafetensorError, ValueError, TypeError, AttributeError, RecursionError) as e:
            raise EdgekdError(str(path), f"a graph of schema {SCHEMA}", f"{type(e).__name__}: {e}") from None
        structure = validate(Structure, values, str(path), from_json=True)
        return cls(structure.nodes, arrays)


def _check(graph: Graph) -> None:
    names = [node.name for node in graph.nodes]
    if len(set(names)) != len(names):
        raise EdgekdError("graph", "one name per node", "a name that occurs twice")
    kinds = [node.kind for node in graph.nodes]
    if kinds[:1] != ["input"] or kinds.count("input") != 1:
        raise EdgekdError("graph", "one input, as the first node", "another order")
    quantized = graph.is_quantized
    for index, node in enumerate(graph.nodes):
        where = f"graph node {node.name!r} ({node.kind})"
        if missing := [name for name in node.inputs if name not in names[:index]]:
            raise EdgekdError(where, "inputs that were computed before", f"{missing[0]!r}")
        if (node.grid is not None) != quantized:
            raise EdgekdError(where, "a grid on all nodes or on none", "a mixture")
        if quantized and isinstance(node, Input) and node.grid != node.pixel_grid:
            raise EdgekdError(
                where, "the int8 grid of pixels less one whole grey", f"{node.grid}, mean {node.mean}, std {node.std}"
            )
        if isinstance(node, Weighted):
            _check_arrays(graph, node, where, quantized)
    expected = {f"{n.name}.{part}" for n in graph.nodes if isinstance(n, Weighted) for part in _parts(quantized)}
    if extra := sorted(set(graph.arrays) - expected):
        raise EdgekdError("graph", "arrays of its nodes", f"{extra[0]!r}")
    if len(graph.shapes[graph.output.name]) != 1:
        raise EdgekdError("graph", "logits [K] as the last output", f"shape {graph.shapes[graph.output.name]}")


def _parts(quantized: bool) -> tuple[str, ...]:
    return ("weight", "bias", "weight_scale") if quantized else ("weight", "bias")


def _check_arrays(graph: Graph, node: AnyNode, where: str, quantized: bool) -> None:
    types = {"weight": np.int8, "bias": np.int32, "weight_scale": np.float32} if quantized else {}
    for part in _parts(quantized):
        array = graph.arrays.get(f"{node.name}.{part}")
        expected = np.dtype(types.get(part, np.float32))
        if array is None or array.dtype != expected:
            raise EdgekdError(where, f"{part} of type {expected}", "none" if array is None else str(array.dtype))
        if expected == np.float32 and not np.isfinite(array).all():
            raise EdgekdError(where, f"finite {part}", "NaN or infinity")
    weight, outputs = graph.weight(node), weight_outputs(node, graph.weight(node))
    rank = {"conv": 4, "depthwise_conv": 3, "fully_connected": 2}[node.kind]
    if weight.ndim != rank or not all(0 < n <= MAX_CHANNELS for n in weight.shape):
        raise EdgekdError(where, f"a weight of rank {rank}", f"shape {weight.shape}")
    for part in _parts(quantized)[1:]:
        if graph.arrays[f"{node.name}.{part}"].shape != (outputs,):
            raise EdgekdError(where, f"{part} [{outputs}]", f"{graph.arrays[f'{node.name}.{part}'].shape}")
    if quantized and not (graph.weight_scale(node) > 0).all():
        raise EdgekdError(where, "positive weight scales", "0 or less")


def weight_outputs(node: AnyNode, weight: Array) -> int:
    """The number of output channels of a weight."""
    return weight.shape[-1] if node.kind == "depthwise_conv" else weight.shape[0]


def _shapes(graph: Graph) -> dict[str, Shape]:
    found: dict[str, Shape] = {}
    for node in graph.nodes:
        where = f"graph node {node.name!r} ({node.kind})"
        given = [found[name] for name in node.inputs]
        if isinstance(node, Input):
            found[node.name] = (node.size, node.size, 3)
        elif isinstance(node, Conv | DepthwiseConv):
            found[node.name] = _convolved(node, given[0], graph.weight(node), where)
        elif isinstance(node, Add):
            if given[0] != given[1]:
                raise EdgekdError(where, "two inputs of one shape", f"{given[0]} and {given[1]}")
            found[node.name] = given[0]
        elif isinstance(node, Mean):
            if len(given[0]) != 3:
                raise EdgekdError(where, "an input [H, W, C]", f"{given[0]}")
            found[node.name] = given[0][2:]
        elif isinstance(node, FullyConnected):
            weight = graph.weight(node)
            if given[0] != weight.shape[1:]:
                raise EdgekdError(where, f"an input {weight.shape[1:]}", f"{given[0]}")
            found[node.name] = weight.shape[:1]
        else:
            raise no_rule(node, "the graph")
    return found


def _convolved(node: Conv | DepthwiseConv, given: Shape, weight: Array, where: str) -> Shape:
    channels = weight.shape[2] if isinstance(node, DepthwiseConv) else weight.shape[3]
    if len(given) != 3 or given[2] != channels:
        raise EdgekdError(where, f"an input [H, W, {channels}]", f"{given}")
    kernel = weight.shape[:2] if isinstance(node, DepthwiseConv) else weight.shape[1:3]
    top, left, bottom, right = node.padding
    sides = []
    for length, k, s, d in zip(
        (given[0] + top + bottom, given[1] + left + right), kernel, node.stride, node.dilation, strict=True
    ):
        span = d * (k - 1) + 1
        if length < span:
            raise EdgekdError(where, f"an input of at least {span} px with its padding", f"{length} px")
        sides.append((length - span) // s + 1)
    return (*sides, weight_outputs(node, weight))


def macs(graph: Graph) -> int:
    """Multiply-accumulates of one image in convolutions and the fully connected layer."""
    total = 0
    for node in graph.nodes:
        if isinstance(node, Weighted):
            places = math.prod(graph.shapes[node.name][:2]) if node.kind != "fully_connected" else 1
            total += places * graph.weight(node).size
    return total
