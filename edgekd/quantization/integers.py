"""The quantized graph in exact integer arithmetic: the oracle that every runtime is compared with.

Sums are integers held in float64, where they are exact (|sum| < 2^53) and BLAS can add them up; the one rounding of each
operator is half to even, of the exact product. XNNPACK rounds a float32 product instead, so about one code in a million
differs by one.
"""

from __future__ import annotations

import numpy as np

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
    Input,
    Mean,
    no_rule,
)


def run(graph: Graph, pixels: Array) -> dict[str, Array]:
    """int8 codes of every node's output, [B, ...], for pixels [B, S, S, 3] uint8."""
    codes: dict[str, Array] = {}
    for node in graph.nodes:
        if isinstance(node, Input):
            codes[node.name] = run_input(pixels)
        else:
            codes[node.name] = apply(graph, node, [codes[name] for name in node.inputs])
    return codes


def run_input(pixels: Array) -> Array:
    """int8 codes of pixels uint8, whatever grey stands for zero."""
    return (pixels.astype(np.int16) + PIXELS.zero_point).astype(np.int8)


def logits(graph: Graph, pixels: Array) -> Array:
    """Logits [B, K] float32 of pixels [B, S, S, 3] uint8, one image at a time so that memory stays small."""
    codes = [run(graph, image[None])[graph.output.name] for image in pixels]
    return graph.grid(graph.output.name).real(np.concatenate(codes))


def apply(graph: Graph, node: AnyNode, given: list[Array]) -> Array:
    """int8 codes [B, ...] of one node's output from the int8 codes of its inputs."""
    grids = [graph.grid(name) for name in node.inputs]
    centred = [codes.astype(np.float64) - grid.zero_point for codes, grid in zip(given, grids, strict=True)]
    output = graph.grid(node.name)
    if isinstance(node, Conv | DepthwiseConv | FullyConnected):
        factor = graph.weight_scale(node).astype(np.float64) * grids[0].scale / output.scale
        real = (_sums(graph, node, centred[0]) + graph.bias(node)) * factor
    elif isinstance(node, Add):
        real = sum(x * (grid.scale / output.scale) for x, grid in zip(centred, grids, strict=True))
    elif isinstance(node, Mean):
        real = centred[0].sum((1, 2)) * (grids[0].scale / (output.scale * centred[0][0, :, :, 0].size))
    else:
        raise no_rule(node, "integer arithmetic")
    low, high = clamp(output, getattr(node, "activation", "none"))
    return np.clip(np.rint(real) + output.zero_point, low, high).astype(np.int8)


def clamp(grid: Grid, activation: str) -> tuple[int, int]:
    """Smallest and largest code that an activation leaves, as TFLite computes them."""
    low, high = LOW, HIGH
    if activation != "none":
        low = max(low, grid.zero_point)
    if activation == "relu6":
        high = min(high, grid.zero_point + int(np.rint(6.0 / grid.scale)))
    return low, high


def _sums(graph: Graph, node: Conv | DepthwiseConv | FullyConnected, x: Array) -> Array:
    weight = graph.weight(node).astype(np.float64)
    if isinstance(node, FullyConnected):
        return x @ weight.T
    top, left, bottom, right = node.padding
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))
    height, width = graph.shapes[node.name][:2]
    taps = weight if isinstance(node, DepthwiseConv) else np.moveaxis(weight, 0, 3)  # [kh, kw, C] or [kh, kw, I, O]
    total = np.zeros((len(x), height, width, taps.shape[-1]))
    (down, across), (dy, dx) = node.stride, node.dilation
    for i, j in np.ndindex(taps.shape[:2]):
        window = x[:, i * dy : i * dy + (height - 1) * down + 1 : down, j * dx :, :]
        window = window[:, :, : (width - 1) * across + 1 : across]
        total += window * taps[i, j] if isinstance(node, DepthwiseConv) else window @ taps[i, j]
    return total
