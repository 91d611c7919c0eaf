"""Runtimes, one file each: a module here with `FORMATS` writes these formats, loads them, and checks what it wrote.

A runtime module has

    FORMATS: tuple[Format, ...]
    def write(graph: Graph, format: Format, facts: FileFacts, path: Path) -> None
    def load(path: Path, threads: int) -> Session
    def lint(graph: Graph, format: Format, facts: FileFacts, path: Path) -> list[str]

`write` leaves `path` (and files beside it with other suffixes) complete; `lint` gives what is wrong with a file, in words.
Heavy packages are imported inside functions, and native parsers run in a child process: see `isolated`.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from edgekd.errors import EdgekdError, nearest
from edgekd.preprocess import InputContract

if TYPE_CHECKING:
    from edgekd.quantization.graph import Graph

Scheme = Literal["fp32", "fp16", "static_wi8_ai8"]
Io = Literal["uint8", "int8"]


@dataclass(frozen=True)
class Format:
    """One kind of file. `suffixes`: of the files it consists of, the first being the one to load."""

    name: str
    words: str
    suffixes: tuple[str, ...]
    scheme: Scheme
    packages: tuple[str, ...]  # as imported
    extra: str = "export"
    takes_heatmap: bool = False  # whether a file of it can have the second output `heatmap`

    @property
    def is_int8(self) -> bool:
        """Whether it is written from the graph on the int8 grid."""
        return self.scheme == "static_wi8_ai8"

    @property
    def missing(self) -> tuple[str, ...]:
        """Packages that are not installed."""
        return tuple(p for p in self.packages if importlib.util.find_spec(p) is None)


@dataclass(frozen=True)
class FileFacts:
    """What goes into an artefact beside the graph.

    `io` "uint8": pixels in, calibrated float32 probabilities out. `io` "int8" (int8 formats only): int8 codes in
    (pixel - 128), int8 logits out; the session applies scale, temperature and softmax.
    """

    name: str
    description: str
    label_names: tuple[str, ...]
    input: InputContract
    calibration_temperature: float = 1.0
    io: Io = "uint8"
    licence: str = ""
    version: str = ""

    def as_json(self) -> dict[str, object]:
        """What an app needs, in plain values; written into every artefact under the key `edgekd`."""
        return {
            "schema": "edgekd.artefact/1",
            "name": self.name,
            "description": self.description,
            "label_names": list(self.label_names),
            "input": self.input.model_dump(mode="json"),
            "calibration_temperature": self.calibration_temperature,
            "io": self.io,
            "licence": self.licence,
            "edgekd": self.version,
        }


class Session(Protocol):
    """A loaded network or artefact."""

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""


class Mapped(Session, Protocol):
    """A session on what gives a heat map too."""

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB: see `quantization.heatmap`.

        Raises: EdgekdError for a file without one.
        """


class Runtime(Protocol):
    """A module of this folder that defines formats; all raise EdgekdError."""

    __name__: str
    FORMATS: tuple[Format, ...]

    def write(self, graph: Graph, format: Format, facts: FileFacts, path: Path) -> None:
        """Write the graph as a file of the format: the same bytes for the same graph and facts."""

    def lint(self, graph: Graph, format: Format, facts: FileFacts, path: Path) -> list[str]:
        """What is wrong with a file that should hold this graph, in words."""

    def load(self, path: Path, threads: int) -> Session:
        """A session on a file that edgekd wrote."""


def modules() -> dict[str, Runtime]:
    """The runtime modules that define formats, by name."""
    found: dict[str, Any] = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "FORMATS"):
            found[info.name] = module
    return found


def formats() -> dict[str, tuple[Format, Runtime]]:
    """Every format by name, with its runtime's module."""
    return {f.name: (f, module) for module in modules().values() for f in module.FORMATS}


def find(name: str) -> tuple[Format, Runtime]:
    """The format called `name` and its runtime's module.

    Raises: EdgekdError with the nearest name; a format is never guessed.
    """
    known = formats()
    if name not in known:
        raise EdgekdError(f"format {name!r}", "a known format", todo=nearest(name, known))
    return known[name]
