"""How far explanations of a network and of a file can be trusted, on a set of images."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from rich.console import Console

from edgekd.bundle import Bundle
from edgekd.classifier import identity_of, session_of
from edgekd.data.dataset import Dataset, Sample, groups_of, region
from edgekd.explainers import Method
from edgekd.measures import explanations, sanity
from edgekd.measures.explanations import Explainer, Picture, Record
from edgekd.measures.sanity import Likeness
from edgekd.recipe import Recipe
from edgekd.reports import screen

if TYPE_CHECKING:
    from edgekd.networks import PixelNetwork

Sampled: TypeAlias = "tuple[Sample, Picture]"


def images_of(bundle: Bundle, dataset: Dataset, recipe: Recipe, count: int, console: Console) -> list[Sampled]:
    """At most `count` images, evenly over the set, with their true regions where these are known."""
    from edgekd.data.pixels import Pixels
    from edgekd.measures.explanations import Picture
    from edgekd.reports import left_out

    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    left_out.show(pixels.corrupt, console)
    samples = pixels.dataset.samples
    rows = np.unique(np.linspace(0, len(samples) - 1, min(count, len(samples))).round().astype(int))
    return [
        (
            s,
            Picture(
                s.name, np.ascontiguousarray(pixels.array[row]), s.label, region(dataset, s, bundle.manifest.input)
            ),
        )
        for row, s in ((row, samples[row]) for row in rows)
    ]


@dataclass(frozen=True)
class Asked:
    """What to measure: the methods, on the float network and on an artefact; `sanity`: beside randomised weights too."""

    methods: Sequence[Method]
    format: str | None = None
    resume: bool = False
    sanity: bool = False


def write(bundle: Bundle, asked: Asked, images: Sequence[Sampled], out: Path, console: Console) -> None:
    """Measure explanations of the float network and of an artefact; show and write what was measured."""
    from edgekd.files import write_atomic
    from edgekd.measures import trust
    from edgekd.reports import faithfulness, pictures

    groups = groups_of(s for s, _ in images)
    by_name = None if groups is None else {s.name: group for (s, _), group in zip(images, groups, strict=True)}
    shown = [picture for _, picture in images]
    result = trust.summary(_records(bundle, asked, shown, out, console), bundle.manifest.name, by_name)
    if asked.sanity:
        result = trust.with_sanity(result, _sanity(bundle, asked, shown, console), by_name)
    faithfulness.show(result, console)
    text = json.dumps(result.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    write_atomic(out / "faithfulness.json", text + "\n")
    pictures.faithfulness(result, out / "faithfulness.png")
    console.print(f"written to {out}", highlight=False)


def _explaining(bundle: Bundle, asked: Asked, network: PixelNetwork | None) -> list[Explainer]:
    return [Explainer(method, method.options(bundle.manifest.input), network) for method in asked.methods]


def _records(bundle: Bundle, asked: Asked, shown: Sequence[Picture], out: Path, console: Console) -> list[Record]:
    """What was measured of each picture, network and method; each line of the log is written as it comes."""
    from edgekd.files import write_atomic

    log, network = out / "faithfulness.jsonl", None
    if any(method.reads_network for method in asked.methods):
        from edgekd.networks import from_bundle

        network = from_bundle(bundle)
    known = explanations.read(log) if asked.resume else {}
    with contextlib.ExitStack() as opened:
        subjects = [
            explanations.Subject(
                name, opened.enter_context(session_of(bundle, which, is_busy=True)), identity_of(bundle, which)
            )
            for name, which in {"float": None, asked.format or "float": asked.format}.items()
        ]
        bar = opened.enter_context(screen.progress(console))
        found = explanations.measure(subjects, _explaining(bundle, asked, network), shown, known)
        records = []
        write_atomic(log, "".join(record.model_dump_json() + "\n" for record in known.values()))
        with log.open("a", encoding="utf-8") as file:
            for part in bar.track(found, total=len(shown), description="explaining"):
                records += part
                file.writelines(r.model_dump_json() + "\n" for r in part if r.key not in known)
                file.flush()
    return records


def _sanity(bundle: Bundle, asked: Asked, shown: Sequence[Picture], console: Console) -> list[Likeness]:
    """How alike maps are by the float network, and by the same with randomised weights."""
    from edgekd.networks import from_bundle
    from edgekd.runtimes.torch import TorchSession

    trained = from_bundle(bundle)
    networks = trained, sanity.randomised(trained)
    sessions = [TorchSession(network, bundle.manifest.temperature) for network in networks]
    pairs = list(zip(*(_explaining(bundle, asked, network) for network in networks), strict=True))
    with screen.progress(console) as bar:
        found = sanity.sanity(pairs, (sessions[0], sessions[1]), shown)
        return [one for part in bar.track(found, total=len(shown), description="with random weights") for one in part]
