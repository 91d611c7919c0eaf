"""How far explanations of a network and of a file can be trusted, on a set of images."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from rich.console import Console

from edgekd.bundle import Bundle
from edgekd.classifier import identity_of, session_of
from edgekd.data.dataset import Dataset, Sample, groups_of, region
from edgekd.explainers import Method
from edgekd.measures.explanations import Picture
from edgekd.recipe import Recipe
from edgekd.reports import screen

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


def write(
    bundle: Bundle,
    format: str | None,
    methods: Sequence[Method],
    images: Sequence[Sampled],
    out: Path,
    resume: bool,
    console: Console,
) -> None:
    """Measure explanations of the float network and of an artefact; show and write what was measured."""
    from edgekd.files import write_atomic
    from edgekd.measures import explanations, trust
    from edgekd.reports import faithfulness, pictures

    m, log = bundle.manifest, out / "faithfulness.jsonl"
    network = None
    if any(method.reads_network for method in methods):
        from edgekd.networks import from_bundle

        network = from_bundle(bundle)
    explaining = [explanations.Explainer(method, method.options(m.input), network) for method in methods]
    known = explanations.read(log) if resume else {}
    groups = groups_of(s for s, _ in images)
    with contextlib.ExitStack() as opened:
        subjects = [
            explanations.Subject(
                name, opened.enter_context(session_of(bundle, which, is_busy=True)), identity_of(bundle, which)
            )
            for name, which in {"float": None, format or "float": format}.items()
        ]
        bar = opened.enter_context(screen.progress(console))
        found = explanations.measure(subjects, explaining, [picture for _, picture in images], known)
        records = []
        write_atomic(log, "".join(record.model_dump_json() + "\n" for record in known.values()))
        with log.open("a", encoding="utf-8") as file:
            for part in bar.track(found, total=len(images), description="explaining"):
                records += part
                file.writelines(r.model_dump_json() + "\n" for r in part if r.key not in known)
                file.flush()
    by_name = None if groups is None else {s.name: group for (s, _), group in zip(images, groups, strict=True)}
    result = trust.summary(records, m.name, by_name)
    faithfulness.show(result, console)
    text = json.dumps(result.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    write_atomic(out / "faithfulness.json", text + "\n")
    pictures.faithfulness(result, out / "faithfulness.png")
    console.print(f"written to {out}", highlight=False)
