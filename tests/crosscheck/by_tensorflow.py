"""The int8 graph through TensorFlow's fake quantization and TFLiteConverter: python by_tensorflow.py GRAPH OUTPUT."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import tensorflow as tf

from edgekd.quantization.graph import Add, AnyNode, Conv, DepthwiseConv, Graph, Grid, Mean


def main(graph_file: str, output: str) -> None:
    graph = Graph.load(graph_file)
    size = graph.input.size

    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32)])
    def compute(pixels):
        values = {graph.input.name: fake_quantized(pixels, graph.input.grid)}
        for node in graph.nodes[1:]:
            result = computed(graph, node, [values[name] for name in node.inputs])
            values[node.name] = fake_quantized(result, node.grid)
        return values[graph.output.name]

    converter = tf.lite.TFLiteConverter.from_concrete_functions([compute.get_concrete_function()])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    Path(output).write_bytes(converter.convert())


def fake_quantized(x, grid: Grid):
    low, high = bounds(grid)
    return tf.quantization.fake_quant_with_min_max_vars(x, low, high, num_bits=8, narrow_range=False)


def bounds(grid: Grid) -> tuple[np.float32, np.float32]:
    """Range of a grid in float32, for which the converter's (high - low) / 255 is just the grid's scale.

    The bounds themselves are rounded, so the plain ones may give the float32 beside it.
    """
    scale = np.float32(grid.scale)
    low, high = (np.float32((code - grid.zero_point) * np.float64(scale)) for code in (-128, 127))
    steps = sorted(range(-8, 9), key=abs)
    for low_steps, high_steps in sorted(np.ndindex(17, 17), key=lambda ij: abs(steps[ij[0]]) + abs(steps[ij[1]])):
        found = moved(low, steps[low_steps]), moved(high, steps[high_steps])
        if np.float32((np.float64(found[1]) - np.float64(found[0])) / 255) == scale:
            return found
    raise SystemExit(f"no float32 range has the scale {scale!r}")


def moved(value: np.float32, steps: int) -> np.float32:
    """The float32 that lies `steps` further; 0 stays, as a ReLU's bound must."""
    for _ in range(abs(steps) if value else 0):
        value = np.nextafter(value, np.float32(np.inf if steps > 0 else -np.inf))
    return value


def computed(graph: Graph, node: AnyNode, given: list):
    """One node in float, with the weights that its codes stand for: the converter finds max|w| / 127 again."""
    if isinstance(node, Add):
        result = given[0] + given[1]
    elif isinstance(node, Mean):
        return tf.reduce_mean(given[0], [1, 2])
    else:
        scale = graph.weight_scale(node)
        along = scale if isinstance(node, DepthwiseConv) else scale.reshape(-1, *[1] * (graph.weight(node).ndim - 1))
        bias = (graph.bias(node).astype(np.float64) * graph.bias_scale(node)).astype(np.float32)
        result = product(graph, node, given[0], graph.weight(node) * along) + bias
    return {"none": tf.identity, "relu": tf.nn.relu, "relu6": tf.nn.relu6}[node.activation](result)


def product(graph: Graph, node: AnyNode, x, weight: np.ndarray):
    if not isinstance(node, Conv | DepthwiseConv):
        return tf.matmul(x, tf.constant(weight.T))
    height, width = graph.shapes[node.inputs[0]][:2]
    top, left, bottom, right = node.padding
    padding = "SAME" if node.stride == (1, 1) and graph.shapes[node.name][:2] == (height, width) else "VALID"
    if padding == "VALID" and any(node.padding):
        x = tf.pad(x, [[0, 0], [top, bottom], [left, right], [0, 0]])
    if isinstance(node, DepthwiseConv):
        return tf.nn.depthwise_conv2d(
            x, tf.constant(weight[..., None]), [1, *node.stride, 1], padding, dilations=node.dilation
        )
    return tf.nn.conv2d(x, tf.constant(weight.transpose(1, 2, 3, 0)), node.stride, padding, dilations=node.dilation)


if __name__ == "__main__":
    main(*sys.argv[1:])
