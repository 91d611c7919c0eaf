"""Sanity of explanations: a map that stays as it was when the network forgets what it learnt explains the picture alone.

Adebayo et al., NeurIPS 2018, "Sanity Checks for Saliency Maps": maps of the network are compared with those of the same
network with randomised weights.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgekd.measures.explanations import Explainer, Picture
from edgekd.measures.similarity import rank_correlation
from edgekd.runtimes import Session

if TYPE_CHECKING:
    from edgekd.networks import PixelNetwork


@dataclass(frozen=True)
class Likeness:
    """How alike a method's maps of a picture are, by the trained and by the randomised network: rank correlation.

    0 where a map has no differences: it is like none.
    """

    method: str
    picture: str
    correlation: float


def randomised(network: PixelNetwork, seed: int = 0) -> PixelNetwork:
    """A copy whose weights [two or more dimensions] are shuffled, each tensor's among themselves.

    Their distribution stays, so that activations keep their size; biases and normalization stay as they are.
    """
    import copy

    import torch

    found = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in found.parameters():
            if weight.ndim > 1:
                order = torch.randperm(weight.numel(), generator=generator).to(weight.device)
                weight.copy_(weight.flatten()[order].view_as(weight))
    return found


def sanity(
    explainers: Sequence[tuple[Explainer, Explainer]], sessions: tuple[Session, Session], pictures: Iterable[Picture]
) -> Iterator[list[Likeness]]:
    """For each picture how alike each method's two maps are, of the trained network's answer.

    `explainers`: each method for the trained and for the randomised network, whose `sessions` these are.
    """
    for picture in pictures:
        pixels = picture.pixels
        target = int(sessions[0].probs(pixels[None])[0].argmax())
        found = []
        for pair in explainers:
            maps = [one.relevance(session, pixels, target) for one, session in zip(pair, sessions, strict=True)]
            found.append(Likeness(pair[0].method.name, picture.name, rank_correlation(*maps) or 0.0))
        yield found
