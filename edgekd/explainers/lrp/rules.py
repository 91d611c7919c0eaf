"""The rules of layer-wise relevance propagation: how a layer deals the relevance of its outputs to its inputs.

A rule takes the layer, its input x and the relevance R of its output, and gives the relevance of x. With zero biases what it
gives sums to what it took; a bias keeps its own share. Where gradients are enabled, the result can be differentiated by what
made x and by the weights.
Source: Bach et al., PLoS ONE 2015; Montavon et al., in Explainable AI, LNCS 11700, 2019, section 10.2; for inputs of both
signs Andéol et al., 2021.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import torch
from torch import Tensor

EPSILON = 1e-6
GAMMA = 0.25


@dataclass(frozen=True)
class Layer:
    """z = function(x, weight, bias): a convolution or a linear layer; `is_positive` where x is known to be never negative."""

    function: Callable[[Tensor, Tensor, Tensor | None], Tensor]
    weight: Tensor
    bias: Tensor | None
    is_positive: bool = False

    def term(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Term:
        """What the layer makes of other inputs, weights and biases of the same shapes."""
        return Term.of(lambda x: self.function(x, weight, bias), x)


class Term(NamedTuple):
    """One z that is linear in one x, up to a bias."""

    x: Tensor
    z: Tensor

    @classmethod
    def of(cls, function: Callable[[Tensor], Tensor], x: Tensor) -> Term:
        """z = function(x), differentiable by x even where gradients are disabled."""
        # Another name for x, as the weights may know it too: by a normalization's statistics of the batch, held constant here.
        x = x.view_as(x) if x.requires_grad else x.detach().requires_grad_()
        with torch.enable_grad():
            return cls(x, function(x))


Rule = Callable[[Layer, Tensor, Tensor], Tensor]


def epsilon(layer: Layer, x: Tensor, relevance: Tensor) -> Tensor:
    """R_j = Σ_k x_j w_jk R_k / (z_k + ε sign z_k)."""
    return in_proportion(lambda x: layer.function(x, layer.weight, layer.bias), x, relevance)


def gamma(layer: Layer, x: Tensor, relevance: Tensor) -> Tensor:
    """The ε rule on w + γ w⁺: contributions x_j w_jk of the output's own sign count 1 + γ times.

    Where x is never negative and z is positive these are the weights w + γ w⁺; where z is negative, w + γ w⁻.
    """
    whole, positive = layer.term(x, layer.weight, layer.bias), _positive(layer, x)
    z, p = whole.z, _sum(positive)
    share = relevance * z.sign().abs() / stabilized(z + GAMMA * torch.where(z > 0, p, z - p))  # not p: what is negative
    of_all, of_positive = torch.where(z > 0, 1.0, 1 + GAMMA), torch.where(z > 0, GAMMA, -GAMMA)
    return _dealt([whole], share * of_all.to(z.dtype)) + _dealt(positive, share * of_positive.to(z.dtype))


def alpha1_beta0(layer: Layer, x: Tensor, relevance: Tensor) -> Tensor:
    """Positive contributions alone, each in proportion (α = 1, β = 0); an output without any keeps what it has."""
    positive = _positive(layer, x)
    return _dealt(positive, relevance / stabilized(_sum(positive)))


def alpha2_beta1(layer: Layer, x: Tensor, relevance: Tensor) -> Tensor:
    """2 R among the positive contributions, −R among the negative ones (α = 2, β = 1)."""
    negative = _negative(layer, x)
    return 2 * alpha1_beta0(layer, x, relevance) - _dealt(negative, relevance / stabilized(_sum(negative)))


def box(low: Tensor, high: Tensor) -> Rule:
    """For inputs between `low` and `high`: R_j = Σ_k (x_j w_jk − l_j w⁺_jk − h_j w⁻_jk) R_k / Σ_j (the same)."""

    def rule(layer: Layer, x: Tensor, relevance: Tensor) -> Tensor:
        w, b = layer.weight, layer.bias
        whole = layer.term(x, w, b)
        lowest = layer.term(low, w.clamp(min=0), b.clamp(min=0) if b is not None else None)
        highest = layer.term(high, w.clamp(max=0), b.clamp(max=0) if b is not None else None)
        share = relevance / stabilized(whole.z - lowest.z - highest.z)
        return _dealt([whole], share) - _dealt([lowest], share) - _dealt([highest], share)

    return rule


def in_proportion(function: Callable[[Tensor], Tensor], x: Tensor, relevance: Tensor) -> Tensor:
    """The ε rule of any function that is linear in x, up to a bias."""
    term = Term.of(function, x)
    return _dealt([term], relevance / stabilized(term.z))


def stabilized(z: Tensor) -> Tensor:
    """z + ε sign z, where 0 counts as positive."""
    return torch.where(z < 0, z - EPSILON, z + EPSILON)


def _positive(layer: Layer, x: Tensor) -> list[Term]:
    """The positive contributions: of positive inputs with the bias's positive part, and of negative inputs."""
    w, b = layer.weight, layer.bias
    bias = b.clamp(min=0) if b is not None else None
    if layer.is_positive:
        return [layer.term(x, w.clamp(min=0), bias)]
    return [layer.term(x.clamp(min=0), w.clamp(min=0), bias), layer.term(x.clamp(max=0), w.clamp(max=0))]


def _negative(layer: Layer, x: Tensor) -> list[Term]:
    w, b = layer.weight, layer.bias
    bias = b.clamp(max=0) if b is not None else None
    if layer.is_positive:
        return [layer.term(x, w.clamp(max=0), bias)]
    return [layer.term(x.clamp(min=0), w.clamp(max=0), bias), layer.term(x.clamp(max=0), w.clamp(min=0))]


def _sum(terms: list[Term]) -> Tensor:
    return reduce(torch.add, [term.z for term in terms])


def _dealt(terms: list[Term], share: Tensor) -> Tensor:
    """Σ over terms of x ∂z/∂x · share: every contribution times the share of the output that it went into."""
    xs, zs = [term.x for term in terms], [term.z for term in terms]
    slopes = torch.autograd.grad(zs, xs, [share] * len(zs), create_graph=torch.is_grad_enabled())
    return reduce(torch.add, [x * slope for x, slope in zip(xs, slopes, strict=True)])
