"""What relevance does at each of torch's operators.

Where two tensors that carry relevance are multiplied there is no rule, and where one is a gate (a sigmoid, a softmax), it is
a constant: it says how much of something passes, not what.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from edgekd.errors import EdgekdError
from edgekd.explainers.lrp.composites import Bounds
from edgekd.explainers.lrp.relevant import Origin, Relevant, name_of, operator, way
from edgekd.explainers.lrp.rules import Layer, in_proportion, stabilized
from edgekd.networks.moments import moments


@operator("conv1d", "conv2d", "conv3d", "linear")
def layer(function: Any, input: Any, weight: Tensor, bias: Tensor | None = None, *args: Any, **kwargs: Any) -> Relevant:
    """By the composite's rule."""
    if isinstance(weight, Relevant) or not isinstance(input, Relevant):
        raise _no_rule(f"{name_of(function)} with weights that depend on the input")

    def run(x: Tensor, w: Tensor, b: Tensor | None) -> Tensor:
        return function(x, w, b, *args, **kwargs)

    origin = Origin(Layer(run, weight, bias, input.is_positive), name_of(function) != "linear", input)
    return _made(origin, run(input, weight, bias))


@operator("batch_norm")
def batch_norm(
    function: Any,
    input: Relevant,
    mean: Tensor | None,
    var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    **kwargs: Any,
) -> Relevant:
    """Folded into the layer before it; where there is none, a constant scale. Without statistics it takes the batch's."""
    if mean is None or var is None:
        mean, var, _ = moments(input.value)  # of all processes, as in training
        value = _normalized(input.value, mean, var + eps, weight, bias)
    else:
        value = functional.batch_norm(input, mean, var, weight, bias, training, momentum, eps)
    if input.origin is None:
        return _passed(value, input)
    before = input.origin.layer
    gain = (var + eps).rsqrt() * (1 if weight is None else weight)
    shift = ((0 if before.bias is None else before.bias) - mean) * gain + (0 if bias is None else bias)
    folded = Layer(
        before.function, before.weight * gain.view(-1, *[1] * (before.weight.ndim - 1)), shift, before.is_positive
    )
    return _made(Origin(folded, input.origin.is_convolution, input.origin.x), value)


def _normalized(x: Tensor, mean: Tensor, var: Tensor, weight: Tensor | None, bias: Tensor | None) -> Tensor:
    gain = var.rsqrt() * (1 if weight is None else weight)
    shift = (0 if bias is None else bias) - mean * gain
    channels = (-1, *[1] * (x.ndim - 2))
    return x * gain.view(channels) + shift.view(channels)


def _made(origin: Origin, value: Tensor) -> Relevant:
    x = origin.x
    rule = x.composite.rule(origin.is_convolution, x.bounds)
    carrier = way(lambda relevance: [rule(origin.layer, x.value, relevance)], value, x)
    return Relevant.of(value, carrier, x.composite, origin=origin)


@operator(
    *("relu", "relu6", "hardtanh", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "tanh"),
    *("dropout", "alpha_dropout", "feature_alpha_dropout", "layer_norm", "rms_norm", "group_norm"),
)
def passing(function: Any, input: Relevant, *args: Any, **kwargs: Any) -> Relevant:
    """All of it passes: an activation answers for its input alone, a normalization's scale is held constant.

    Source: Achtibat et al., ICML 2024, section 3.3.
    """
    name, given = name_of(function), (*args, *kwargs.values())
    in_place = function.__name__.endswith("_") or any(argument is True for argument in given)
    value = function(input.value.clone() if in_place else input.value, *args, **kwargs)
    is_positive = name in ("relu", "relu6") or (name == "hardtanh" and bool(given) and given[0] == 0)
    return _passed(value, input, is_positive=is_positive or (name == "dropout" and input.is_positive))


def _passed(value: Tensor, x: Relevant, bounds: Bounds | None = None, is_positive: bool = False) -> Relevant:
    carrier = way(lambda relevance: [relevance.sum_to_size(x.value.shape)], value, x)
    return Relevant.of(value, carrier, x.composite, bounds, is_positive=is_positive)


@operator("neg", "negative")
def neg(function: Any, input: Relevant) -> Relevant:
    """All of it passes."""
    return _passed(-input.value, input, _bounds(input, torch.neg))


@operator("add", "iadd", "radd")
def add(function: Any, input: Any, other: Any, *, alpha: float = 1) -> Relevant:
    """In proportion to what each side adds. A constant keeps its share; one that is added to pixels moves their bounds."""
    if alpha != 1:
        other = mul(None, other, alpha) if isinstance(other, Relevant) else other * alpha
    value, sides = input + other, [side for side in (input, other) if isinstance(side, Relevant)]
    if len(sides) == 1 and sides[0].bounds:
        constant = other if sides[0] is input else input
        return _passed(value, sides[0], _bounds(sides[0], lambda limit: limit + constant))

    def deal(relevance: Tensor) -> list[Tensor]:
        share = relevance / stabilized(value)
        return [(side.value * share).sum_to_size(side.value.shape) for side in sides]

    return Relevant.of(value, way(deal, value, *sides), sides[0].composite)


@operator("sub", "isub", "subtract")
def sub(function: Any, input: Any, other: Any, *, alpha: float = 1) -> Relevant:
    """A sum."""
    return add(function, input, neg(None, other) if isinstance(other, Relevant) else -other, alpha=alpha)


@operator("rsub")
def rsub(function: Any, input: Any, other: Any) -> Relevant:
    """A sum."""
    return sub(function, other, input)


