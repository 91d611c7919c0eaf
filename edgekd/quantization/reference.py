"""A graph in NumPy, in float32, or in fake quantization with just the grids it has: what files are compared with.

It needs neither torch nor a runtime, and shares no code with either. Convolutions are products of matrices, which BLAS
computes, over the windows of the input; depthwise ones are added up tap by tap.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgekd.errors import EdgekdError
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
    Grid,
    Input,
    Mean,
    no_rule,
)

BATCH_PIXELS = 2**16  # of a batch's images together: what processors' caches hold is fastest
# Of a node's largest value. One node's sums, rounded to float32 in another order, differ by some 1e-6 of it, and a folded
# batch normalization with a large mean by a hundred times that; a wrong stride, epsilon or activation differs by 1e-2.
SHARE = 1e-3
LEAST = 1e-6  # for a node whose values are all zero
LIMITS = {"none": (None, None), "relu": (0, None), "relu6": (0, 6)}


def run(graph: Graph, pixels: Array) -> dict[str, Array]:
    """Real values [B, ...] float32 of every node's output, for pixels [B, S, S, 3] uint8."""
    values: dict[str, Array] = {}
    for node in graph.nodes:
        values[node.name] = _value(graph, node, values, pixels)
    return values


def logits(graph: Graph, pixels: Array) -> Array:
    """Logits [B, K] float32 of pixels [B, S, S, 3] uint8."""
    size, found = max(BATCH_PIXELS // graph.input.size**2, 1), []
    last_use = {name: node.name for node in graph.nodes for name in node.inputs}
    for begin in range(0, len(pixels), size):
        values: dict[str, Array] = {}
        for node in graph.nodes:
            values[node.name] = _value(graph, node, values, pixels[begin : begin + size])
            for name in node.inputs:
                if last_use[name] == node.name:
                    values.pop(name, None)
        found.append(values[graph.output.name])
    return np.concatenate(found)


def signal_to_noise(reference: Graph, changed: Graph, pixels: Array) -> dict[str, float]:
    """10 log10(Σ r² / Σ (r - c)²) in dB of every node that both graphs have, over pixels [B, S, S, 3] uint8.

    Each node is given the reference's own values, so that it answers for its own noise and not for that of those before it.
    """
    values, found = run(reference, pixels), {}
    for node in changed.nodes[1:]:
        if any(name not in values for name in (node.name, *node.inputs)):
            continue
        expected = values[node.name]
        noise = float(((expected - _value(changed, node, values, pixels)) ** 2).sum())
        found[node.name] = 10 * float(np.log10(max(float((expected**2).sum()), 1e-30) / max(noise, 1e-30)))
    return found


def run_input(graph: Graph, pixels: Array) -> Array:
    """The normalized pixels [B, S, S, 3] float32."""
    mean, std = (np.array(values, np.float32) for values in (graph.input.mean, graph.input.std))
    return (pixels.astype(np.float32) - mean) / std


def apply(graph: Graph, node: AnyNode, given: list[Array]) -> Array:
    """Real values [B, ...] float32 of one node's output from those of its inputs."""
    if isinstance(node, Conv | DepthwiseConv):
        y = _convolved(graph, node, given[0])
    elif isinstance(node, FullyConnected):
        weight, bias = _weights(graph, node)
        y = given[0] @ weight.T + bias
    elif isinstance(node, Add):
        y = given[0] + given[1]
    elif isinstance(node, Mean):
        y = given[0].mean((1, 2))
    else:
        raise no_rule(node, "the reference")
    activation = getattr(node, "activation", "none")
    if activation != "none":
        np.clip(y, *LIMITS[activation], out=y)
    return y if node.grid is None else _rounded(y, node.grid)


def compare(found: Array, expected: Array, where: str, whose: str, todo: str) -> None:
    """Refuse a node's values that are not those of the network which it was lowered from.

    Raises: EdgekdError that says `whose` values were expected.
    """
    allowed = SHARE * np.abs(expected).max(initial=0.0) + LEAST
    difference = np.abs(found - expected).max(initial=0.0) if found.shape == expected.shape else np.inf
    if not difference <= allowed:
        raise EdgekdError(where, f"{whose} values, within {allowed:.2g}", f"values {difference:.2g} away", todo)


def _value(graph: Graph, node: AnyNode, values: Mapping[str, Array], pixels: Array) -> Array:
    if isinstance(node, Input):
        return run_input(graph, pixels)
    return apply(graph, node, [values[name] for name in node.inputs])


def _rounded(y: Array, grid: Grid) -> Array:
    """Fake quantization as torch computes it: times the float32 reciprocal of the scale."""
    codes = np.rint(y * np.float32(1 / np.float32(grid.scale)))
    return (np.clip(codes, LOW - grid.zero_point, HIGH - grid.zero_point) * np.float32(grid.scale)).astype(np.float32)


def _weights(graph: Graph, node: Conv | DepthwiseConv | FullyConnected) -> tuple[Array, Array]:
    weight, bias = graph.weight(node), graph.bias(node)
    if graph.is_quantized:
        scale = graph.weight_scale(node)
        along = scale if isinstance(node, DepthwiseConv) else scale.reshape(-1, *[1] * (weight.ndim - 1))
        weight = weight.astype(np.float32) * along
        bias = (bias * graph.bias_scale(node).astype(np.float64)).astype(np.float32)
    return weight, bias


def _convolved(graph: Graph, node: Conv | DepthwiseConv, x: Array) -> Array:
    weight, bias = _weights(graph, node)
    taps = _taps(graph, node, x, weight.shape[:2] if isinstance(node, DepthwiseConv) else weight.shape[1:3])
    if isinstance(node, DepthwiseConv):
        y = np.empty(taps[0].shape, np.float32)
        y[:] = bias
        product = np.empty_like(y)
        for tap, factor in zip(taps, weight.reshape(-1, len(bias)), strict=True):
            y += np.multiply(tap, factor, out=product)
        return y
    windows = np.concatenate(taps, axis=-1) if len(taps) > 1 else np.ascontiguousarray(taps[0])
    y = windows.reshape(-1, windows.shape[-1]) @ weight.reshape(len(weight), -1).T
    y += bias
    return y.reshape(*windows.shape[:3], len(bias))


def _taps(graph: Graph, node: Conv | DepthwiseConv, x: Array, kernel: tuple[int, ...]) -> list[Array]:
    """What each place of the kernel sees: views [B, H, W, I] of the padded input, row by row of the kernel."""
    top, left, bottom, right = node.padding
    if any(node.padding):
        x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    height, width = graph.shapes[node.name][:2]
    (down, across), (dy, dx) = node.stride, node.dilation
    rows, columns = (height - 1) * down + 1, (width - 1) * across + 1
    return [x[:, i * dy : i * dy + rows : down, j * dx : j * dx + columns : across] for i, j in np.ndindex(*kernel)]
