"""A graph in torch: in float, or in fake quantization with just the grids it has. What files are compared with."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgekd.quantization.graph import (
    HIGH,
    LOW,
    Add,
    AnyNode,
    Array,
    Conv,
    DepthwiseConv,
    FullyConnected,
    Graph,
    Input,
)

BATCH = 32


@torch.inference_mode()
def run(graph: Graph, pixels: Array) -> dict[str, Array]:
    """Real values [B, ...] (channels last) of every node's output, for pixels [B, S, S, 3] uint8."""
    return {name: _channels_last(v).numpy() for name, v in _values(graph, pixels).items()}


@torch.inference_mode()
def logits(graph: Graph, pixels: Array) -> Array:
    """Logits [B, K] float32 of pixels [B, S, S, 3] uint8."""
    found = []
    for begin in range(0, len(pixels), BATCH):
        values: dict[str, Tensor] = {}
        last_use = {name: node.name for node in graph.nodes for name in node.inputs}
        for node in graph.nodes:
            values[node.name] = _value(graph, node, values, pixels[begin : begin + BATCH])
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        found.append(values[graph.output.name].numpy())
    return np.concatenate(found)


@torch.inference_mode()
def signal_to_noise(reference: Graph, changed: Graph, pixels: Array) -> dict[str, float]:
    """10 log10(Σ r² / Σ (r - c)²) in dB of every node that both graphs have, over pixels [B, S, S, 3] uint8.

    Each node is given the reference's own values, so that it answers for its own noise and not for that of those before it.
    """
    values, found = _values(reference, pixels), {}
    for node in changed.nodes[1:]:
        if any(name not in values for name in (node.name, *node.inputs)):
            continue
        expected = values[node.name]
        noise = float(((expected - _value(changed, node, values, pixels)) ** 2).sum())
        found[node.name] = 10 * float(np.log10(max(float((expected**2).sum()), 1e-30) / max(noise, 1e-30)))
    return found


def _values(graph: Graph, pixels: Array) -> dict[str, Tensor]:
    values: dict[str, Tensor] = {}
    for node in graph.nodes:
        values[node.name] = _value(graph, node, values, pixels)
    return values


def _value(graph: Graph, node: AnyNode, values: dict[str, Tensor], pixels: Array) -> Tensor:
    if isinstance(node, Input):
        x = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float()  # a copy: pixels may be read-only
        return (x - torch.tensor(node.mean).view(3, 1, 1)) / torch.tensor(node.std).view(3, 1, 1)
    given = [values[name] for name in node.inputs]
    if isinstance(node, Conv | DepthwiseConv):
        y = _convolved(graph, node, given[0])
    elif isinstance(node, FullyConnected):
        y = functional.linear(given[0], *_weights(graph, node))
    else:
        y = given[0] + given[1] if isinstance(node, Add) else given[0].mean((2, 3))
    activation = getattr(node, "activation", "none")
    if activation != "none":
        y = functional.relu6(y) if activation == "relu6" else functional.relu(y)
    if node.grid is None:
        return y
    return torch.fake_quantize_per_tensor_affine(y, node.grid.scale, node.grid.zero_point, LOW, HIGH)


def _weights(graph: Graph, node: AnyNode) -> tuple[Tensor, Tensor]:
    weight, bias = graph.weight(node), graph.bias(node)
    if graph.is_quantized:
        scale = graph.weight_scale(node)
        along = scale if isinstance(node, DepthwiseConv) else scale.reshape(-1, *[1] * (weight.ndim - 1))
        weight = weight.astype(np.float32) * along
        bias = (bias * graph.bias_scale(node).astype(np.float64)).astype(np.float32)
    return torch.from_numpy(np.ascontiguousarray(weight)), torch.from_numpy(np.ascontiguousarray(bias))


def _convolved(graph: Graph, node: Conv | DepthwiseConv, x: Tensor) -> Tensor:
    weight, bias = _weights(graph, node)
    is_depthwise = isinstance(node, DepthwiseConv)
    weight = weight.permute(2, 0, 1)[:, None] if is_depthwise else weight.permute(0, 3, 1, 2)
    top, left, bottom, right = node.padding
    groups = len(bias) if is_depthwise else 1
    if (top, left) != (bottom, right):
        x, top, left = functional.pad(x, (left, right, top, bottom)), 0, 0
    return functional.conv2d(x, weight, bias, node.stride, (top, left), node.dilation, groups)


def _channels_last(value: Tensor) -> Tensor:
    return value.permute(0, 2, 3, 1) if value.ndim == 4 else value
