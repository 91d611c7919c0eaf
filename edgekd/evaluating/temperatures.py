"""What temperatures do to the networks of a run: teacher, control, student, and the student's files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from edgekd import recipe as recipes
from edgekd.artefacts.verification import logits_of
from edgekd.bundle import ARTEFACTS, MANIFEST, Bundle
from edgekd.classifier import session_of
from edgekd.data.chosen import choose
from edgekd.data.dataset import groups_of
from edgekd.errors import EdgekdError
from edgekd.evaluating.scores import asked
from edgekd.files import write_atomic
from edgekd.measures.temperature import Answers, calibration
from edgekd.reports import calibration as report
from edgekd.runtimes import find
from edgekd.training.folders import CONTROL, TEACHER


def write(bundles: Sequence[Bundle], out: Path, console: Console) -> None:
    """Measure what temperatures do to the networks of runs; show and write it."""
    networks = []
    for bundle in bundles:
        of_run = f"{bundle.manifest.name} " if len(bundles) > 1 else ""
        roles = [bundle.folder / role for role in (TEACHER, CONTROL) if (bundle.folder / role / MANIFEST).exists()]
        networks += [_stored(Bundle.open(folder), of_run) for folder in roles]
        networks.append(_stored(bundle, of_run))
        networks += _of_files(bundle, of_run, console)
    found = calibration(networks)
    report.show(found, console)
    text = json.dumps(found.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False)
    write_atomic(out / "calibration.json", text + "\n")
    console.print(f"written to {report.write(found, out)}", highlight=False, soft_wrap=True)


def _stored(bundle: Bundle, of_run: str) -> Answers:
    """A network's answers to the test images, as its bundle holds them."""
    from safetensors.numpy import load_file

    m, stored = bundle.manifest, load_file(bundle.file("evaluation/test.safetensors"))
    name = f"{of_run}{m.role}"
    return Answers(name, m.network.network, m.temperature, stored["logits"], stored["labels"], stored.get("groups"))


def _of_files(bundle: Bundle, of_run: str, console: Console) -> Iterator[Answers]:
    """What the bundle's files say of the test images of its own data; nothing where the data are not at hand."""
    from edgekd.data.pixels import Pixels

    m = bundle.manifest
    recipe = recipes.recorded(m.recipe, str(bundle.folder))
    there = [
        n for n, r in m.artefacts.items() if f"{ARTEFACTS}/{next(iter(r.files))}" in m.files and not find(n)[0].missing
    ]
    try:
        dataset = choose(recipe, bundle, None, own_data=True) if there else None
    except EdgekdError as e:
        console.print(f"without files ({', '.join(there)}): {e}", highlight=False, soft_wrap=True)
        return
    if dataset is None:
        return
    pixels = Pixels.of(dataset, m.input, Path(recipe.cache), recipe.data.corrupt_limit)
    samples = pixels.dataset.samples
    for name in there:
        with session_of(bundle, name) as session:
            probs = asked(session, pixels.array, lambda batch: [batch], console)
        temperature = m.artefacts[name].calibration_temperature
        logits = logits_of(probs, temperature)
        labels = np.array([s.label for s in samples])
        yield Answers(f"{of_run}{name}", m.network.network, temperature, logits, labels, groups_of(samples))
