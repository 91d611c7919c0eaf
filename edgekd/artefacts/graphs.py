"""The graphs of a bundle: the float student's, and the one on the int8 grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from edgekd import extras
from edgekd.bundle import FLOAT_GRAPH, WEIGHTS, Bundle
from edgekd.errors import EdgekdError
from edgekd.quantization import reference
from edgekd.quantization.folding import Tensors, UnfoldedGraph, fold_normalization
from edgekd.quantization.graph import Array, Graph, in_pixels

METHODS = ("minmax", "percentile", "mse")
TORCH = ("torch", "timm")  # what networks are built with


def float_graph(bundle: Bundle) -> Graph:
    """The float student as a graph: the one that the bundle describes, or else lowered from its network in torch.

    Raises: EdgekdError if it does not fit the bundle, cannot be lowered, or torch is missing.
    """
    if FLOAT_GRAPH not in bundle.manifest.files:
        extras.need(f"the float graph of {bundle.folder}, which the bundle does not hold,", "train", TORCH)
        from edgekd.networks import from_bundle
        from edgekd.quantization.lowering import lower

        return lower(from_bundle(bundle))
    path, m = bundle.file(FLOAT_GRAPH), bundle.manifest
    unfolded = UnfoldedGraph.load(path)
    graph = unfolded.fold(_tensors(bundle.file(WEIGHTS), unfolded.keys), str(path))
    if (graph.input.mean, graph.input.std) != (in_pixels(m.input.mean), in_pixels(m.input.std)):
        raise EdgekdError(str(path), "the normalization of the bundle's input", "another")
    _check_ends(graph, bundle, str(path))
    return graph


def float_network(bundle: Bundle) -> Callable[[Array], Array]:
    """The float network: pixels [N, S, S, 3] uint8 -> logits [N, K]. A network that cannot be lowered runs in torch.

    Raises: EdgekdError as `float_graph` does, before anything is run.
    """
    if FLOAT_GRAPH in bundle.manifest.files:
        graph = float_graph(bundle)
        return lambda pixels: reference.logits(graph, pixels)
    extras.need(f"the float network of {bundle.folder}, whose graph the bundle does not hold,", "train", TORCH)
    import torch

    from edgekd.networks import from_bundle
    from edgekd.networks.prediction import predict

    network = from_bundle(bundle)
    return lambda pixels: predict(network, pixels, np.arange(len(pixels)), torch.device("cpu"))


def _tensors(path: Path, names: set[str]) -> Tensors:
    """Those of the tensors of a weights file that are called for and are there."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in names.intersection(file.keys())}
    except (OSError, SafetensorError, ValueError, TypeError, AttributeError) as e:
        raise EdgekdError(str(path), "a safetensors file", f"{type(e).__name__}: {e}") from None


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
    where = f"graph of {bundle.folder}"
    if not graph.is_quantized:
        raise EdgekdError(where, "a graph on the int8 grid", "a float one")
    _check_ends(graph, bundle, where)


def _check_ends(graph: Graph, bundle: Bundle, where: str) -> None:
    expected = (bundle.manifest.input.size, len(bundle.manifest.label_names))
    found = (graph.input.size, *graph.shapes[graph.output.name])
    if found != expected:
        raise EdgekdError(where, "{} px and {} classes".format(*expected), "{} px and {} classes".format(*found))


def post_training_graph(bundle: Bundle, method: str, pixels: Array) -> Graph:
    """The float student on the int8 grid with ranges from a representative set, pixels [N, S, S, 3] uint8.

    Raises: EdgekdError as `float_graph` does, or if torch is missing, which observes the ranges.
    """
    extras.need(f"post-training quantization by {method!r}", "train", TORCH)
    import torch

    from edgekd.quantization import ranges
    from edgekd.quantization.fake import FakeQuantNetwork

    network = FakeQuantNetwork(fold_normalization(float_graph(bundle)))
    batches = [
        torch.from_numpy(np.ascontiguousarray(pixels[i : i + 32])).permute(0, 3, 1, 2).float()
        for i in range(0, len(pixels), 32)
    ]
    network.set_ranges(ranges.post_training(network, lambda: batches)[method])
    return network.graph()
