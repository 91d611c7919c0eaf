"""From trained weights to the arrays of a float graph, in NumPy: layouts, batch normalization, pixel normalization.

Lowering and a bundle's graph both fold here, so that the graph read from a bundle equals the lowered one to the bit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import numpy as np
from pydantic import Field

from edgekd.errors import EdgekdError, several
from edgekd.files import write_atomic
from edgekd.quantization.graph import (
    HIGH,
    LOW,
    MAX_NODES,
    AnyNode,
    Array,
    Conv,
    DepthwiseConv,
    Graph,
    Name,
    Weighted,
)
from edgekd.section import Section, validate

SCHEMA: Final = "edgekd.float_graph/1"
MAX_BYTES = 4 * 2**20  # of the file; a student's is some ten KiB
MAX_WEIGHTS = 2**28  # of all nodes together, as many of them may name one tensor
ROUTES = "the generic converters: --via litert-torch, or --onnx FILE for an ONNX file of your own"

Key = Annotated[str, Field(min_length=1, max_length=500)]  # of a tensor in the weights file
Tensors = Mapping[str, Array]


class Norm(Section):
    """A batch normalization: PREFIX.running_mean and .running_var [O]; PREFIX.weight and .bias [O] where it is affine."""

    prefix: Key
    eps: float = Field(gt=0, allow_inf_nan=False)
    is_affine: bool = True

    @property
    def keys(self) -> dict[str, str]:
        """The names of its tensors by part."""
        parts = ("running_mean", "running_var", *(("weight", "bias") if self.is_affine else ()))
        return {part: f"{self.prefix}.{part}" for part in parts}


class Source(Section):
    """Where the arrays of a node come from: tensors in torch's layouts, and the normalizations folded in, in order."""

    weight: Key  # [O, I, kh, kw] of a convolution, [C, 1, kh, kw] of a depthwise one, [O, I] of a linear layer
    bias: Key | None = None  # [O]; zeros without
    norms: tuple[Norm, ...] = Field((), max_length=8)

    @property
    def keys(self) -> list[str]:
        """The names of all its tensors."""
        return [self.weight, *([self.bias] if self.bias else []), *(k for n in self.norms for k in n.keys.values())]


class UnfoldedGraph(Section):
    """A float graph whose weights lie as the network has them: the nodes, and the source of every weighted one."""

    schema_: Literal["edgekd.float_graph/1"] = Field(SCHEMA, alias="schema")
    nodes: tuple[AnyNode, ...] = Field(min_length=2, max_length=MAX_NODES)
    sources: dict[Name, Source] = Field(max_length=MAX_NODES)

    def save(self, path: Path) -> None:
        """Write as JSON, one line for each node and each source."""
        values = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        nodes = ",\n".join(f"  {json.dumps(node)}" for node in values["nodes"])
        sources = ",\n".join(f"  {json.dumps(name)}: {json.dumps(s)}" for name, s in values["sources"].items())
        schema = json.dumps(values["schema"])
        write_atomic(path, f'{{\n "schema": {schema},\n "nodes": [\n{nodes}\n ],\n "sources": {{\n{sources}\n }}\n}}\n')

    @classmethod
    def load(cls, path: Path) -> UnfoldedGraph:
        """Read and check what `save` wrote.

        Raises: EdgekdError for a file that is missing, too large, damaged or no graph.
        """
        try:
            if (size := path.stat().st_size) > MAX_BYTES:
                raise EdgekdError(str(path), f"at most {MAX_BYTES} bytes", f"{size} bytes")
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as e:
            raise EdgekdError(str(path), f"a graph of schema {SCHEMA}", f"{type(e).__name__}: {e}") from None
        return validate(cls, values, str(path), from_json=True)

    @property
    def keys(self) -> set[str]:
        """The names of the tensors that it needs."""
        return {key for source in self.sources.values() for key in source.keys}

    def fold(self, tensors: Tensors, where: str = "graph") -> Graph:
        """The float graph; `tensors` has those of `keys`, of any float type.

        Raises: EdgekdError that lists every tensor which is missing, not finite or of another shape than its node needs.
        """
        nodes = {node.name: node for node in self.nodes if isinstance(node, Weighted)}
        problems = [f"{name}: no source of its weights" for name in nodes if name not in self.sources]
        problems += [f"{name}: a source, but no node with weights" for name in self.sources if name not in nodes]
        total = sum(np.size(tensors[s.weight]) for s in self.sources.values() if s.weight in tensors)
        if total > MAX_WEIGHTS:
            raise EdgekdError(where, f"at most {MAX_WEIGHTS} weights", f"{total}")
        arrays: dict[str, Array] = {}
        for name, source in self.sources.items():
            missing = [key for key in source.keys if key not in tensors]
            problems += [f"{name}: no tensor {key!r} among the weights" for key in missing]
            if missing or name not in nodes:
                continue
            try:
                with np.errstate(over="ignore"):  # the graph refuses infinity
                    found = _folded(nodes[name], source, tensors)
                arrays[f"{name}.weight"], arrays[f"{name}.bias"] = found
            except _Misfit as e:
                problems.append(f"{name}: {e}")
        if problems:
            raise several(where, problems)
        return Graph(self.nodes, arrays)


