"""Fake quantization: the graph as a torch network that rounds as the int8 file will, and can be trained while it does.

Every activation has a range that is learnt: its gradient is that of the clipped values (Choi et al., PACT, 2018), rounding
passes gradients straight through. Weights are on the per-channel grid of max|w| / 127, biases on the int32 grid.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.networks.taps import EMBEDDING, Outputs
from edgekd.quantization.graph import (
    HIGH,
    LOW,
    Activation,
    Add,
    AnyNode,
    Convolution,
    DepthwiseConv,
    FullyConnected,
    Graph,
    Grid,
    Input,
    Mean,
    no_rule,
)
from edgekd.quantization.tapping import taps_of

WEIGHT_CODES = 127  # symmetric: -127..127
SMALLEST_WEIGHT_SCALE = 1e-8  # of a channel whose weights are all zero; keeps runtimes' multipliers in range
LARGEST_BIAS_CODE = 2.0**30
SMALLEST_RANGE = 1e-4

Observer = Callable[[str, Tensor], None]


class FakeQuantNetwork(nn.Module):
    """A float graph on pixels less one grey, computed in float or, with `quantizing`, on the int8 grid.

    Shapes: views [B, 3, H, W] float, 0..255 -> logits [B, K]. In float `observer` sees every activation.
    """

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        if graph.is_quantized or graph.input.pixel_grid is None:
            raise ValueError("expected a float graph whose normalization is folded")
        self.structure, self.size, self.grey = graph.nodes, graph.input.size, graph.input.mean[0]
        self.layers = nn.ModuleList(layer_of(graph, node) for node in graph.nodes[1:])
        self.ranges = nn.ModuleList(LearntRange(getattr(node, "activation", "none")) for node in graph.nodes[1:])
        self.quantizing = False
        self.observer: Observer | None = None

    def forward(self, views: Tensor) -> Tensor:
        """Logits of pixel views."""
        return self._values(views)[self.structure[-1].name].flatten(1)

    def tapped(self, views: Tensor, names: Sequence[str]) -> Outputs:
        """Logits of pixel views, and the float network's taps as the graph holds them."""
        values = self._values(views)
        features = {
            name: values[node] for name, node in taps_of(self.structure, values, self.size).items() if name in names
        }
        if EMBEDDING in features:
            features[EMBEDDING] = features[EMBEDDING].flatten(1)
        return Outputs(values[self.structure[-1].name].flatten(1), features)

    def tap_names(self) -> tuple[str, ...]:
        """The taps that a graph has: a mean ends the maps."""
        with torch.no_grad():
            device = next(self.parameters()).device
            values = self._values(torch.zeros(1, 3, self.size, self.size, device=device))
            return tuple(taps_of(self.structure, values, self.size))

    def _values(self, views: Tensor) -> dict[str, Tensor]:
        """What every node gives, by name."""
        if views.shape[-1] != self.size or views.shape[-2] != self.size:
            views = functional.interpolate(views, (self.size, self.size), mode="bilinear", antialias=True)
        # A view may lie between two grey values; the file sees bytes.
        first = views.clamp(0, 255).round() - self.grey
        values, scales = {self.structure[0].name: first}, {self.structure[0].name: torch.ones((), device=views.device)}
        for node, layer, learnt in self._steps():
            given = [values[name] for name in node.inputs]
            if self.quantizing:
                scale, zero_point = learnt.parameters_of_grid()
                values[node.name] = learnt.quantize(layer(*given, scales[node.inputs[0]]), scale, zero_point)
                scales[node.name] = scale
            else:
                values[node.name] = learnt.activate(layer(*given, None))
                if self.observer:
                    self.observer(node.name, values[node.name])
        return values

    def _steps(self) -> Iterator[tuple[AnyNode, nn.Module, LearntRange]]:
        """Every node after the input, with its layer and its range."""
        for node, layer, learnt in zip(self.structure[1:], self.layers, self.ranges, strict=True):
            assert isinstance(learnt, LearntRange)  # a ModuleList does not say of what
            yield node, layer, learnt

    def set_ranges(self, ranges: dict[str, tuple[float, float]]) -> None:
        """Set the range (low, high) of every activation and quantize from now on."""
        for node, _, learnt in self._steps():
            learnt.set(*ranges[node.name])
        self.quantizing = True

    @torch.no_grad()
    def graph(self) -> Graph:
        """The graph on the int8 grid, with just the scales, zero points and codes that `forward` uses now."""
        first = self.structure[0]
        assert isinstance(first, Input)
        nodes: list[AnyNode] = [first.model_copy(update={"grid": first.pixel_grid})]
        arrays: dict[str, np.ndarray] = {}
        scales: dict[str, Tensor] = {nodes[0].name: torch.ones(())}
        for node, layer, learnt in self._steps():
            scale, zero_point = (t.cpu() for t in learnt.parameters_of_grid())
            scales[node.name] = scale
            grid = Grid(scale=float(scale), zero_point=int(zero_point))
            nodes.append(node.model_copy(update={"grid": grid}))
            if isinstance(layer, _Weighted):
                codes = layer.codes(scales[node.inputs[0]].to(layer.weight.device))
                arrays.update({f"{node.name}.{part}": array for part, array in codes.items()})
        return Graph(tuple(nodes), arrays)


