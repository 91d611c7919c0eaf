"""Candidates as one types them, `NETWORK[:WIDTH][@SIZE]`, and networks with random weights."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from edgekd.errors import EdgekdError, several
from edgekd.networks import PixelNetwork, build, check_network
from edgekd.recipe import InputRecipe, Network
from edgekd.section import validate

PATTERN = re.compile(r"(?P<network>[^:@\s]+)(:(?P<width>[0-9.]+))?(@(?P<size>[0-9]+))?")
EXAMPLE = "mobilenetv2:0.5,mobilenetv2:0.35@160,efficientnet_lite0"


@dataclass(frozen=True)
class Candidate:
    """A network that may become the student; `size` is its input's side in px."""

    text: str
    settings: Network
    size: int

    def network(self, classes: int, seed: int) -> PixelNetwork:
        """The network with random weights; the same for the same seed, and nobody else's random numbers are touched."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return build(self.settings, classes, self.size)


def parse(texts: Sequence[str], size: int) -> list[Candidate]:
    """Candidates from the values of `--candidates`, each a list with commas; `size` px where one names none.

    Raises: EdgekdError that lists all that cannot be.
    """
    names = list(dict.fromkeys(name.strip() for text in texts for name in text.split(",") if name.strip()))
    if len(names) < 2:
        raise EdgekdError("--candidates", "two networks or more", ", ".join(names) or "none", f"--candidates {EXAMPLE}")
    found, problems = [], []
    for name in names:
        try:
            found.append(_one(name, size))
        except EdgekdError as e:
            problems.append(f"{name}: {e}")
    if problems:
        raise several("--candidates", problems)
    return found


def _one(text: str, size: int) -> Candidate:
    given = PATTERN.fullmatch(text)
    if not given:
        raise EdgekdError("a candidate", "NETWORK[:WIDTH][@SIZE]", text, f"for example {EXAMPLE}")
    try:
        values = {"network": given["network"], "width": float(given["width"] or 1)}
    except ValueError:
        raise EdgekdError("a candidate's width", "a number", given["width"]) from None
    settings = validate(Network, values, "a candidate")
    side = validate(InputRecipe, {"size": int(given["size"] or size)}, "a candidate's input").size
    check_network(settings, side)
    return Candidate(text, settings, side)
