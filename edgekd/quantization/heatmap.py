"""The heat map inside the file: a graph's own map of each class, as one more node (CAM; Zhou et al., CVPR 2016).

A network that ends in convolution, mean and fully connected layer says what each place adds to a class: with the last map
f [H, W, C] and the layer's weights w [K, C], map_k(y, x) = Σ_c w_kc f_c(y, x), and the mean of map_k over all places plus the
bias b_k is logit k. That is a 1x1 convolution of the last map, without a bias. Nothing reads it, so that no logit changes.

On the int8 grid the layer's own codes and scales make it an int8 convolution, whose sums are the same integers on every
processor, where float sums would differ in their last bits. Its output grid spans what training images give, or else all that
the last map's grid and the weights allow: some three times as wide, but no value can leave it, and a graph needs nothing beside
itself for that.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.quantization import integers, reference
from edgekd.quantization.graph import HIGH, LOW, Array, Conv, FullyConnected, Graph, Grid, Mean, Shape

NODE: Final = "class_map"  # in the graph: on the int8 grid its codes
OUTPUT: Final = "heatmap"  # of the file: [1, H, W, K] float32
LEAST = 1e-6  # range of a grid for maps that are 0 everywhere


def with_heatmap(graph: Graph, grid: Grid | None = None) -> Graph:
    """The same graph with the map of its classes before the mean; `grid` of its codes, by default that of `bounds`.

    Raises: EdgekdError for a graph with another end, which has no such map.
    """
    mean, head = _ends(graph)
    if NODE in graph.by_name:
        raise EdgekdError(f"graph node {NODE!r}", "a name that no layer of the network has", "one that has it")
    weight = graph.weight(head)
    arrays = graph.arrays | {
        f"{NODE}.weight": weight[:, None, None, :],
        f"{NODE}.bias": np.zeros(len(weight), graph.bias(head).dtype),
    }
    if graph.is_quantized:
        arrays[f"{NODE}.weight_scale"] = graph.weight_scale(head)
        grid = grid or bounds(graph)
    node = Conv(name=NODE, inputs=mean.inputs, grid=grid if graph.is_quantized else None)
    place = graph.nodes.index(mean)
    return Graph((*graph.nodes[:place], node, *graph.nodes[place:]), arrays)


def is_possible(graph: Graph) -> bool:
    """Whether `with_heatmap` takes a graph."""
    try:
        _ends(graph)
    except EdgekdError:
        return False
    return NODE not in graph.by_name


def node_of(graph: Graph) -> Conv | None:
    """The node that `with_heatmap` put in; None for a graph without."""
    node = graph.by_name.get(NODE)
    is_read = any(NODE in other.inputs for other in graph.nodes)
    return node if isinstance(node, Conv) and not is_read else None


def shape_of(graph: Graph) -> Shape | None:
    """(H, W, K) of the map that a graph has; None for a graph without."""
    return graph.shapes[NODE] if node_of(graph) else None


def bias_of(graph: Graph) -> tuple[float, ...]:
    """The biases [K] in logits that make the map's means logits."""
    _, head = _ends(graph)
    bias = graph.bias(head)
    scale = graph.bias_scale(head) if graph.is_quantized else np.ones(len(bias), np.float32)
    return tuple(float(b) for b in bias * scale.astype(np.float64))


def maps(graph: Graph, pixels: Array) -> Array:
    """Maps [N, H, W, K] float32 in logits of a graph that has them, by NumPy: in float, or of exact integers."""
    if not graph.is_quantized:
        return np.concatenate([reference.run(graph, image[None])[NODE] for image in pixels])
    codes = [integers.run(graph, image[None])[NODE] for image in pixels]
    return graph.grid(NODE).real(np.concatenate(codes))


def bounds(graph: Graph) -> Grid:
    """The narrowest grid that no value of an int8 graph's map can leave: of each channel either end of the last map's grid."""
    mean, head = _ends(graph)
    last = graph.by_name[mean.inputs[0]]
    codes = np.array(integers.clamp(graph.grid(last.name), getattr(last, "activation", "none")))
    low, high = (float(value) for value in graph.grid(last.name).real(codes))
    weight = _real_weight(graph, head)
    above, below = np.maximum(weight, 0).sum(1), np.minimum(weight, 0).sum(1)
    return grid_over(float((low * above + high * below).min()), float((high * above + low * below).max()))


def observed(graph: Graph, pixels: Array) -> Grid:
    """The grid over the least and the largest value that an int8 graph's map has on pixels [N, S, S, 3] uint8.

    All of the range, since what is clipped would be the strongest evidence.
    """
    mean, head = _ends(graph)
    weight = _real_weight(graph, head).T
    ends = [
        (m.min(), m.max()) for image in pixels for m in [reference.run(graph, image[None])[mean.inputs[0]] @ weight]
    ]
    return grid_over(float(min(low for low, _ in ends)), float(max(high for _, high in ends)))


def grid_over(low: float, high: float) -> Grid:
    """The grid that spans a range; 0 always lies in it."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32(max(high - low, LEAST) / (HIGH - LOW)))
    return Grid(scale=scale, zero_point=int(np.clip(np.rint(LOW - low / scale), LOW, HIGH)))


def _real_weight(graph: Graph, head: FullyConnected) -> Array:
    """float64 weights [K, C] of an int8 graph's layer."""
    return graph.weight(head).astype(np.float64) * graph.weight_scale(head).astype(np.float64)[:, None]


def _ends(graph: Graph) -> tuple[Mean, FullyConnected]:
    """The mean and the fully connected layer that make the logits of the last map."""
    head = graph.output
    mean = graph.by_name[head.inputs[0]] if isinstance(head, FullyConnected) else None
    if not isinstance(head, FullyConnected) or not isinstance(mean, Mean) or head.activation != "none":
        kinds = ", ".join(node.kind for node in graph.nodes[-2:])
        raise EdgekdError("a heat map of the network", "an end of mean and fully connected layer", kinds)
    return mean, head