class LearntRange(nn.Module):
    """The range [low, high] of one activation and the int8 grid that spans it; `low` is 0 after a ReLU."""

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation
        self.signed = activation == "none"
        self.low = nn.Parameter(torch.zeros(()), requires_grad=self.signed)
        self.high = nn.Parameter(torch.ones(()))

    def set(self, low: float, high: float) -> None:
        """Set the range; 0 always lies in it."""
        with torch.no_grad():
            self.low.fill_(min(low, 0.0) if self.signed else 0.0)
            self.high.fill_(max(high, SMALLEST_RANGE))

    def activate(self, x: Tensor) -> Tensor:
        """The activation alone, in float."""
        return activated(x, self.activation)

    def parameters_of_grid(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point (int32) of the grid."""
        low = self.low.detach().clamp(max=0)
        high = self.high.detach().clamp(min=SMALLEST_RANGE)
        if self.activation == "relu6":
            high = high.clamp(max=6.0)
        scale = (high - low) / (HIGH - LOW)
        return scale, torch.round(LOW - low / scale).clamp(LOW, HIGH).to(torch.int32)

    def quantize(self, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        """`x` activated and rounded to the grid: clamping to a grid from 0 to at most 6 is the activation already."""
        rounding = _Quantize if x.device.type == "cpu" else _QuantizeAtOnce
        return rounding.apply(x, self.low, self.high, scale, zero_point)


class _Quantize(torch.autograd.Function):
    """Rounds to the grid. Gradients: straight through inside the range; clipped values pass theirs to the bound.

    For processors: torch's own operator goes value by value there and takes half of a training step, and so do products with
    masks. Each of these goes over vectors, and gives the same to the bit.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, high: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        lowest, highest = float(LOW - zero_point), float(HIGH - zero_point)  # of what codes are above the zero point
        steps = (x * (1 / scale)).round_()
        ctx.save_for_backward(steps)
        ctx.bounds = lowest - 0.5, highest + 0.5  # the gradients below leave out bounds themselves
        return steps.clamp(lowest, highest).mul_(scale)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (steps,), (lowest, highest) = ctx.saved_tensors, ctx.bounds

        def between(low: float, high: float) -> Tensor:
            """The gradient where the value lies between both, 0 elsewhere."""
            return torch.ops.aten.hardtanh_backward(grad, steps, low, high)

        above = below = None
        if ctx.needs_input_grad[2]:  # a bound at 0 stays there
            above = between(highest, math.inf).sum() if highest > 0.5 else grad.new_zeros(())
        if ctx.needs_input_grad[1]:
            below = between(-math.inf, lowest).sum() if lowest < -0.5 else grad.new_zeros(())
        return between(lowest, highest), below, above, None, None


class _QuantizeAtOnce(torch.autograd.Function):
    """The same for other devices, where one operator is one pass and a bound as a number would have to be waited for."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, low: Tensor, high: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        y, inside = torch.ops.aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams(
            x, scale, zero_point, torch.ones(1, device=x.device), LOW, HIGH
        )
        ctx.save_for_backward(y, inside)
        return y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, inside = ctx.saved_tensors
        to_input = grad * inside
        clipped = grad - to_input
        above = (clipped * (y > 0)).sum() if ctx.needs_input_grad[2] else None
        below = (clipped * (y < 0)).sum() if ctx.needs_input_grad[1] else None
        return to_input, below, above, None, None


class _StraightThrough(torch.autograd.Function):
    """The rounded values; the gradient is that of the values before rounding."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, rounded: Tensor) -> Tensor:
        return rounded

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        return grad, None


class _Weighted(nn.Module):
    """What convolutions and linear layers share: weight and bias on their grids."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.tensor(weight)), nn.Parameter(torch.tensor(bias))

    def weight_scale(self, input_scale: Tensor) -> Tensor:
        """[O]: max|w| / 127, but so large that the bias fits into int32."""
        largest = self.weight.detach().abs().flatten(1).amax(1) / WEIGHT_CODES
        needed = self.bias.detach().abs() / (input_scale * LARGEST_BIAS_CODE)
        return torch.maximum(largest, needed).clamp(min=SMALLEST_WEIGHT_SCALE)

    def on_grid(self, input_scale: Tensor | None) -> tuple[Tensor, Tensor]:
        """Weight and bias, rounded to their grids unless `input_scale` is None."""
        if input_scale is None:
            return self.weight, self.bias
        scale = self.weight_scale(input_scale)
        step = input_scale * scale
        with torch.no_grad():
            zeros, code = torch.zeros_like(scale, dtype=torch.int32), WEIGHT_CODES
            weight = torch.fake_quantize_per_channel_affine(self.weight, scale, zeros, 0, -code, code)
            bias = torch.round(self.bias / step) * step
        return _StraightThrough.apply(self.weight, weight), _StraightThrough.apply(self.bias, bias)

    def codes(self, input_scale: Tensor) -> dict[str, np.ndarray]:
        """The integers that `on_grid` stands for, in the graph's layout."""
        scale = self.weight_scale(input_scale)
        weight, _ = self.on_grid(input_scale)
        along = scale.view(-1, *[1] * (weight.ndim - 1))
        step = (input_scale * scale).double()
        limit = 2**31 - 1
        return {
            "weight": self.layout(torch.round(weight / along).to(torch.int8).cpu().numpy()),
            "bias": torch.round(self.bias.double() / step).clamp(-limit, limit).to(torch.int32).cpu().numpy(),
            "weight_scale": scale.cpu().numpy(),
        }

    def layout(self, weight: np.ndarray) -> np.ndarray:
        """torch's layout to the graph's."""
        return np.ascontiguousarray(weight)


class _Convolution(_Weighted):
    """A convolution; torch's layout inside."""

    def __init__(self, node: Convolution, weight: np.ndarray, bias: np.ndarray) -> None:
        depthwise = isinstance(node, DepthwiseConv)
        weight = weight.transpose(2, 0, 1)[:, None] if depthwise else weight.transpose(0, 3, 1, 2)
        super().__init__(np.ascontiguousarray(weight), bias)
        self.depthwise = depthwise
        top, left, bottom, right = node.padding
        self.is_even = (top, left) == (bottom, right)
        self.around = (left, right, top, bottom)
        self.options: dict[str, Any] = {"stride": node.stride, "dilation": node.dilation}
        self.options |= {"groups": len(bias) if self.depthwise else 1, "padding": (top, left) if self.is_even else 0}

    def forward(self, x: Tensor, input_scale: Tensor | None) -> Tensor:
        """The convolution, without its activation."""
        weight, bias = self.on_grid(input_scale)
        x = x if self.is_even else functional.pad(x, self.around)
        return functional.conv2d(x, weight, bias, **self.options)

    def layout(self, weight: np.ndarray) -> np.ndarray:
        """[O, 1, kh, kw] to [kh, kw, C], or [O, I, kh, kw] to [O, kh, kw, I]."""
        axes = weight[:, 0].transpose(1, 2, 0) if self.depthwise else weight.transpose(0, 2, 3, 1)
        return np.ascontiguousarray(axes)


class _Linear(_Weighted):
    def forward(self, x: Tensor, input_scale: Tensor | None) -> Tensor:
        """The linear layer, without its activation."""
        return functional.linear(x, *self.on_grid(input_scale))


class _Sum(nn.Module):
    def forward(self, a: Tensor, b: Tensor, input_scale: Tensor | None) -> Tensor:
        """a + b."""
        return a + b


class _Mean(nn.Module):
    def forward(self, x: Tensor, input_scale: Tensor | None) -> Tensor:
        """The mean over height and width."""
        return x.mean((2, 3))


def activated(x: Tensor, activation: Activation) -> Tensor:
    """An activation in float."""
    if activation == "relu6":
        return functional.relu6(x)
    return functional.relu(x) if activation == "relu" else x


def layer_of(graph: Graph, node: AnyNode) -> nn.Module:
    """A node in torch, without its activation."""
    if isinstance(node, Convolution):
        return _Convolution(node, graph.weight(node), graph.bias(node))
    if isinstance(node, FullyConnected):
        return _Linear(graph.weight(node), graph.bias(node))
    if isinstance(node, Add):
        return _Sum()
    if isinstance(node, Mean):
        return _Mean()
    raise no_rule(node, "fake quantization")
