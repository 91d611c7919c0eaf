"""What sessions on artefacts have in common: the facts an artefact carries, the check of pixels, and `--io int8`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from edgekd.errors import EdgekdError, missing_package
from edgekd.measures.calibration import softmax
from edgekd.preprocess import InputContract
from edgekd.quantization import heatmap
from edgekd.quantization.graph import PIXELS, Graph, Shape
from edgekd.runtimes import FileFacts, Format, Session
from edgekd.section import validate

KEY = "edgekd"
AGAIN = "write it again with edgekd.export"
HEATMAP = "heatmap"  # the key of the second output's description
BATCH = 8  # images at a time: about as fast as any number, and memory does not grow with the set


def batches(pixels: np.ndarray) -> list[np.ndarray]:
    """Pixels [N, S, S, 3] in pieces of at most BATCH images; without images one empty piece, for the session to judge."""
    return [pixels[begin : begin + BATCH] for begin in range(0, max(len(pixels), 1), BATCH)]


def streamed(session: Session, pictures: Iterable[np.ndarray]) -> np.ndarray:
    """Probabilities [N, K] of pictures [S, S, 3] uint8 that are made while others are answered, so that few are in memory."""
    pictures, found = iter(pictures), []
    while piece := list(islice(pictures, 4 * BATCH)):
        found.append(session.probs(np.stack(piece)))
    return np.concatenate(found)


def metadata(graph: Graph, facts: FileFacts) -> dict[str, str]:
    """What an artefact carries: all facts as JSON under `edgekd`, and the main ones as plain text for other tools.

    Where the int8 logits come out, their scale and zero point are there too; where a heat map does, what it is.
    """
    plain = {"name": facts.name, "description": facts.description, "licence": facts.licence}
    described = facts.as_json()
    if shape := heatmap.shape_of(graph):
        # The mean over height and width plus the bias is the logit.
        described[HEATMAP] = {
            "output": heatmap.OUTPUT,
            "shape": shape,
            "unit": "logits",
            "bias": heatmap.bias_of(graph),
        }
    found = {KEY: json.dumps(described), "labels": "\n".join(facts.label_names), **plain}
    if facts.io == "int8":
        grid = graph.grid(graph.output.name)
        found |= {"logits_scale": repr(grid.scale), "logits_zero_point": str(grid.zero_point)}
    return found


def check_format(graph: Graph, format: Format, facts: FileFacts) -> None:
    """Refuse a graph or an `io` that the format cannot hold.

    Raises: EdgekdError, also for a package that is not installed.
    """
    where = f"format {format.name!r}"
    need_packages(format, where)
    if graph.is_quantized != format.is_int8:
        raise EdgekdError(where, "a graph on the int8 grid" if format.is_int8 else "a float graph", "the other kind")
    if facts.io == "int8" and not format.is_int8:
        raise EdgekdError(where, "io = 'uint8'", "io = 'int8'", "choose an int8 format")
    if facts.io == "int8" and heatmap.node_of(graph):
        raise EdgekdError(where, "io = 'uint8' for a file with a heat map, which is float32", "io = 'int8'")
    labels, outputs = len(facts.label_names), graph.shapes[graph.output.name][0]
    if labels != outputs:
        raise EdgekdError(where, f"{outputs} label names, one per logit", str(labels))


def need_packages(format: Format, where: str) -> None:
    """Refuse to go on without the packages of a format.

    Raises: EdgekdError that names the command which installs them.
    """
    if format.missing:
        raise missing_package(format.missing[0], format.extra, where)


def facts_of(found: Mapping[str, str], path: Path) -> FileFacts:
    """The facts in an artefact's metadata.

    Raises: EdgekdError for a file that carries none.
    """
    try:
        values = json.loads(found[KEY])
        contract = validate(InputContract, values["input"], str(path), from_json=True)
        if values["schema"] != "edgekd.artefact/1" or values["io"] not in ("uint8", "int8"):
            raise ValueError("an unknown schema or io")
        if not all(isinstance(name, str) for name in values["label_names"]):
            raise ValueError("label names that are no text")
        temperature = float(values["calibration_temperature"])
        if not 0 < temperature < math.inf:
            raise ValueError("a calibration temperature that is not positive")
        return FileFacts(
            name=values["name"],
            description=values["description"],
            label_names=tuple(values["label_names"]),
            input=contract,
            calibration_temperature=temperature,
            io=values["io"],
            licence=values["licence"],
            version=values["edgekd"],
        )
    except (KeyError, TypeError, ValueError, RecursionError) as e:
        raise EdgekdError(str(path), "a file written by edgekd", f"metadata: {type(e).__name__}: {e}", AGAIN) from None


def heatmap_of(found: Mapping[str, str], path: Path) -> Shape | None:
    """(H, W, K) of the heat map that an artefact's metadata tell of; None where they tell of none.

    Raises: EdgekdError for a description that cannot be.
    """
    described = json.loads(found[KEY]).get(HEATMAP)
    if described is None:
        return None
    try:
        shape = tuple(described["shape"])
        if described["output"] != heatmap.OUTPUT or [type(n) for n in shape] != 3 * [int] or min(shape) < 1:
            raise ValueError("another output or shape")
        return shape
    except (KeyError, TypeError, ValueError) as e:
        found_ = f"metadata: {type(e).__name__}: {e}"
        raise EdgekdError(str(path), "the description of a heat map", found_, AGAIN) from None


@dataclass(frozen=True)
class Ends:
    """What is left to do around an artefact: nothing for io "uint8"; codes, temperature and softmax for "int8".

    `heatmap` is (H, W, K) of the artefact's second output, where it has one.
    """

    facts: FileFacts
    logits_scale: float = 1.0
    heatmap: Shape | None = None

    @classmethod
    def of(cls, found: Mapping[str, str], path: Path) -> Ends:
        """The ends that an artefact's metadata describe.

        Raises: EdgekdError.
        """
        facts = facts_of(found, path)
        if facts.io == "uint8":
            return cls(facts, heatmap=heatmap_of(found, path))
        try:
            return cls(facts, float(found["logits_scale"]))
        except (KeyError, ValueError) as e:
            raise EdgekdError(str(path), "the scale of the int8 logits", f"{type(e).__name__}: {e}", AGAIN) from None

    def feed(self, pixels: np.ndarray) -> np.ndarray:
        """What goes in for pixels [B, S, S, 3] uint8: themselves, or int8 codes.

        Raises: EdgekdError for another shape or type.
        """
        size = self.facts.input.size
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != (size, size, 3):
            found = f"{list(pixels.shape)} {pixels.dtype}"
            raise EdgekdError(f"pixels for {self.facts.name}", f"[B, {size}, {size}, 3] uint8", found)
        if self.facts.io == "uint8":
            return pixels
        return (pixels.astype(np.int16) + PIXELS.zero_point).astype(np.int8)

    def probs(self, output: np.ndarray) -> np.ndarray:
        """Probabilities [B, K] float32 of what came out; softmax does not see the zero point of int8 logits."""
        if self.facts.io == "uint8":
            return output
        logits = output.astype(np.float64) * self.logits_scale
        return softmax(logits, self.facts.calibration_temperature).astype(np.float32)

    def need_heatmap(self) -> None:
        """Refuse to go on with an artefact that has no heat map.

        Raises: EdgekdError.
        """
        if self.heatmap is None:
            raise EdgekdError(self.facts.name, "a file with a heat map", "one without", "export it with --heatmap")
