"""What a Keras model calls, in order: its own description (`get_config`), models inside models unrolled.

A value is a number: 0 is the input, and every call gives the next one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import keras
import numpy as np

from edgekd.errors import EdgekdError

INPUT = 0
TENSOR, ARRAYS = "__keras_tensor__", ("__numpy__", "__tensor__")
Ending = Literal["linear", "softmax", "sigmoid"]
KEEPING = ("Dropout", "Flatten", "Reshape", "Identity", "Activation")  # what answers pass unchanged on, at the end
Key = tuple[str, int]  # an operation's name, and which of its calls


@dataclass(frozen=True)
class Value:
    """A tensor among a call's arguments."""

    number: int


@dataclass(frozen=True)
class Call:
    """A layer or operation with its arguments, tensors as `Value`; `path` names it with the models that it lies in."""

    path: str
    operation: Any
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    result: int

    @property
    def given(self) -> list[int]:
        """The values that it reads."""
        return [v.number for v in keras.tree.flatten([self.arguments, self.options]) if isinstance(v, Value)]

    def __call__(self, values: dict[int, Any]) -> Any:
        """Run it on tensors by value, as at inference."""
        arguments, options = _each(lambda v: values[v.number] if isinstance(v, Value) else v, self)
        if isinstance(
            self.operation, keras.layers.Layer
        ):  # as the model passes it on; some are described as called in training
            options = options | {"training": False}
        return self.operation(*arguments, **options)


@dataclass
class Calls:
    """The calls that lead from a model's one input to its one output."""

    steps: list[Call] = field(default_factory=list)
    output: int = INPUT

    def readers(self) -> dict[int, list[int]]:
        """The results of the calls that read a value, by value; the output is read by -1 too."""
        found: dict[int, list[int]] = {n: [] for n in range(len(self.steps) + 1)}
        for call in self.steps:
            for number in call.given:
                found[number].append(call.result)
        found[self.output].append(-1)
        return found


def of(model: Any) -> Calls:
    """The calls of a functional or sequential model.

    Raises: EdgekdError for another kind of model, several inputs or outputs, or a layer with several.
    """
    if not _is_made_of_layers(model):
        expected = "a functional or sequential model"
        raise EdgekdError(f"Keras model {model.name!r}", expected, f"the class {type(model).__name__}")
    tensors(model)
    calls = Calls()
    calls.output = _unrolled(model, INPUT, "", calls.steps)
    return calls


def tensors(model: Any) -> tuple[Any, Any]:
    """The one symbolic input and the one output of a model, which know shape and type.

    Raises: EdgekdError for a model that has not been built, or with several of them.
    """
    found = [keras.tree.flatten(getattr(model, side, None) or []) for side in ("inputs", "outputs")]
    if [len(side) for side in found] != [1, 1]:
        expected = "a built model with one input and one output"
        todo = "begin a Sequential with keras.Input"
        raise EdgekdError(f"Keras model {model.name!r}", expected, f"{len(found[0])} and {len(found[1])}", todo)
    return found[0][0], found[1][0]


def ending(model: Any) -> Ending:
    """What a model's answers are: `softmax` or `sigmoid` probabilities, or `linear` for logits.

    Raises: EdgekdError as `of` does, or for another activation at the end.
    """
    calls, where = of(model), f"Keras model {model.name!r}"
    number, found = calls.output, "linear"
    while number and found == "linear":
        call = calls.steps[number - 1]
        kind, activation = type(call.operation).__name__, getattr(call.operation, "activation", None)
        if isinstance(call.operation, keras.Model):
            raise EdgekdError(where, "an end that can be seen", f"the model {call.path!r} with an end of its own")
        found = {"Softmax": "softmax", "LogSoftmax": "log_softmax", "Sigmoid": "sigmoid"}.get(kind, "")
        found = found or getattr(activation, "__name__", "linear")
        number = call.given[0] if kind in KEEPING and call.given else INPUT
    if found in ("linear", "softmax", "sigmoid"):
        return found  # type: ignore[return-value] # one of them, as the line before says
    expected = "logits, or softmax or sigmoid probabilities, at the end"
    raise EdgekdError(where, expected, f"the activation {found!r}")


