"""From a torch network to the graph: torch.fx finds the operators, batch normalization is folded, activations are fused.

What the graph has no node for is named (module path and operator), all of it at once. What it has is compared with torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import fx, nn

from edgekd.errors import EdgekdError, several
from edgekd.networks import PixelNetwork
from edgekd.quantization import equivalence
from edgekd.quantization.folding import ROUTES, Tensors, UnfoldedGraph
from edgekd.quantization.graph import Graph
from edgekd.quantization.operators import LEAVES, PIXELS, Builder


def lower(network: PixelNetwork) -> Graph:
    """The float graph of a network, its normalization in the input node.

    Raises: EdgekdError as `describe` does.
    """
    return describe(network).fold(_tensors(network))


def describe(network: PixelNetwork) -> UnfoldedGraph:
    """The float graph of a network, with the names of its weights in place of them; compared with torch on random pixels.

    Raises: EdgekdError that names every module and operator which the graph cannot hold, or the first node of the graph
    that computes something else than torch, and the routes that are left.
    """
    body, where = network.eval().body, f"network {type(network.body).__name__}"
    try:
        traced = _Tracer().trace(body)
    except Exception as e:  # tracing runs the network's own Python
        raise EdgekdError(where, "one that torch.fx can trace", f"{type(e).__name__}: {e}", ROUTES) from None
    output = traced.output_node()
    needed = _ancestors(output)
    builder = Builder(network, needed)
    for node in traced.nodes:
        if node in needed:
            builder.visit(node)
    problems = builder.problems + _output_problems(output.args[0], builder)
    if problems:
        raise several(f"{where} cannot be lowered", problems, ROUTES)
    unfolded = UnfoldedGraph(nodes=tuple(builder.nodes.values()), sources=builder.sources)
    equivalence.check(network, traced, unfolded.fold(_tensors(network), where), builder.holders)
    return unfolded


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, LEAVES) or super().is_leaf_module(m, module_qualified_name)


def _tensors(network: PixelNetwork) -> Tensors:
    state = network.body.state_dict()
    return {name: tensor.float().cpu().numpy() for name, tensor in state.items() if tensor.is_floating_point()}


def _ancestors(output: fx.Node) -> set[fx.Node]:
    """What the output depends on; other traced nodes are dead code."""
    found: set[fx.Node] = {output}
    waiting = [output]
    while waiting:
        new = set(waiting.pop().all_input_nodes) - found
        found |= new
        waiting += new
    return found - {output}


def _output_problems(returned: object, builder: Builder) -> list[str]:
    if not isinstance(returned, fx.Node):
        found = str(returned)
        if isinstance(returned, Mapping | Sequence):
            kind = next(k.__name__ for k in (dict, list, tuple, object) if isinstance(returned, k))
            found = f"a {kind} of {len(returned)} value{'s' * (len(returned) != 1)}"
        return [f"output: {found} where one tensor of logits has a place"]
    if builder.names[returned] == PIXELS and returned not in builder.unknown:
        return ["output: the pixels themselves, not logits"]
    return []
