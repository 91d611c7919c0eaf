"""Explainers, one file or folder per method: which pixels spoke for a class.

A method has

    Options: type[Section]
    def explain(subject, pixels, target, options) -> np.ndarray

which gives the relevance [S, S] float32 of the class `target` for pixels [S, S, 3] uint8. Black-box methods ask a `Session`, so
that they explain any artefact, the very file that ships. White-box methods read the torch network and say so with
`SUBJECT = "network"`; functions of theirs give maps [B, h, w] that can be differentiated by its parameters, so that a loss can
teach them. What asks a `Mapped` session for the file's own map says `SUBJECT = "heatmap"`.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgekd import extras
from edgekd.errors import EdgekdError, nearest
from edgekd.preprocess import InputContract
from edgekd.section import Section, validate

NETWORK, HEATMAP = "network", "heatmap"


@dataclass(frozen=True)
class Method:
    """A method by its name; `reads_network`: it explains the float network in torch, and no file.

    `reads_heatmap`: it explains what has a heat map of its own.
    """

    name: str
    explain: Callable[[Any, np.ndarray, int, Any], np.ndarray]
    kind: type[Section]
    reads_network: bool
    reads_heatmap: bool = False

    def options(self, contract: InputContract, **given: Any) -> Section:
        """Its options for a network with this input: what is hidden gets the colour that normalization makes 0.

        Raises: EdgekdError for options that the method does not have.
        """
        own = {"colour": neutral(contract)} if "colour" in self.kind.model_fields else {}
        return validate(self.kind, own | given, f"options of the explainer {self.name!r}")


def names() -> list[str]:
    """The names of all methods, whether what they need is installed or not."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def find(name: str) -> Method:
    """The method called `name`.

    Raises: EdgekdError with the nearest name, or with the command that installs what the method needs.
    """
    if name not in names():
        raise EdgekdError(f"explainer {name!r}", "a known method", todo=nearest(name, names()))
    try:
        module: Any = importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as e:
        raise extras.explained(e, f"the explainer {name!r}") or e from None
    extras.need(f"the explainer {name!r}", "explain", getattr(module, "PACKAGES", ()))
    subject = getattr(module, "SUBJECT", "")
    return Method(name, module.explain, module.Options, subject == NETWORK, subject == HEATMAP)


def chosen(values: Iterable[str]) -> list[Method]:
    """The methods of `--method NAME[,NAME…]` values, in order, once each.

    Raises: EdgekdError as `find` does.
    """
    given = [name.strip() for value in values for name in value.split(",") if name.strip()]
    return [find(name) for name in dict.fromkeys(given)]


def neutral(contract: InputContract) -> tuple[int, int, int]:
    """The colour, uint8 RGB, that normalization brings nearest to 0."""
    red, green, blue = (int(min(max(mean * 255 + 0.5, 0), 255)) for mean in contract.mean)
    return red, green, blue
