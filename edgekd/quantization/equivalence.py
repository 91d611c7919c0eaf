"""Whether a graph computes what the torch network does that it was lowered from, node by node."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, fx

from edgekd.networks import PixelNetwork
from edgekd.quantization import reference
from edgekd.quantization.folding import ROUTES
from edgekd.quantization.graph import Array, Graph

IMAGES, SEED = 2, 20260


@torch.inference_mode()
def check(network: PixelNetwork, traced: fx.Graph, graph: Graph, holders: Mapping[str, Sequence[fx.Node]]) -> None:
    """Compare on random pixels, in float32 on the CPU; `holders`: the traced nodes that each graph node
    stands for, of which the last has its value.

    Every node is computed from torch's values of its inputs, so that it answers for itself and not for those before it.
    Raises: EdgekdError that names the first node of the graph that differs.
    """
    network = _plain(network)
    pixels = np.random.default_rng(SEED).integers(0, 256, (IMAGES, network.size, network.size, 3), dtype=np.uint8)
    normalized, logits = _run(network, torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
    interpreter = _Recorder(fx.GraphModule(network.body, traced), {nodes[-1] for nodes in holders.values()})
    traced_logits = interpreter.run(normalized)
    values = {name: _channels_last(interpreter.found[nodes[-1]], graph, name) for name, nodes in holders.items()}
    for node in graph.nodes:
        given = [values[name] for name in node.inputs]
        found = reference.apply(graph, node, given) if given else reference.run_input(graph, pixels)
        origin = ", ".join(traced_node.name for traced_node in holders[node.name])
        where = f"graph node {node.name!r} ({node.kind}), which stands for {origin}"
        reference.compare(found, values[node.name], where, "torch's", ROUTES)
    where = f"network {type(network.body).__name__}, as torch.fx traced it"
    reference.compare(traced_logits.numpy(), logits.numpy(), where, "torch's", ROUTES)


def _plain(network: PixelNetwork) -> PixelNetwork:
    """The network in float32 on the CPU, whose kernels round least; a copy unless it is so already."""
    if all(p.device.type == "cpu" and p.dtype == torch.float32 for p in network.parameters()):
        return network
    return copy.deepcopy(network).cpu().float()


def _run(network: PixelNetwork, views: Tensor) -> tuple[Tensor, Tensor]:
    """What the network's body is given, and the logits."""
    given: list[Tensor] = []
    handle = network.body.register_forward_pre_hook(lambda _, arguments: given.append(arguments[0].clone()))
    try:
        logits = network(views)
    finally:
        handle.remove()
    return given[0], logits


class _Recorder(fx.Interpreter):
    """Keeps a copy of every wanted value, before an operator in place may change it."""

    def __init__(self, module: fx.GraphModule, wanted: set[fx.Node]) -> None:
        super().__init__(module)
        self.wanted, self.found = wanted, dict[fx.Node, Tensor]()

    def run_node(self, n: fx.Node) -> object:
        """The value of a node."""
        value = super().run_node(n)
        if n in self.wanted:
            self.found[n] = value.clone()
        return value


def _channels_last(value: Tensor, graph: Graph, name: str) -> Array:
    """torch's value [B, C, H, W] or [B, C, 1, 1] in the graph's layout [B, H, W, C] or [B, C]."""
    if len(graph.shapes[name]) == 3 and value.ndim == 4:
        return value.permute(0, 2, 3, 1).numpy()
    return value.flatten(1).numpy()
