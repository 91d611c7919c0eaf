"""python -m edgekd.embed: a bundle's model into the Android demo, or a zip for it, verified once more on the way."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd import __version__, command
from edgekd.android import app_model, archive, assets
from edgekd.android.app_model import (
    AppConformal,
    AppGolden,
    AppHeatmap,
    AppModel,
    ModelFile,
    Origin,
    Sample,
    UnsureBelow,
)
from edgekd.bundle import MANIFEST, Bundle
from edgekd.errors import EdgekdError, nearest
from edgekd.files import sha256_bytes, sha256_file
from edgekd.preprocess import decode, to_pixels
from edgekd.reports import screen
from edgekd.runtimes import find, formats

if TYPE_CHECKING:
    from edgekd.benchmarking.subject import Artefact

RUNTIME = "tflite"
ACCURACY = 0.9  # of the answers that count
DIGITS = 10**4  # of the threshold, rounded down: other processors compute other last digits
RULE = (
    "the smallest confidence on the validation split from which on at least {percent:.0f} % of the answers of such a "
    "confidence are right (isotonic regression; the float student's calibrated answers)"
)
VALIDATION = "evaluation/val.safetensors"
EXAMPLE = """  python -m edgekd.embed                              # runs/default, as tflite-int8, into android_demo
  python -m edgekd.embed models/mri4p-mobilenetv2      # the model that the demo comes with
  python -m edgekd.embed BUNDLE --format tflite-fp16 --app my_copy_of_android_demo
  python -m edgekd.embed BUNDLE --zip model.zip       # for the app on a phone: Model, Import a model"""


def main(argv: Sequence[str] | None = None) -> None:
    """Verify a bundle and write the app's assets."""
    args = _arguments().parse_args(argv)
    command.need("embed", "export", packages=(*find(args.format)[0].packages, "safetensors", "sklearn"))
    console = screen.console()
    if args.zip and args.app:
        raise EdgekdError("--zip and --app", "one of them", "both")
    folder = None if args.zip else assets.folder_of(Path(args.app or "android_demo"))
    with console.status("verifying …"):
        model, files = contents(Bundle.open(args.bundle), args.format)
    if folder:
        assets.replace(folder, files)
    else:
        archive.write(args.zip, files)
    unsure = model.unsure_below
    share = f"{unsure.share:.1%} of {unsure.images} validation images"
    for line in (
        f"{model.name}, {model.format}: {model.model.size_bytes / 1e6:.2f} MB in {folder or args.zip}",
        _silence(model) or f"not sure below a confidence of {unsure.confidence:.3f}: {share}",
        "with its own heat map" if model.heatmap else _without_map(args.bundle, args.format),
    ):
        console.print(line, highlight=False, soft_wrap=True)


def _silence(model: AppModel) -> str:
    """When the app says "not sure", by the conformal record; "" without one."""
    if model.conformal is None:
        return ""
    return f"not sure where no class or every class is possible, at {1 - model.conformal.alpha:.0%} coverage"


def _without_map(folder: object, format: str) -> str:
    """What the app does without a heat map, and the command that makes the artefact with one, where it can have it."""
    command = f": python -m edgekd.export {folder} --format {format} --heatmap" if find(format)[0].takes_heatmap else ""
    return f"without a heat map of its own, so by occlusion{command}"


def _arguments() -> argparse.ArgumentParser:
    text = (
        "Put a bundle's model into the Android demo: model.tflite, model.json, golden vectors and pictures to try.\n"
        "The file's hash is compared, and it is run on its golden vectors. An older model and its files are removed.\n"
        "With --zip nothing of the demo changes: the files go into a zip, which the app imports and checks once more."
    )
    arguments = command.parser("embed", text, EXAMPLE)
    add = arguments.add_argument
    add("bundle", nargs="?", default="runs/default", help="a bundle with a .tflite artefact (default: runs/default)")
    add("--app", metavar="DIR", help="the Android project (default: android_demo)")
    add("--zip", metavar="FILE", help="write a zip for the app to import, in place of the project's assets")
    add("--format", metavar="NAME", default="tflite-int8", help="the artefact (default: tflite-int8)")
    return arguments


