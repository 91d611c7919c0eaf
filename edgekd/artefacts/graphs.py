"""The graphs of a bundle: the float student's, and the one on the int8 grid."""

from __future__ import annotations

import numpy as np

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Array, Graph

METHODS = ("minmax", "percentile", "mse")


def float_graph(bundle: Bundle) -> Graph:
    """The float student as a graph.

    Raises: EdgekdError if it cannot be lowered.
    """
    from edgekd.networks import from_bundle
    from edgekd.quantization.lowering import lower

    return lower(from_bundle(bundle))


def int8_graph(bundle: Bundle) -> Graph:
    """The graph on the int8 grid that the bundle holds.

    Raises: EdgekdError if it holds none.
    """
    record = bundle.manifest.quantization
    if record is None:
        todo = "python -m edgekd.distill --qat --resume, or --ptq mse for post-training quantization now"
        raise EdgekdError(f"bundle {bundle.folder}", "a graph on the int8 grid", "it was made without", todo)
    graph = Graph.load(bundle.file(record.graph))
    _check(graph, bundle)
    return graph


def control_graph(bundle: Bundle) -> Graph | None:
    """The control of post-training quantization that was made beside the trained graph, where the bundle kept it."""
    record = bundle.manifest.quantization
    if record is None or not record.control_graph:
        return None
    graph = Graph.load(bundle.file(record.control_graph))
    _check(graph, bundle)
    return graph


def _check(graph: Graph, bundle: Bundle) -> None:
    where, m = f"graph of {bundle.folder}", bundle.manifest
    if not graph.is_quantized or any(graph.input.mean) or graph.input.std != (1.0, 1.0, 1.0):
        raise EdgekdError(where, "bare pixels on the int8 grid", "another kind of graph")
    expected, found = (m.input.size, len(m.label_names)), (graph.input.size, *graph.shapes[graph.output.name])
    if found != expected:
        raise EdgekdError(where, "{} px and {} classes".format(*expected), "{} px and {} classes".format(*found))


def post_training_graph(bundle: Bundle, method: str, pixels: Array) -> Graph:
    """The float student on the int8 grid with ranges from a representative set, pixels [N, S, S, 3] uint8."""
    import torch

    from edgekd.quantization import ranges
    from edgekd.quantization.fake import FakeQuantNetwork
    from edgekd.quantization.folding import fold_normalization

    network = FakeQuantNetwork(fold_normalization(float_graph(bundle)))
    batches = [
        torch.from_numpy(np.ascontiguousarray(pixels[i : i + 32])).permute(0, 3, 1, 2).float()
        for i in range(0, len(pixels), 32)
    ]
    network.set_ranges(ranges.post_training(network, lambda: batches)[method])
    return network.graph()