def _unrolled(model: Any, given: int, path: str, steps: list[Call]) -> int:
    """Append a model's calls; gives its output."""
    where = f"Keras model {path or model.name!r}"
    if isinstance(model, keras.Sequential):
        for layer in model.layers:
            given = _called(layer, (Value(given),), {}, path, steps)
        return given
    config = model.get_config()
    if (
        not {"layers", "input_layers", "output_layers"} <= config.keys()
    ):  # a class of its own describes itself otherwise
        model = keras.Model(model.inputs, model.outputs)
        config = model.get_config()
    operations = {operation.name: operation for operation in model.operations}
    entries = {entry["name"]: entry for entry in config["layers"]}
    (first,), (last,) = _ends(config["input_layers"], where, "input"), _ends(config["output_layers"], where, "output")
    values: dict[Key, int] = {first[:2]: given}
    for key in _order(last[:2], first[:2], entries):
        arguments, options = _arguments(entries[key[0]], key[1], values, f"{path}{key[0]}")
        values[key] = _called(operations[key[0]], arguments, options, path, steps)
    return values[last[:2]]


def _is_made_of_layers(model: Any) -> bool:
    return isinstance(model, keras.Sequential) or hasattr(model, "operations")


def _called(operation: Any, arguments: tuple[Any, ...], options: dict[str, Any], path: str, steps: list[Call]) -> int:
    given = [v.number for v in keras.tree.flatten(arguments) if isinstance(v, Value)]
    if isinstance(operation, keras.Model) and _is_made_of_layers(operation) and len(given) == 1:
        return _unrolled(operation, given[0], f"{path}{operation.name}/", steps)
    number = len(steps) + 1
    steps.append(Call(f"{path}{operation.name}", operation, arguments, options, number))
    return number


def _ends(listed: Any, where: str, what: str) -> list[tuple[str, int, int]]:
    """The one input or output, as (layer, call, tensor)."""
    flat = keras.tree.flatten(listed)
    if len(flat) != 3:
        raise EdgekdError(where, f"one {what}", f"{len(flat) // 3}")
    return [(flat[0], flat[1], flat[2])]


def _order(last: Key, first: Key, entries: dict[str, Any]) -> list[Key]:
    """The calls that `last` depends on, each after those that it reads; without the input."""
    found: list[Key] = []
    seen, waiting = {first}, [(last, False)]
    while waiting:
        key, is_ready = waiting.pop()
        if is_ready:
            found.append(key)
            continue
        if key in seen:
            continue
        seen.add(key)
        waiting.append((key, True))
        name, index = key
        waiting += [(read, False) for read in reversed(list(_read(entries[name]["inbound_nodes"][index])))]
    return found


def _read(node: Any) -> Iterator[Key]:
    if isinstance(node, dict) and node.get("class_name") == TENSOR:
        name, index, _ = node["config"]["keras_history"]
        yield name, index
    elif isinstance(node, dict | list | tuple):
        for part in node.values() if isinstance(node, dict) else node:
            yield from _read(part)


def _arguments(
    entry: dict[str, Any], index: int, values: dict[Key, int], path: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    def parsed(part: Any) -> Any:
        if isinstance(part, list | tuple):
            return [parsed(p) for p in part]
        if not isinstance(part, dict):
            return part
        if part.get("class_name") == TENSOR:
            name, call, tensor = part["config"]["keras_history"]
            if tensor:
                raise EdgekdError(f"Keras layer {path!r}", "inputs from layers with one output", f"several of {name!r}")
            return Value(values[name, call])
        if part.get("class_name") in ARRAYS:
            return np.asarray(part["config"]["value"], part["config"]["dtype"])
        return {name: parsed(p) for name, p in part.items()}

    node = entry["inbound_nodes"][index]
    return tuple(parsed(node["args"])), {k: v for k, v in parsed(node["kwargs"]).items() if v is not None}


def _each(function: Callable[[Any], Any], call: Call) -> tuple[Any, Any]:
    return tuple(keras.tree.map_structure(function, list(call.arguments))), keras.tree.map_structure(
        function, call.options
    )
