"""A tensor that relevance flows through: beside its value it knows the way back to the input.

A network runs on it unchanged, and every operator that it meets is looked up in `OPERATORS`. The way back is an autograd graph
of its own, whose gradients are relevance. The values keep theirs, so that relevance can be differentiated by what the
network has learnt.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from edgekd.errors import EdgekdError
from edgekd.explainers.lrp.composites import Bounds, Composite
from edgekd.explainers.lrp.rules import Layer

Deal = Callable[[Tensor], Sequence[Tensor]]  # the relevance of an output -> that of each input
Operator = Callable[..., Any]  # takes torch's function, then its arguments
OPERATORS: dict[str, Operator] = {}  # by the function's name, without underscores


def operator(*names: str) -> Callable[[Operator], Operator]:
    """Say what relevance does at the operators `names`."""

    def register(function: Operator) -> Operator:
        OPERATORS.update(dict.fromkeys(names, function))
        return function

    return register


@dataclass(frozen=True)
class Origin:
    """The layer that made a tensor, and what of: a batch normalization that follows is folded into it."""

    layer: Layer
    is_convolution: bool
    x: Relevant


class Relevant(Tensor):
    """A value and its way back; pixels know their bounds, and what a layer made knows its origin.

    `is_positive` where the value is known to be never negative, which spares rules half their work.
    """

    value: Tensor
    carrier: Tensor  # stands for the value in the graph of the way back
    composite: Composite
    bounds: Bounds | None
    origin: Origin | None
    is_positive: bool

    @classmethod
    def of(
        cls,
        value: Tensor,
        carrier: Tensor,
        composite: Composite,
        bounds: Bounds | None = None,
        origin: Origin | None = None,
        is_positive: bool = False,
    ) -> Relevant:
        """`value` with what belongs to it."""
        value = value.value if isinstance(value, cls) else value  # what does nothing gives its input back
        found = value.as_subclass(cls)
        found.value, found.carrier, found.composite = value, carrier, composite
        found.bounds, found.origin, found.is_positive = bounds, origin, is_positive
        return found

    @classmethod
    def __torch_function__(
        cls, function: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Every operator that torch runs on such a tensor.

        Raises: EdgekdError for one that says nothing of relevance.
        """
        del types
        name, kwargs = name_of(function), kwargs or {}
        with torch._C.DisableTorchFunctionSubclass():
            if name in OPERATORS:
                return OPERATORS[name](function, *args, **kwargs)
            result = function(*args, **kwargs)
        if any(isinstance(leaf, Tensor) for leaf in tree_leaves(result)):
            raise EdgekdError(
                f"operator {name!r}", "one with a rule of layer-wise relevance propagation", "none for it"
            )
        return result  # a shape, a type


def name_of(function: Any) -> str:
    """An operator's name, the same for function, method and attribute, in place or not."""
    is_attribute = function.__name__ == "__get__"
    name: str = function.__self__.__name__ if is_attribute else function.__name__
    return name.strip("_")


def way(deal: Deal, value: Tensor, *inputs: Relevant) -> Tensor:
    """The carrier of `value`, whose relevance `deal` gives to `inputs`."""
    with torch.enable_grad():
        carrier: Tensor = _Way.apply(deal, value.detach(), *(x.carrier for x in inputs))
    return carrier


class _Way(torch.autograd.Function):
    """A step of the way back."""

    @staticmethod
    def forward(ctx: Any, deal: Deal, value: Tensor, *carriers: Tensor) -> Tensor:
        ctx.deal = deal
        return value.detach()

    @staticmethod
    def backward(ctx: Any, relevance: Tensor) -> tuple[Tensor | None, ...]:
        return None, None, *ctx.deal(relevance)
