"""What a Keras model costs."""

from __future__ import annotations

import math
from typing import Any

import keras

from edgekd.keras import calls
from edgekd.keras.calls import INPUT

STATISTICS = ("moving_mean", "moving_variance", "mean", "variance", "count")  # nothing that is learnt by gradients
KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")


def parameters(model: Any) -> int:
    """The number of learnt values, frozen ones included."""
    return sum(math.prod(w.shape) for w in model.weights if w.name not in STATISTICS)


def macs(model: Any) -> int:
    """Multiply-accumulates of one image in convolutions and dense layers; attention's products of activations are not counted.

    Raises: EdgekdError for a model that is neither functional nor sequential.
    """
    found, given = calls.of(model), calls.tensors(model)[0]
    values, total = {INPUT: keras.ops.zeros((1, *given.shape[1:]), dtype=given.dtype)}, 0
    for call in found.steps:
        values[call.result] = result = call(values)
        shapes = [getattr(getattr(call.operation, name, None), "shape", None) for name in KERNELS]
        total += sum(math.prod(shape) for shape in shapes if shape) * math.prod(result.shape[1:-1])
    return total
