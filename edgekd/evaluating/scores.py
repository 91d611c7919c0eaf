"""Accuracy and calibration of a network on a set of images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.console import Console

from edgekd.bundle import Bundle, ConformalRecord
from edgekd.data.dataset import Dataset, groups_of
from edgekd.errors import EdgekdError
from edgekd.recipe import Recipe
from edgekd.reports import screen
from edgekd.runtimes import Session

BATCH = 64


def write(
    session: Session,
    bundle: Bundle,
    dataset: Dataset,
    recipe: Recipe,
    tta: bool,
    out: Path,
    console: Console,
    conformal: ConformalRecord | None = None,
) -> None:
    """Run the bundle's network on the images; show and write what was measured."""
    from edgekd.data.pixels import Pixels
    from edgekd.data.tta import tta_views
    from edgekd.files import write_atomic
    from edgekd.measures.evaluation import evaluate
    from edgekd.reports import evaluation, left_out, pictures, prediction_grid

    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    left_out.show(pixels.corrupt, console)
    probs = asked(session, pixels.array, tta_views if tta else lambda batch: [batch], console)
    if probs.shape[1] != len(bundle.manifest.label_names):
        expected = f"{len(bundle.manifest.label_names)} probabilities for an image"
        raise EdgekdError(f"bundle {bundle.folder}", expected, str(probs.shape[1]), "export it again")
    samples = pixels.dataset.samples
    truth = np.array([s.label for s in samples])
    found = evaluate(
        probs,
        truth,
        bundle.manifest.label_names,
        groups=groups_of(samples),
        conformal=conformal,
    )
    evaluation.show(found, console)
    found.save(out / "evaluation.json")
    labels = {str(i): name for i, name in enumerate(bundle.manifest.label_names)}
    write_atomic(out / "class_labels.json", json.dumps(labels, indent=2, ensure_ascii=False) + "\n")
    pictures.confusion(found, out / "confusion.png")
    pictures.reliability(found, out / "reliability.png")
    prediction_grid.draw(pixels.array, probs, truth, bundle.manifest.label_names, out / "predictions.png")
    console.print(f"written to {out}", highlight=False)


def asked(
    session: Session, pixels: np.ndarray, views: Callable[[np.ndarray], list[np.ndarray]], console: Console
) -> np.ndarray:
    """Probabilities [N, K] of pixels, each the mean over the `views` of it."""
    parts = []
    with screen.progress(console) as bar:
        for begin in bar.track(range(0, len(pixels), BATCH), description="evaluating"):
            batch = np.ascontiguousarray(pixels[begin : begin + BATCH])
            parts.append(np.mean([session.probs(view) for view in views(batch)], axis=0))
    return np.concatenate(parts)
