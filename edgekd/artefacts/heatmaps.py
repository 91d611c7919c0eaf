"""Files with their own heat map (`export --heatmap`): which grid its codes get, what is verified of it, what is recorded."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from edgekd.artefacts import verification
from edgekd.bundle import ArtefactRecord, FileRecord, HeatmapRecord
from edgekd.errors import EdgekdError
from edgekd.measures.similarity import rank_correlation
from edgekd.quantization import heatmap
from edgekd.quantization.graph import Array, Graph, Grid
from edgekd.runtimes import Format, formats
from edgekd.runtimes.isolated import Isolated

if TYPE_CHECKING:
    from edgekd.artefacts.making import ExportPlan

IMAGES = 256  # of the validation split, evenly, on which the file's map is compared with the float network's
# |Δ map| of float files against NumPy, as a share of the map's largest value or of 1; with float16 weights, their rounding.
LARGEST_CHANGE = {"fp32": 1e-4, "fp16": 0.05}
COMPARED = 32  # images of which the map is computed by NumPy too
LARGEST_MEAN_STEPS = 1.0  # mean |Δ map| of int8 files against exact integers, in steps of the map's grid


@dataclass(frozen=True)
class FloatMaps:
    """The float network's maps [N, H, W, K] of pixels [N, S, S, 3] of the validation split, and its answers [N]."""

    pixels: Array
    maps: Array
    answers: Array


@dataclass(frozen=True)
class Wanted:
    """The heat map that a file shall have: the graph with it, what set its range, and what its ranks are compared with."""

    graph: Graph
    range: Literal["", "training", "bounds"] = ""
    maps: FloatMaps | None = None


def refuse_others(names: list[str], io: str, other_writer: str) -> None:
    """Refuse `--heatmap` where a file could not have a map, before any work; `other_writer`: the option that names one.

    Raises: EdgekdError with the formats that can.
    """
    possible = [name for name, (format, _) in formats().items() if format.takes_heatmap]
    if wrong := [name for name in names if name not in possible]:
        where, expected = f"--heatmap --format {','.join(names)}", "formats whose heat map is verified"
        raise EdgekdError(where, expected, ", ".join(wrong), f"--format {','.join(sorted(possible))}, or some of these")
    if io == "int8":
        raise EdgekdError("--heatmap --io int8", "io uint8: a heat map is float32, which int8 ends leave no place for")
    if other_writer:
        raise EdgekdError(f"--heatmap {other_writer}", "the project's own writer: other converters know no heat map")


def float_maps(graph: Graph, pixels: Array, logits: Array) -> FloatMaps:
    """The maps of a float graph, in NumPy; pixels [N, S, S, 3] and logits [N, K] are of the whole validation split."""
    rows = np.unique(np.linspace(0, len(pixels) - 1, IMAGES).round().astype(int))
    mapped, chosen = heatmap.with_heatmap(graph), np.ascontiguousarray(pixels[rows])
    return FloatMaps(chosen, heatmap.maps(mapped, chosen), logits[rows].argmax(1))


def graph_of(graph: Graph, record: ArtefactRecord) -> Graph | None:
    """The graph that a record's file was written from, if that has a map; None if it has none."""
    return heatmap.with_heatmap(graph, grid_of(record)) if record.has_heatmap else None


def grid_of(record: ArtefactRecord) -> Grid | None:
    """The grid of the map that a record tells of."""
    found = record.heatmap
    if found is None or found.scale is None or found.zero_point is None:
        return None
    return Grid(scale=found.scale, zero_point=found.zero_point)


def files_of(record: ArtefactRecord, with_map: bool) -> Mapping[str, FileRecord] | None:
    """The verified files with the map or without; None where there never were."""
    if with_map == record.has_heatmap:
        return record.files
    return record.heatmap.other_files if record.heatmap else None


def turned(record: ArtefactRecord) -> ArtefactRecord:
    """The record of the same files the other way round: with the map where they have none, and without it where they have."""
    found = record.heatmap
    assert found is not None
    changed = found.model_copy(update={"is_in_file": not found.is_in_file, "other_files": record.files})
    return record.model_copy(update={"files": found.other_files, "heatmap": changed})


