"""A kind of node that someone invents is refused by name wherever nodes are told apart, and taken for no other."""

from typing import Literal

import pytest

from edgekd.errors import EdgekdError
from edgekd.quantization import fake, integers, reference
from edgekd.quantization.graph import FullyConnected, Graph, Mean, Node
from edgekd.runtimes import find, onnx_model, openvino_model, tflite_model


class Invented(Node):
    """In the place of a real node, with its name, inputs and grid."""

    kind: Literal["invented"] = "invented"


def with_invented(graph: Graph, kind: type) -> tuple[Graph, Node]:
    """The graph with an invented node in the place of that of a kind; put in past the checks."""
    old = next(node for node in graph.nodes if isinstance(node, kind))
    new = Invented(name=old.name, inputs=old.inputs, grid=old.grid)
    changed = Graph(graph.nodes, graph.arrays)
    assert changed.shapes  # computed while all was well
    object.__setattr__(changed, "nodes", tuple(new if node is old else node for node in graph.nodes))
    return changed, new


def write_tflite(graph, facts, name):
    tflite_model.model(graph, find(name)[0], facts)


USES = {
    "integers": lambda graph, facts, pixels: integers.run(graph, pixels),
    "reference": lambda graph, facts, pixels: reference.run(graph, pixels),
    "tflite": lambda graph, facts, pixels: write_tflite(graph, facts, "tflite-int8"),
    "onnx": lambda graph, facts, pixels: onnx_model.build(graph, facts),
    "openvino": lambda graph, facts, pixels: openvino_model.build(graph, facts),
}


@pytest.mark.parametrize("kind", [Mean, FullyConnected])
@pytest.mark.parametrize("use", USES)
def test_on_the_grid(use, kind, int8_graph, facts, pixels):
    graph, node = with_invented(int8_graph, kind)
    with pytest.raises(EdgekdError, match=f"graph node '{node.name}'(?s:.*)'invented'"):
        USES[use](graph, facts, pixels[:1])


@pytest.mark.parametrize("kind", [Mean, FullyConnected])
def test_in_float(kind, float_graph, facts, pixels):
    graph, node = with_invented(float_graph, kind)
    for use in (
        lambda: reference.run(graph, pixels[:1]),
        lambda: write_tflite(graph, facts, "tflite"),
        lambda: onnx_model.build(graph, facts),
        lambda: fake.layer_of(graph, node),
        lambda: Graph(graph.nodes, graph.arrays if kind is Mean else without_head(graph)),
    ):
        with pytest.raises(EdgekdError, match=f"graph node '{node.name}'(?s:.*)'invented'"):
            use()


def without_head(graph):
    return {name: array for name, array in graph.arrays.items() if not name.startswith("head.")}
