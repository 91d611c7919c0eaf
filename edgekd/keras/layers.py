"""What each Keras layer becomes in the graph: one function for each, called by the layer's class name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from edgekd.keras.building import Builder, Misplaced, Unsupported, array
from edgekd.keras.calls import Call, Value
from edgekd.quantization.graph import Conv, DepthwiseConv, FullyConnected

PASSING = {  # nothing, at inference
    *("Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "ActivityRegularization", "Identity"),
    *("RandomFlip", "RandomRotation", "RandomTranslation", "RandomZoom", "RandomContrast", "RandomBrightness"),
}


def take(graph: Builder, call: Call) -> str:
    """Take a call into the graph; gives the node that holds its value.

    Raises: Unsupported for what the graph has no node for, Misplaced for what it has one for elsewhere.
    """
    layer, kind = call.operation, type(call.operation).__name__
    if not type(layer).__module__.startswith("keras."):
        raise Unsupported("a class of its own")
    if kind == "Add" and len(call.given) != 1:
        return graph.added(call)
    if len(call.given) != 1:
        raise Unsupported(f"{len(call.given)} inputs")
    [given] = call.given
    if kind in PASSING:
        return graph.passed(call, given)
    if not isinstance(layer, keras.layers.Layer):
        return function(graph, call, given, kind)
    if kind not in LAYERS:
        raise Unsupported
    if getattr(layer, "data_format", None) not in (None, "channels_last"):
        raise Unsupported(f"data_format {layer.data_format}")
    return LAYERS[kind](graph, call, layer, given)


def function(graph: Builder, call: Call, given: int, kind: str) -> str:
    """A bare function: an activation, or a step of the normalization."""
    if kind in ("Relu", "Relu6"):
        return graph.activated(call, given, kind.lower())
    parts = [*call.arguments, *call.options.values()]
    constants = [np.asarray(a, np.float64) for a in parts if not isinstance(a, Value)]
    is_first, by = isinstance(parts[0], Value), constants[0] if len(constants) == 1 else None
    if by is not None and kind == "Multiply":
        return graph.rescaled(call, given, by, 0.0)
    if by is not None and kind == "Add":
        return graph.rescaled(call, given, 1.0, by)
    if by is not None and kind == "Subtract":
        return graph.rescaled(call, given, 1.0 if is_first else -1.0, -by if is_first else by)
    if by is not None and kind in ("TrueDivide", "Divide") and is_first:
        return graph.rescaled(call, given, 1 / by, 0.0)
    raise Unsupported


def rescaling(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """At the input: scale · x + offset."""
    return graph.rescaled(call, given, layer.scale, layer.offset)


def normalization(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """At the input: (x - mean) / sqrt(variance)."""
    if layer.invert:
        raise Unsupported("inverted")
    mean, variance = (array(v).astype(np.float64) for v in (layer.mean, layer.variance))
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return graph.rescaled(call, given, 1 / deviation, -mean / deviation)


def zero_padding(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """Zeros that a convolution reads."""
    (top, bottom), (left, right) = layer.padding
    return graph.padded(call, given, (top, left, bottom, right))


def conv(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """Kernel [kh, kw, I, O]."""
    inputs, name = graph.shape(given)[-1], graph.new_name(call.path)
    kind: Any = Conv
    if layer.groups != 1:
        if not layer.groups == inputs == layer.filters:
            raise Unsupported(f"{layer.groups} groups of {inputs} channels")
        kind = DepthwiseConv
    graph.convolution(name, layer, given, kind, layer.filters)
    graph.weights(name, array(layer.kernel).transpose(3, 2, 0, 1), layer)
    return graph.fused(call, name, _activation(layer))


def depthwise(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """Kernel [kh, kw, C, 1]."""
    name = _depthwise(graph, call.path, layer, given)
    graph.weights(name, array(layer.kernel).transpose(2, 3, 0, 1), layer)
    return graph.fused(call, name, _activation(layer))


def separable(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """A depthwise convolution and one of 1 x 1 px, whose kernels are [kh, kw, I, 1] and [1, 1, I, O]."""
    name = _depthwise(graph, f"{call.path}.depthwise", layer, given)
    graph.weights(name, array(layer.depthwise_kernel).transpose(2, 3, 0, 1))
    pointwise = graph.new_name(call.path)
    graph.nodes[pointwise] = Conv(name=pointwise, inputs=(name,))
    graph.shapes[pointwise] = (*graph.shapes[name][:2], layer.filters)
    graph.weights(pointwise, array(layer.pointwise_kernel).transpose(3, 2, 0, 1), layer)
    return graph.fused(call, pointwise, _activation(layer))


def _depthwise(graph: Builder, path: str, layer: Any, given: int) -> str:
    if layer.depth_multiplier != 1:
        raise Unsupported(f"depth_multiplier {layer.depth_multiplier}")
    name = graph.new_name(path)
    graph.convolution(name, layer, given, DepthwiseConv, graph.shape(given)[-1])
    return name


def dense(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """Kernel [I, O]."""
    before = graph.names[given]
    if len(graph.shapes[before]) != 1:
        raise Misplaced("not after the global average")
    name = graph.new_name(call.path)
    graph.nodes[name], graph.shapes[name] = FullyConnected(name=name, inputs=(before,)), (layer.units,)
    graph.weights(name, array(layer.kernel).T, layer)
    return graph.fused(call, name, _activation(layer))


def batch_normalization(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """With running statistics, as at inference."""
    if layer.axis not in (-1, len(graph.shape(given))):
        raise Unsupported(f"axis {layer.axis}")
    parts = {"running_mean": layer.moving_mean, "running_var": layer.moving_variance}
    parts |= {"weight": layer.gamma if layer.scale else None, "bias": layer.beta if layer.center else None}
    found = {part: None if variable is None else array(variable) for part, variable in parts.items()}
    return graph.normalized(call, given, layer.epsilon, found)


def global_average(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """The mean over all positions, whether it keeps them as one or not."""
    return graph.mean(call, given)


def flatten(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """Where there is one position: the mean of it is that position."""
    shape = graph.shape(given)
    if len(shape) == 1:
        return graph.names[given]
    if shape[:2] == (1, 1):
        return graph.mean(call, given)
    raise Misplaced("of more than one position: take GlobalAveragePooling2D")


def relu(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """ReLU or ReLU6."""
    limit = None if layer.max_value is None else float(layer.max_value)
    if layer.negative_slope or layer.threshold or limit not in (None, 6.0):
        raise Unsupported("only plain ReLU and ReLU6")
    return graph.activated(call, given, "relu6" if limit else "relu")


def activation(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """An activation by name."""
    return graph.activated(call, given, _activation(layer))


def softmax(graph: Builder, call: Call, layer: Any, given: int) -> str:
    """The last layer of many classifiers."""
    if layer.axis not in (-1, len(graph.shape(given))):
        raise Unsupported(f"axis {layer.axis}")
    return graph.activated(call, given, "softmax")


def _activation(layer: Any) -> str:
    return str(getattr(layer.activation, "__name__", "linear"))


LAYERS: dict[str, Callable[[Builder, Call, Any, int], str]] = {
    "Rescaling": rescaling,
    "Normalization": normalization,
    "ZeroPadding2D": zero_padding,
    "Conv2D": conv,
    "DepthwiseConv2D": depthwise,
    "SeparableConv2D": separable,
    "Dense": dense,
    "BatchNormalization": batch_normalization,
    "GlobalAveragePooling2D": global_average,
    "Flatten": flatten,
    "ReLU": relu,
    "Activation": activation,
    "Softmax": softmax,
}
