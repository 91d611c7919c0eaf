"""The taps of a graph: which of its nodes hold the maps that a network's stages end with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from edgekd.networks.taps import EMBEDDING, STRIDES
from edgekd.quantization.graph import Add, AnyNode, FullyConnected, Mean


def taps_of(structure: Sequence[AnyNode], values: Mapping[str, Tensor], size: int) -> dict[str, str]:
    """Tap -> node, of a graph's values for images of `size` px; a mean ends the maps.

    A stage ends with a sum or a linear convolution: what widens a block is not the block's output.
    """
    mean = next((node for node in structure if isinstance(node, Mean)), None)
    found = {}
    for node in structure[1:]:
        ends = isinstance(node, Add) or getattr(node, "activation", "") == "none"
        side = values[node.name].shape[-1]
        name = next((name for name, stride in STRIDES.items() if -(-size // stride) == side), "")
        if name and ends and not isinstance(node, Mean | FullyConnected):
            found[name] = node.name
    return found | ({"last": mean.inputs[0], EMBEDDING: mean.name} if mean else {})