def added(
    plan: ExportPlan, record: ArtefactRecord, path: Path, pixels: Array
) -> tuple[ArtefactRecord, dict[str, Any], list[str]]:
    """The record and the report of a verified file that gets a map, compared on golden images; and what is wrong with it."""
    assert plan.heatmap is not None
    files, report = plan.bundle.manifest.files, dict[str, Any]()
    if record.report in files:
        report = json.loads(plan.bundle.file(record.report).read_text(encoding="utf-8"))
    mapped, problems = verify(plan, plan.heatmap, path, record.calibration_temperature, pixels)
    if hasattr(plan.module, "KEEPS_TENSORS") and (graph := plan.int8_graph) is not None:
        report["operators"], wrong = verification.recomputed(graph, plan.format, path, pixels)
        problems += wrong
    report["heatmap"] = mapped.model_dump(exclude={"other_files"})
    return record.model_copy(update={"files": plan.file_records(path), "heatmap": mapped}), report, problems


def kept(before: ArtefactRecord | None, now: ArtefactRecord) -> HeatmapRecord | None:
    """What was recorded of the map of a file that is made again without it: it holds if the file without it is the same."""
    if before is None or before.heatmap is None or files_of(before, with_map=False) != now.files:
        return None
    return before.heatmap if not before.has_heatmap else turned(before).heatmap


def verify(
    plan: ExportPlan, wanted: Wanted, path: Path, temperature: float, pixels: Array
) -> tuple[HeatmapRecord, list[str]]:
    """What a file's map is worth, and what is wrong with it; the file without a map is written beside it for that.

    `pixels` [N, S, S, 3]: images on which the first output's bytes are compared, and the map of the first COMPARED.
    """
    graph, maps = wanted.graph, wanted.maps
    plain = replace(plan, heatmap=None)
    bare = plain.make(temperature, path.parent / "without")
    with Isolated() as child:
        expected = child.load(plan.format.name, bare).probs(pixels)
        child.load(plan.format.name, path)
        probs, found = child.probs(pixels), child.heatmap(pixels[:COMPARED])
        of_validation = child.heatmap(maps.pixels) if maps else None
    problems = []
    if probs.tobytes() != expected.tobytes():
        problems.append("with its heat map the file gives other probabilities than without it")
    difference, wrong = _difference(found, heatmap.maps(graph, pixels[:COMPARED]), graph, plan.format)
    ranks = _ranks(of_validation, maps) if maps and of_validation is not None else []
    grid = graph.grid(heatmap.NODE) if graph.is_quantized else None
    record = HeatmapRecord(
        is_in_file=True,
        other_files=plain.file_records(bare),
        scale=grid.scale if grid else None,
        zero_point=grid.zero_point if grid else None,
        range=wanted.range,
        largest_difference=difference,
        rank_correlation=float(np.mean(ranks)) if ranks else None,
        rank_correlation_low=float(np.quantile(ranks, 0.05)) if ranks else None,
        rank_images=len(ranks),
    )
    return record, problems + wrong


def _difference(found: Array, expected: Array, graph: Graph, format: Format) -> tuple[float, list[str]]:
    """The largest difference of a file's maps from those of NumPy, in logits, and whether it is too large."""
    if found.shape != expected.shape:
        return 0.0, [f"a heat map of shape {list(found.shape[1:])}, expected {list(expected.shape[1:])}"]
    change = np.abs(found.astype(np.float64) - expected)
    largest = float(change.max())
    if graph.is_quantized:
        steps = float(change.mean()) / graph.grid(heatmap.NODE).scale
        if not steps <= LARGEST_MEAN_STEPS:
            return largest, [f"the heat map is {steps:.2f} steps from exact integers on average"]
        return largest, []
    limit = LARGEST_CHANGE[format.scheme] * max(1.0, float(np.abs(expected).max()))
    return largest, [] if largest <= limit else [
        f"a heat map differs by {largest:.2g} from NumPy's (limit {limit:.2g})"
    ]


def _ranks(found: Array, maps: FloatMaps) -> list[float]:
    """Rank correlations of the maps of the float network's answers; a map without differences has none."""
    rows = zip(found, maps.maps, maps.answers, strict=True)
    ranks = (rank_correlation(ours[..., k].ravel(), theirs[..., k].ravel()) for ours, theirs, k in rows)
    return [rank for rank in ranks if rank is not None]
