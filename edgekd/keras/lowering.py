"""From a Keras model to the graph: its layers are walked, batch normalization is folded, activations are fused.

What the graph has no node for is named (path and class of the layer), all of it at once. What it has is compared with Keras.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from pydantic import ValidationError

from edgekd.errors import EdgekdError, several
from edgekd.keras import answers, calls, layers
from edgekd.keras.building import PIXELS, Builder, Colour, Misplaced, Unsupported
from edgekd.keras.calls import INPUT, Call, Calls
from edgekd.quantization import reference
from edgekd.quantization.folding import UnfoldedGraph
from edgekd.quantization.graph import Array, Graph

IMAGES, SEED = 2, 20260
PROBABILITY = 1e-3  # that the model and its graph may differ by on random pixels
TODO = "build the student of the layers that edgekd/keras/README.md lists"


@dataclass(frozen=True)
class Lowered:
    """A Keras model as a bundle holds it: the graph's structure, and its weights in torch's layouts.

    `mean` and `std` [3] of the input are in units of pixel / 255.
    """

    graph: UnfoldedGraph
    tensors: dict[str, Array]
    mean: Colour
    std: Colour

    def fold(self) -> Graph:
        """The float graph."""
        return self.graph.fold(self.tensors, "Keras model")


def lower(model: Any) -> Lowered:
    """A functional or sequential image classifier as a graph, compared with Keras on random pixels, call by call.

    The model takes RGB pixels 0..255 [B, S, S, 3] and normalizes them itself (Rescaling, Normalization, or arithmetic with
    constants). A softmax or sigmoid at its end is left out: a file gives calibrated probabilities itself.
    Raises: EdgekdError that names every layer which the graph cannot hold, or the first that computes something else.
    """
    found, where = calls.of(model), f"Keras model {model.name!r}"
    builder = Builder(found, _side(model, where))
    problems = _taken(found, builder) or builder.finish()
    if problems:
        raise several(f"{where} cannot be lowered", problems, TODO)
    mean, std = builder.normalization
    graph = UnfoldedGraph(nodes=tuple(builder.nodes.values()), sources=builder.sources)
    lowered = Lowered(graph, builder.tensors, mean, std)
    _check(model, found, builder, lowered.fold(), where)
    return lowered


def _side(model: Any, where: str) -> int:
    shape = tuple(calls.tensors(model)[0].shape)
    if len(shape) != 4 or shape[3] != 3 or None in shape[1:] or shape[1] != shape[2]:
        raise EdgekdError(where, "one input of square RGB images [B, S, S, 3], S fixed", f"shape {shape}")
    return int(shape[1])


def _taken(found: Calls, builder: Builder) -> list[str]:
    """Take all calls into the graph; gives what has no place there, without what merely follows it."""
    problems, unknown = [], set[int]()
    for call in found.steps:
        depends = any(v in unknown for v in call.given)
        try:
            builder.names[call.result] = layers.take(builder, call)
        except (Unsupported, ValidationError) as e:
            if not (depends and isinstance(e, Misplaced)):
                problems.append(_named(call, e))
            depends = True
            builder.names[call.result] = PIXELS
        if depends:
            unknown.add(call.result)
    return problems


def _named(call: Call, error: Exception) -> str:
    if isinstance(error, ValidationError):
        error = Unsupported(f"{error.errors()[0]['loc'][0]} {error.errors()[0]['input']}")
    return f"{call.path}: {type(call.operation).__name__}{f' ({error})' if str(error) else ''}"


def _check(model: Any, found: Calls, builder: Builder, graph: Graph, where: str) -> None:
    """Compare every node, given Keras's values of its inputs, with Keras's value; then the answers with the model's own."""
    size = graph.input.size
    pixels = np.random.default_rng(SEED).integers(0, 256, (IMAGES, size, size, 3), dtype=np.uint8)
    shown = keras.ops.cast(keras.ops.convert_to_tensor(pixels), calls.tensors(model)[0].dtype)
    tensors = {INPUT: shown}
    for call in found.steps:
        tensors[call.result] = call(tensors)
    holders, paths = builder.holders, {call.result: call.path for call in found.steps}
    values: dict[str, Array] = {}
    for node in graph.nodes:
        given = [values[name] for name in node.inputs]
        values[node.name] = reference.apply(graph, node, given) if given else reference.run_input(graph, pixels)
        held = _plain(tensors[holders[node.name]], graph, node.name) if node.name in holders else None
        if held is not None:
            said = f"{where}, layer {paths.get(holders[node.name], 'input')!r} ({node.kind})"
            reference.compare(values[node.name], held, said, "Keras's", TODO)
            values[node.name] = held
    outputs, ending = model(shown, training=False), calls.ending(model)
    expected = keras.ops.convert_to_numpy(answers.probs(outputs, ending))
    logits = reference.logits(graph, pixels).astype(np.float64)
    probs = np.exp(logits - logits.max(1, keepdims=True))
    difference = np.abs(probs / probs.sum(1, keepdims=True) - expected).max()
    if not difference <= PROBABILITY:
        raise EdgekdError(where, f"its own probabilities, within {PROBABILITY}", f"others, {difference:.2g} away", TODO)


def _plain(value: Any, graph: Graph, name: str) -> Array | None:
    """Keras's value in the graph's shape [B, H, W, C] or [B, C]; None where that has another meaning.

    One logit became two; the mean may have kept its position.
    """
    held, shape = np.asarray(keras.ops.convert_to_numpy(value), np.float32), graph.shapes[name]
    if name == graph.output.name and held.shape[-1] != shape[-1]:
        return None
    return held.reshape(len(held), *shape) if len(shape) == 1 else held