class _Misfit(Exception):
    """A tensor that its node cannot have."""


def _folded(node: Weighted, source: Source, tensors: Tensors) -> tuple[Array, Array]:
    """Weight in the graph's layout and bias [O], float32. Products are taken in float64 and rounded once for each norm."""
    weight = _layout(node, _float32(tensors, source.weight), source.weight)
    outputs = (weight.shape[-1] if isinstance(node, DepthwiseConv) else len(weight),)
    bias = _float32(tensors, source.bias, outputs) if source.bias else np.zeros(outputs, np.float32)
    for norm in source.norms:
        weight, bias = _normalized(node, weight, bias, norm, tensors)
    return np.ascontiguousarray(weight), bias


def _layout(node: Weighted, weight: Array, key: str) -> Array:
    rank = 4 if isinstance(node, Conv | DepthwiseConv) else 2
    is_depthwise = isinstance(node, DepthwiseConv)
    if weight.ndim != rank or not weight.size or (is_depthwise and weight.shape[1] != 1):
        raise _Misfit(f"{key!r} has the shape {weight.shape}")
    if is_depthwise:
        return weight[:, 0].transpose(1, 2, 0)
    return weight.transpose(0, 2, 3, 1) if isinstance(node, Conv) else weight


def _normalized(node: Weighted, weight: Array, bias: Array, norm: Norm, tensors: Tensors) -> tuple[Array, Array]:
    """y = (x - mean) / sqrt(var + eps) * gamma + beta, folded into what gives x (Jacob et al., CVPR 2018, section 3.2)."""
    parts = {part: _float32(tensors, key, bias.shape).astype(np.float64) for part, key in norm.keys.items()}
    if (parts["running_var"] + norm.eps <= 0).any():
        raise _Misfit(f"{norm.keys['running_var']!r} is negative")
    gain, shift = 1 / np.sqrt(parts["running_var"] + norm.eps), np.zeros(bias.shape)
    if norm.is_affine:
        gain, shift = gain * parts["weight"], parts["bias"]
    along = gain if isinstance(node, DepthwiseConv) else gain.reshape(-1, *[1] * (weight.ndim - 1))
    return (weight * along).astype(np.float32), (shift + (bias - parts["running_mean"]) * gain).astype(np.float32)


def _float32(tensors: Tensors, key: str, shape: tuple[int, ...] | None = None) -> Array:
    array = np.asarray(tensors[key])
    if array.dtype.kind != "f":
        raise _Misfit(f"{key!r} is of type {array.dtype}")
    if shape is not None and array.shape != shape:
        raise _Misfit(f"{key!r} has the shape {array.shape}, not {shape}")
    if not np.isfinite(array).all():
        raise _Misfit(f"{key!r} holds NaN or infinity")
    return array.astype(np.float32)


def fold_normalization(graph: Graph, grey: float | None = None) -> Graph:
    """The same graph on pixels less one whole `grey`: what is left of (x - mean) / std goes into the convolutions after it.

    Only where the input is zero-padded do the two differ: the border is then that grey instead of the mean colour. So it is
    by default the one next to the mean. With 0, black, a student's logits move by more than all rounding moves them
    (`benchmarks/int8_flips.py`).
    """
    source = graph.input
    if grey is None:
        grey = float(np.clip(np.rint(np.mean(source.mean)), 0, HIGH - LOW))
    mean, std = np.array(source.mean, np.float64) - grey, np.array(source.std, np.float64)
    arrays = dict(graph.arrays)
    for node in graph.nodes:
        if source.name not in node.inputs:
            continue
        if not isinstance(node, Conv | DepthwiseConv):
            raise EdgekdError(
                f"graph node {node.name!r}", "a convolution as the reader of the input", node.kind, ROUTES
            )
        weight = graph.weight(node).astype(np.float64) / std
        bias = graph.bias(node) - (weight * mean).sum((1, 2, 3) if isinstance(node, Conv) else (0, 1))
        arrays[f"{node.name}.weight"], arrays[f"{node.name}.bias"] = weight.astype(np.float32), bias.astype(np.float32)
    centred = source.model_copy(update={"mean": (grey, grey, grey), "std": (1.0, 1.0, 1.0)})
    return Graph((centred, *graph.nodes[1:]), arrays)