@operator("mul", "imul", "rmul", "multiply")
def mul(function: Any, input: Any, other: Any) -> Relevant:
    """By a constant: all of it passes."""
    if isinstance(input, Relevant) and isinstance(other, Relevant):
        return _product(input * other, input, other)
    x, constant = (input, other) if isinstance(input, Relevant) else (other, input)
    return _passed(x.value * constant, x, _bounds(x, lambda limit: limit * constant))


@operator("div", "truediv", "itruediv", "divide")
def div(function: Any, input: Any, other: Any) -> Relevant:
    """By a constant: all of it passes."""
    if isinstance(other, Relevant):
        raise _no_rule("division by what depends on the input")
    return _passed(input.value / other, input, _bounds(input, lambda limit: limit / other))


def _bounds(x: Relevant, change: Callable[[Tensor], Tensor]) -> Bounds | None:
    """The bounds of pixels that were shifted or scaled."""
    if x.bounds is None:
        return None
    first, second = (change(limit) for limit in x.bounds)
    return torch.minimum(first, second), torch.maximum(first, second)


@operator("matmul", "rmatmul", "bmm")
def matmul(function: Any, input: Any, other: Any) -> Relevant:
    """A product with a constant matrix (attention after its softmax): in proportion to what each position adds."""
    value = function(input, other)
    if isinstance(input, Relevant) and isinstance(other, Relevant):
        return _product(value, input, other)
    if isinstance(input, Relevant):
        return _summed(lambda x: function(x, other), input, value)
    return _summed(lambda x: function(input, x), other, value)


@operator("scaled_dot_product_attention")
def attention(
    function: Any,
    query: Tensor,
    key: Tensor,
    value: Relevant,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    **kwargs: Any,
) -> Relevant:
    """The mixing matrix is a constant; relevance goes to the values that it mixes."""
    if is_causal or any(kwargs.values()) or (attn_mask is not None and attn_mask.dtype == torch.bool):
        raise _no_rule("attention that is causal, grouped or masked")
    plain = [t.value if isinstance(t, Relevant) else t for t in (query, key)]
    mixed = function(*plain, value.value, attn_mask, scale=scale)

    def mix(values: Tensor) -> Tensor:
        scores = plain[0] @ plain[1].mT * (scale if scale is not None else plain[0].shape[-1] ** -0.5)
        return (scores if attn_mask is None else scores + attn_mask).softmax(-1) @ values

    return _summed(mix, value, mixed)


@operator("mean", "sum", "avg_pool2d", "adaptive_avg_pool2d", "interpolate")
def summing(function: Any, input: Relevant, *args: Any, **kwargs: Any) -> Relevant:
    """In proportion to what each position adds."""
    return _summed(lambda x: function(x, *args, **kwargs), input, function(input, *args, **kwargs))


def _summed(function: Callable[[Tensor], Tensor], x: Relevant, value: Tensor) -> Relevant:
    carrier = way(lambda relevance: [in_proportion(function, x.value, relevance)], value, x)
    return Relevant.of(value, carrier, x.composite)


@operator("sigmoid", "hardsigmoid", "softmax", "detach")
def constant(function: Any, *args: Any, **kwargs: Any) -> Tensor:
    """A gate: none of it passes."""
    result: Tensor = function(*args, **kwargs)
    return result


@operator(
    *("reshape", "view", "view_as", "flatten", "unflatten", "squeeze", "unsqueeze", "expand", "expand_as", "repeat"),
    *("permute", "transpose", "swapaxes", "movedim", "t", "T", "mT", "contiguous", "clone", "to", "float", "double"),
    *("unbind", "chunk", "split", "split_with_sizes", "tensor_split", "select", "narrow", "getitem", "index_select"),
    *("cat", "concat", "stack", "roll", "flip", "pad", "pixel_shuffle", "pixel_unshuffle", "channel_shuffle"),
    *("max_pool2d", "adaptive_max_pool2d", "amax"),
)
def moving(function: Any, *args: Any, **kwargs: Any) -> Any:
    """To where the value came from; of a window, to its largest."""
    sources = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Relevant)]

    def moved(part: Callable[[Relevant], Any]) -> list[Tensor]:
        given, named = tree_map(lambda leaf: part(leaf) if isinstance(leaf, Relevant) else leaf, (args, kwargs))
        return tree_leaves(function(*given, **named))

    values = function(*args, **kwargs)
    with torch.enable_grad():
        carriers = moved(lambda x: x.carrier)
    limits: list[Bounds | None] = [None] * len(carriers)
    if all(x.bounds for x in sources):
        limits = list(zip(moved(lambda x: x.bounds[0]), moved(lambda x: x.bounds[1]), strict=True))  # type: ignore[index]
    is_positive = all(x.is_positive for x in sources) and name_of(function) != "pad"  # with what, is not looked at
    flat, structure = tree_flatten(values)
    parts = zip(flat, carriers, limits, strict=True)
    found = [Relevant.of(v, c, sources[0].composite, b, is_positive=is_positive) for v, c, b in parts]
    return tree_unflatten(found, structure)


def _product(value: Tensor, first: Relevant, second: Relevant) -> Relevant:
    """Attention's scores, which end in a softmax; relevance that reaches a product of another kind has nowhere to go."""

    def deal(relevance: Tensor) -> list[Tensor]:
        raise _no_rule("a product of two tensors that depend on the input")

    return Relevant.of(value, way(deal, value, first, second), first.composite)


def _no_rule(what: str) -> EdgekdError:
    return EdgekdError(f"operator: {what}", "one with a rule of layer-wise relevance propagation", "none for it")
