"""A float graph as a torch network: what runs, explains and goes on training a student that torch did not build."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.artefacts.graphs import float_graph
from edgekd.bundle import Bundle
from edgekd.networks import PixelNetwork
from edgekd.networks.taps import Outputs
from edgekd.preprocess import InputContract
from edgekd.quantization.fake import activated, layer_of
from edgekd.quantization.graph import Graph
from edgekd.quantization.tapping import taps_of


class GraphBody(nn.Module):
    """A float graph without its input node: normalized images [B, 3, S, S] -> logits [B, K]."""

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.structure, self.size = graph.nodes, graph.input.size
        self.layers = nn.ModuleList(layer_of(graph, node) for node in graph.nodes[1:])

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self._values(x)[self.structure[-1].name].flatten(1)

    def tapped(self, x: Tensor, names: Sequence[str]) -> Outputs:
        """Logits, and the features by name."""
        values = self._values(x)
        features = {name: values[node] for name, node in taps_of(self.structure, values, self.size).items()}
        return Outputs(values[self.structure[-1].name].flatten(1), {n: features[n] for n in names})

    def tap_names(self) -> tuple[str, ...]:
        """The taps that the graph has."""
        with torch.no_grad():
            device = next(self.parameters()).device
            values = self._values(torch.zeros(1, 3, self.size, self.size, device=device))
        return tuple(taps_of(self.structure, values, self.size))

    def _values(self, x: Tensor) -> dict[str, Tensor]:
        values = {self.structure[0].name: x}
        for node, layer in zip(self.structure[1:], self.layers, strict=True):
            result = layer(*(values[name] for name in node.inputs), None)
            values[node.name] = activated(result, getattr(node, "activation", "none"))
        return values


def network_of(graph: Graph, contract: InputContract) -> PixelNetwork:
    """A float graph with the normalization that its input contract says, in eval mode."""
    return PixelNetwork(GraphBody(graph), contract.size, contract.mean, contract.std).eval()


def network_of_graph(bundle: Bundle) -> PixelNetwork:
    """The float network of a bundle that holds its graph.

    Raises: EdgekdError as `float_graph` does.
    """
    return network_of(float_graph(bundle), bundle.manifest.input)
