"""The graph of a Keras model while it grows: nodes, weights, what is still scaled pixels, what has zeros around it.

Weights are kept in torch's layouts, as every bundle has them, so that one folding serves both.
"""

from __future__ import annotations

import re
from typing import Any

import keras
import numpy as np

from edgekd.keras.calls import INPUT, Call, Calls
from edgekd.quantization.folding import Norm, Source
from edgekd.quantization.graph import (
    Activation,
    Add,
    AnyNode,
    Array,
    Convolution,
    FullyConnected,
    Input,
    Mean,
    Weighted,
    in_pixels,
)

PIXELS = "pixels"  # the input node
ENDINGS = ("softmax", "sigmoid")
Colour = tuple[float, float, float]
Sides = tuple[int, int, int, int]  # top, left, bottom, right
NO_ZEROS: Sides = (0, 0, 0, 0)


class Unsupported(Exception):
    """Why a call has no place in the graph."""


class Misplaced(Unsupported):
    """A layer that the graph has, but not after what it follows."""


class Builder:
    """`names` says which node holds each value, `pads` what zeros lie around a value beside.

    `scaled` has the values that are scale · pixel + offset [3] still, `ended` those that are no logits any more. `sources` says
    where the weights of the nodes lie in `tensors`.
    """

    def __init__(self, calls: Calls, size: int) -> None:
        self.readers, self.output = calls.readers(), calls.output
        self.nodes: dict[str, AnyNode] = {PIXELS: Input(name=PIXELS, size=size)}
        self.shapes: dict[str, tuple[int, ...]] = {PIXELS: (size, size, 3)}
        self.sources: dict[str, Source] = {}
        self.tensors: dict[str, Array] = {}
        self.names: dict[int, str] = {INPUT: PIXELS}
        self.pads: dict[int, Sides] = {}
        self.scaled: dict[int, tuple[Array, Array]] = {INPUT: (np.ones(3), np.zeros(3))}
        self.read_as: int | None = None  # the scaled value that the first convolution reads
        self.ended: dict[int, str] = {}

    @property
    def holders(self) -> dict[str, int]:
        """The value that each node stands for, activation and all."""
        found = {name: v for v, name in self.names.items() if v not in self.pads and v not in self.ended}
        return found | {PIXELS: next(v for v in self.scaled if v not in self.pads and self._is_read_as(v))}

    @property
    def normalization(self) -> tuple[Colour, Colour]:
        """Mean and deviation [3] in units of pixel / 255, as an input contract has them."""
        scale, offset = self.scaled[INPUT if self.read_as is None else self.read_as]
        return _colour(0.0 - offset / scale / 255), _colour(1 / scale / 255)

    def shape(self, value: int) -> tuple[int, ...]:
        """The shape of a value's node, without the batch."""
        return self.shapes[self.names[value]]

    def passed(self, call: Call, given: int) -> str:
        """The same value under another number."""
        if given in self.scaled:
            self.scaled[call.result] = self.scaled[given]
        if given in self.pads:
            self.pads[call.result] = self.pads[given]
        return self.names[given]

    def rescaled(self, call: Call, given: int, scale: Any, offset: Any) -> str:
        """scale · value + offset of what is the pixels, scaled, still."""
        if given not in self.scaled or given in self.pads:
            raise Misplaced("only at the input")
        by, to = (np.broadcast_to(np.ravel(np.asarray(v, np.float64)), 3) for v in (scale, offset))
        own, shift = self.scaled[given]
        self.scaled[call.result] = own * by, shift * by + to
        return PIXELS

    def padded(self, call: Call, given: int, zeros: Sides) -> str:
        """A value with zeros around it, for a convolution to read."""
        old = self.pads.get(given, NO_ZEROS)
        name = self.passed(call, given)
        top, left, bottom, right = (a + b for a, b in zip(old, zeros, strict=True))
        self.pads[call.result] = (top, left, bottom, right)
        return name

    def convolution(self, name: str, layer: Any, given: int, kind: type[Convolution], outputs: int) -> None:
        """The node of a convolution over what it reads, with the zeros around it that Keras puts there."""
        before = self.shape(given)
        if len(before) != 3:
            raise Misplaced("after the pooling")
        if given in self.scaled:
            self._reads_pixels(given)
        top, left, bottom, right = self.pads.get(given, NO_ZEROS)
        stride, dilation = tuple(layer.strides), tuple(layer.dilation_rate)
        lengths, more, sides = (before[0] + top + bottom, before[1] + left + right), [], []
        for length, k, s, d in zip(lengths, layer.kernel_size, stride, dilation, strict=True):
            span = d * (k - 1) + 1
            more.append(same(length, span, s) if layer.padding == "same" else (0, 0))
            sides.append((length + sum(more[-1]) - span) // s + 1)
        padding = (top + more[0][0], left + more[1][0], bottom + more[0][1], right + more[1][1])
        options: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding}
        node: Any = kind(name=name, inputs=(self.names[given],), **options)
        self.nodes[name], self.shapes[name] = node, (*sides, outputs)

    def _reads_pixels(self, given: int) -> None:
        if self.read_as is None:
            self.read_as = given
        if not self._is_read_as(given):
            raise Unsupported("pixels that are normalized in another way than elsewhere")

    def _is_read_as(self, value: int) -> bool:
        """Whether the pixels are scaled as those that convolutions read."""
        return np.array_equal(self.scaled[INPUT if self.read_as is None else self.read_as], self.scaled[value])

    def weights(self, name: str, weight: Array, layer: Any = None) -> None:
        """Keep a node's weight, and the bias of `layer` if it has one."""
        self.tensors[f"{name}.weight"] = weight
        has_bias = layer is not None and layer.use_bias
        if has_bias:
            self.tensors[f"{name}.bias"] = array(layer.bias)
        self.sources[name] = Source(weight=f"{name}.weight", bias=f"{name}.bias" if has_bias else None)

    def normalized(self, call: Call, given: int, eps: float, parts: dict[str, Array | None]) -> str:
        """A batch normalization, to be folded into what comes before; `parts` [O] by torch's names."""
        name = self.names[given]
        before = self.nodes[name]
        fits = isinstance(before, Weighted) and before.activation == "none" and given not in self.pads
        if not fits or self._is_shared(call, name):
            raise Misplaced("not right after a convolution of its own")
        prefix, count = plain(call.path), self.shapes[name][-1]
        for part, values in parts.items():
            neutral = np.full(count, float(part == "weight"), np.float32)
            self.tensors[f"{prefix}.{part}"] = neutral if values is None else values
        source = self.sources[name]
        self.sources[name] = source.model_copy(update={"norms": (*source.norms, Norm(prefix=prefix, eps=eps))})
        return name

    def mean(self, call: Call, given: int) -> str:
        """The mean over all positions."""
        before = self.names[given]
        if given in self.pads or before == PIXELS or len(self.shapes[before]) != 3:
            raise Misplaced("not after a convolution or an addition")
        name = self.new_name(call.path)
        self.nodes[name], self.shapes[name] = Mean(name=name, inputs=(before,)), self.shapes[before][2:]
        return name

    def added(self, call: Call) -> str:
        """The sum of two values."""
        names = [self.names[v] for v in call.given]
        if len(names) != 2 or any(v in self.pads for v in call.given) or PIXELS in names:
            raise Misplaced(f"of {len(names)} values, not of two convolutions' or additions'")
        name = self.new_name(call.path)
        self.nodes[name], self.shapes[name] = Add(name=name, inputs=(names[0], names[1])), self.shapes[names[0]]
        return name

    def activated(self, call: Call, given: int, activation: str) -> str:
        """An activation that follows as a layer of its own."""
        name = self.names[given]
        if activation == "linear":
            return self.passed(call, given)
        if given in self.pads or self._is_shared(call, name):
            raise Misplaced("not right after a convolution, an addition or a dense layer of its own")
        return self.fused(call, name, activation)

    def fused(self, call: Call, name: str, activation: str) -> str:
        """An activation as part of the node before it; the last softmax or sigmoid is left to the file."""
        if activation == "linear":
            return name
        if activation in ENDINGS and self.output == call.result:
            self.ended[call.result] = activation
            return name
        if activation not in ("relu", "relu6"):
            raise Unsupported(f"activation {activation}")
        before = self.nodes[name]
        if not isinstance(before, Weighted | Add) or before.activation != "none":
            raise Misplaced("not right after a convolution, an addition or a dense layer of its own")
        found: Activation = "relu6" if activation == "relu6" else "relu"
        self.nodes[name] = before.model_copy(update={"activation": found})
        return name

    def finish(self) -> list[str]:
        """Make the output logits of at least two classes, and set the input's normalization; gives what is in the way."""
        node, ending = self.nodes[self.names[self.output]], self.ended.get(self.output, "linear")
        shape = self.shapes[node.name]
        if not isinstance(node, FullyConnected | Mean) or self.output in self.pads:
            return [f"output: {node.kind} of shape {shape}, not logits"]
        if ending == "sigmoid" and shape != (1,):
            return [f"output: {shape[0]} sigmoids, not one answer out of several classes"]
        if shape == (1,) and not self._two_of_one(node):
            return ["output: one value that is not a dense layer's"]
        mean, std = self.normalization
        if min(std) <= 0:
            return ["input: pixels that are turned around (a negative scale)"]
        update = {"mean": in_pixels(mean), "std": in_pixels(std)}
        self.nodes[PIXELS] = self.nodes[PIXELS].model_copy(update=update)
        return []

    def _two_of_one(self, node: AnyNode) -> bool:
        """The logit z of the second of two classes as logits (-z/2, z/2), which have the same softmax."""
        source = self.sources.get(node.name)
        if source is None or source.norms or getattr(node, "activation", "none") != "none":
            return False
        for key in source.keys:
            self.tensors[key] = np.concatenate([-self.tensors[key] / 2, self.tensors[key] / 2])
        self.shapes[node.name] = (2,)
        return True

    def new_name(self, path: str) -> str:
        """A layer's path as a node's name; a second call of the layer gets a number."""
        name, number = plain(path), 2
        while name in self.nodes:
            name, number = f"{plain(path)}.{number}", number + 1
        return name

    def _is_shared(self, call: Call, name: str) -> bool:
        """Whether anyone but `call` reads what the node `name` holds, be it through what passes values on."""
        held = [v for v, holder in self.names.items() if holder == name]
        readers = {r for v in held for r in self.readers[v] if r != call.result}
        return any(self.names.get(r) != name for r in readers)


def same(length: int, span: int, stride: int) -> tuple[int, int]:
    """Zeros before and after a side with padding 'same': for stride 2 the odd one comes after (TensorFlow's rule)."""
    total = max((-(-length // stride) - 1) * stride + span - length, 0)
    return total // 2, total - total // 2


def _colour(values: Array) -> Colour:
    red, green, blue = map(float, values)
    return red, green, blue


def array(variable: Any) -> Array:
    """A Keras variable or tensor as float32."""
    return np.asarray(keras.ops.convert_to_numpy(getattr(variable, "value", variable)), np.float32)


def plain(path: str) -> str:
    """A path of layer names as a node's name may be."""
    return re.sub(r"[^\w.]", "_", path.replace("/", "."))[:190]
