"""What is measured: a bundle's artefacts, its golden vectors, and the images that devices answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from edgekd import recipe as recipes
from edgekd.benchmarking.restoring import Restorer
from edgekd.benchmarking.schema import BundleFacts, DataFacts, LeftOut
from edgekd.bundle import MANIFEST, ArtefactRecord, Bundle
from edgekd.data.chosen import choose, with_data
from edgekd.data.dataset import groups_of, listing_hash
from edgekd.data.pixels import Pixels
from edgekd.devices.document import RuntimeName
from edgekd.errors import EdgekdError, nearest, several
from edgekd.files import sha256_file
from edgekd.measures.calibration import softmax

# How far a probability of a golden image may be from what the same file gave when it was verified. Float kernels add in
# another order; int8 kernels of other runtimes round differently, which tflite-runtime's built-in ones do most (0.06).
TOLERANCE = {"fp32": 1e-3, "fp16": 1e-3, "static_wi8_ai8": 0.1}
# How far from the float student's, if that is all there is.
TOLERANCE_FLOAT = {"fp32": 1e-3, "fp16": 0.05, "static_wi8_ai8": 0.3}
FILE_SUFFIXES = (".jpg", ".jpeg", ".png")  # what every device decodes


@dataclass(frozen=True)
class Artefact:
    """One verified artefact: where its files are, the first being the one to load, and what golden images must give."""

    format: str
    runtime: RuntimeName
    record: ArtefactRecord
    files: dict[str, Path]
    golden_probs: np.ndarray  # [G, K]
    tolerance: float


@dataclass(frozen=True)
class Images:
    """The images to answer: pixels [N, S, S, 3] uint8; the float student's probabilities [N, K], where they are known.

    `folder`: where the images' files are, if they have any.
    """

    facts: DataFacts
    pixels: np.ndarray
    pixels_sha256: str
    reference: np.ndarray | None
    folder: Path | None = None

    def file(self, index: int) -> Path | None:
        """The JPEG or PNG file of an image, if it has one of its own."""
        path = self.folder / self.facts.image_names[index] if self.folder else None
        return path if path and path.suffix.lower() in FILE_SUFFIXES and path.is_file() else None


def artefacts(
    bundle: Bundle, formats: Sequence[str], folder: Path, step: Callable[[str], None]
) -> tuple[list[Artefact], tuple[LeftOut, ...]]:
    """The bundle's verified artefacts, or those of the formats named, and what had to be left out of all.

    Files that did not travel with the bundle are written again into `folder`.
    Raises: EdgekdError for a format named that the bundle does not have, or whose file cannot be made here; or if none can.
    """
    records = bundle.manifest.artefacts
    again = f"python -m edgekd.export {bundle.folder}"
    if not records:
        raise EdgekdError(str(bundle.folder), "a bundle with artefacts", "none", again)
    for name in formats:
        if name not in records:
            todo = f"{nearest(name, records)} or: {again} --format {name}"
            raise EdgekdError(f"format {name!r} of {bundle.folder}", "a verified artefact", "none", todo)
    restorer = Restorer(bundle, folder, step)
    found, left_out = [], []
    for name in formats or records:
        try:
            found.append(_artefact(bundle, name, restorer.files(name)))
        except EdgekdError as e:
            if formats:
                raise
            left_out.append(LeftOut(format=name, reason=str(e)))
    if not found:
        raise several(f"{bundle.folder}: no artefact can be measured here", [one.reason for one in left_out])
    return found, tuple(left_out)


def _artefact(bundle: Bundle, name: str, files: dict[str, Path]) -> Artefact:
    from edgekd.runtimes import find

    record, module = bundle.manifest.artefacts[name], find(name)[1]
    runtime = cast(RuntimeName, module.__name__.rpartition(".")[2])  # a device's runtimes are named as their modules
    if record.report in bundle.manifest.files:
        report = json.loads(bundle.file(record.report).read_text(encoding="utf-8"))
        return Artefact(name, runtime, record, files, np.array(report["golden_probs"]), TOLERANCE[record.scheme])
    probs = softmax(golden(bundle)[1], record.calibration_temperature)
    return Artefact(name, runtime, record, files, probs, TOLERANCE_FLOAT[record.scheme])


def golden(bundle: Bundle) -> tuple[np.ndarray, np.ndarray, list[Path]]:
    """The golden vectors: pixels [G, S, S, 3] uint8, the float student's logits [G, K], and the image files."""
    from safetensors.numpy import load_file

    found = load_file(bundle.file("golden/vectors.safetensors"))
    return found["pixels"], found["logits"], [bundle.file(f"golden/{i}.png") for i in range(len(found["pixels"]))]


def images(bundle: Bundle, data: str = "", limit: int | None = None) -> Images | None:
    """The test split of the bundle's images, or of those at `data`; with `limit` so many of them, evenly.

    None if no data is named and the bundle's own is not on this machine.
    Raises: EdgekdError if those at `data` are not there, or have classes that the bundle does not know.
    """
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    recipe = with_data(recipe, data) if data else recipe
    if not data and recipe.data.path and not Path(recipe.data.path).exists():
        if limit is not None:
            where = f"--images {limit}"
            raise EdgekdError(where, "images to choose from", f"none at {recipe.data.path}", "--data PATH")
        return None
    dataset = choose(recipe, bundle, None, own_data=not data)
    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    samples = pixels.dataset.samples
    listing = listing_hash(samples)
    rows = evenly(len(samples), limit)
    chosen = [samples[i] for i in rows]
    is_test = listing == bundle.manifest.split_hashes.get("test")
    facts = DataFacts(
        source=recipe.data.path or recipe.data.source,
        split="test" if is_test or dataset.split("test") else "all",
        images=len(chosen),
        of_images=len(samples),
        listing_sha256=listing,
        image_names=tuple(s.name for s in chosen),
        labels=tuple(s.label for s in chosen),
        groups=groups_of(chosen),
    )
    reference = _stored(bundle)[rows] if is_test and "evaluation/test.safetensors" in bundle.manifest.files else None
    path = Path(recipe.data.path) if recipe.data.path else None
    folder = path if path is None or path.is_dir() else path.parent  # a CSV names files beside it
    return Images(facts, pixels.array[rows], pixels.sha256, reference, folder)


def _stored(bundle: Bundle) -> np.ndarray:
    """The float student's probabilities [N, K] on its test split, as stored when it was made."""
    from safetensors.numpy import load_file

    logits = load_file(bundle.file("evaluation/test.safetensors"))["logits"]
    return softmax(logits, bundle.manifest.calibration_temperature.get("torch", 1.0))


def evenly(count: int, limit: int | None) -> list[int]:
    """`limit` of `count` indices at even distances, or all of them."""
    if limit is None or limit >= count:
        return list(range(count))
    return [(2 * i + 1) * count // (2 * limit) for i in range(limit)]


def bundle_facts(bundle: Bundle) -> BundleFacts:
    """What the report says of the bundle."""
    m = bundle.manifest
    return BundleFacts(
        name=m.name,
        manifest_sha256=sha256_file(bundle.folder / MANIFEST),
        network=m.network.network,
        width=m.network.width,
        parameters=m.network.parameters,
        macs=m.network.macs,
        label_names=m.label_names,
        input=m.input,
        licence=m.licence,
        teacher=m.teacher.network if m.teacher else "",
    )