def contents(bundle: Bundle, format: str) -> tuple[AppModel, dict[str, bytes]]:
    """The description of a bundle's artefact, and all files of the app's assets by name.

    A file that did not travel with the bundle is written again, and is that file if its hash is the verified one. Where the
    artefact was verified with a heat map too, the app gets that file.
    Raises: EdgekdError for a format that is not TensorFlow Lite's, an artefact that was never verified or cannot be
    written again, or that gives other probabilities than when it was verified.
    """
    from edgekd.benchmarking import subject

    _need_tflite(format)
    bundle = _with_map(bundle, format)
    with tempfile.TemporaryDirectory(prefix="edgekd.") as written:
        (artefact,), _ = subject.artefacts(bundle, [format], Path(written), lambda step: None)
        probs, places = _verified(bundle, artefact)
        content = artefact.files[next(iter(artefact.record.files))].read_bytes()
    golden, images = _golden(bundle, probs, artefact.tolerance)
    model = _description(bundle, format, content, golden, places)
    text = json.dumps(model.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n"
    return model, {app_model.MODEL: content, **images, app_model.DESCRIPTION: text.encode()}


def _with_map(bundle: Bundle, format: str) -> Bundle:
    """The bundle whose file has the heat map that it was verified with."""
    from edgekd.artefacts.heatmaps import turned

    record = bundle.manifest.artefacts.get(format)
    if record is None or record.heatmap is None or record.has_heatmap:
        return bundle
    changed = bundle.manifest.artefacts | {format: turned(record)}
    return Bundle(bundle.folder, bundle.manifest.model_copy(update={"artefacts": changed}))


def _description(
    bundle: Bundle, format: str, content: bytes, golden: AppGolden, places: tuple[int, int] | None
) -> AppModel:
    record, manifest = bundle.manifest.artefacts[format], bundle.manifest
    sets = record.conformal
    return AppModel(
        name=manifest.name,
        format=format,
        label_names=manifest.label_names,
        display_names=manifest.readable_names,
        input=manifest.input,
        io=record.io,
        calibration_temperature=record.calibration_temperature,
        model=ModelFile(sha256=sha256_bytes(content), size_bytes=len(content)),
        unsure_below=unsure_below(bundle),
        conformal=AppConformal(alpha=sets.alpha, quantile=sets.quantile) if sets else None,
        heatmap=AppHeatmap(height=places[0], width=places[1]) if places else None,
        golden=golden,
        samples=_samples(manifest.label_names, golden.images),
        origin=_origin(bundle, format),
        licence=manifest.licence,
    )


def _need_tflite(format: str) -> None:
    known = [name for name, (_, module) in formats().items() if module.__name__.endswith(f".{RUNTIME}")]
    find(format)
    if format not in known:
        expected, found = "a file for TensorFlow Lite", "another runtime's"
        raise EdgekdError(f"format {format!r}", expected, found, nearest(format, known))


def _verified(bundle: Bundle, artefact: Artefact) -> tuple[np.ndarray, tuple[int, int] | None]:
    """The probabilities [G, K] of the golden images that were recorded when the file was verified; it gives them still.

    And height and width of its heat map; None for a file without.
    """
    from edgekd.artefacts import validation
    from edgekd.runtimes.isolated import Isolated

    record, names = artefact.record, bundle.manifest.label_names
    again = f"python -m edgekd.export {bundle.folder} --format {artefact.format}"
    if record.report not in bundle.manifest.files:
        raise EdgekdError(f"{artefact.format} of {bundle.folder}", "the report of its verification", "none", again)
    pixels, expected = validation.golden(bundle)["pixels"], artefact.golden_probs
    if expected.shape != (len(pixels), len(names)) or not np.isfinite(expected).all():
        shape = [len(pixels), len(names)]
        raise EdgekdError(record.report, f"finite golden_probs {shape}", f"{list(expected.shape)}", again)
    with Isolated() as child:
        found = child.load(artefact.format, artefact.files[next(iter(record.files))]).probs(pixels)
        height, width = child.heatmap(pixels[:1]).shape[1:3] if record.has_heatmap else (0, 0)
    change = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    if not change <= artefact.tolerance:
        where = f"{artefact.format} of {bundle.folder}"
        raise EdgekdError(where, f"its golden probabilities within {artefact.tolerance}", f"{change:.3g} away", again)
    return expected, (height, width) if height else None


def _golden(bundle: Bundle, probs: np.ndarray, tolerance: float) -> tuple[AppGolden, dict[str, bytes]]:
    from edgekd.benchmarking import subject

    expected, _, paths = subject.golden(bundle)
    images = {f"golden/{p.name}": p.read_bytes() for p in paths}
    decoded = [decode(content, name) for name, content in images.items()]
    for name, image, pixels in zip(images, decoded, expected, strict=True):
        if not np.array_equal(to_pixels(image, bundle.manifest.input), pixels):
            todo = "make the bundle again, or use the Pillow that made it"
            raise EdgekdError(f"{name} of {bundle.folder}", "the input tensor that the bundle holds", "another", todo)
    golden = AppGolden(
        images=tuple(images),
        images_sha256=tuple(map(sha256_bytes, images.values())),
        decoded_sha256=tuple(hashlib.sha256(i.tobytes()).hexdigest() for i in decoded),
        pixels_sha256=tuple(hashlib.sha256(p.tobytes()).hexdigest() for p in expected),
        probs=tuple(tuple(row) for row in probs.tolist()),
        tolerance=tolerance,
    )
    return golden, images


def unsure_below(bundle: Bundle) -> UnsureBelow:
    """The confidence below which the app says "not sure", by the rule of `edgekd.measures.confidence.threshold`.

    From the float student's answers on the validation split, which the bundle holds, at their calibration temperature;
    never from the test split. The artefact's confidences are calibrated on the same images.
    Raises: EdgekdError for a bundle without them.
    """
    from edgekd.artefacts.validation import arrays
    from edgekd.measures import confidence
    from edgekd.measures.calibration import softmax

    names = bundle.manifest.label_names
    found = arrays(bundle, VALIDATION, labels=(), logits=(len(names),))
    try:
        answers = softmax(found["logits"], bundle.manifest.temperature)
        threshold = confidence.threshold(answers, found["labels"], ACCURACY)
    except ValueError as e:
        raise EdgekdError(str(bundle.file(VALIDATION)), "answers of the validation split", str(e)) from None
    shown = vars(threshold) | {"confidence": math.floor(threshold.confidence * DIGITS) / DIGITS}
    return UnsureBelow(rule=RULE.format(percent=100 * ACCURACY), **shown)


def _samples(label_names: tuple[str, ...], images: tuple[str, ...]) -> tuple[Sample, ...]:
    """The golden images, to try; they are phantoms, drawn with one finding each."""
    from edgekd.data import phantom

    drawn = [phantom.LABEL_NAMES[i % len(phantom.LABEL_NAMES)] for i in range(len(images))]
    return tuple(
        Sample(file=name, title=f"Synthetic picture {i}", label=label if label in label_names else "")
        for i, (name, label) in enumerate(zip(images, drawn, strict=True), 1)
    )


def _origin(bundle: Bundle, format: str) -> Origin:
    manifest, record = bundle.manifest, bundle.manifest.artefacts[format]
    return Origin(
        bundle=manifest.name,
        manifest_sha256=sha256_file(bundle.folder / MANIFEST),
        source=record.source,
        network=manifest.network.network,
        parameters=manifest.network.parameters,
        macs=manifest.network.macs,
        val_images=record.val_images,
        val_accuracy=record.val_accuracy,
        edgekd=__version__,
    )


if __name__ == "__main__":
    command.run(main)
