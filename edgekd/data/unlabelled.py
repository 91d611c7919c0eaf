"""Images without a label: more training images for a student, which learns from them what its teacher says of them.

They are dealt to train alone, and never decide how labelled images are dealt. What belongs to val or test must not reach a
training in this way either: those images are left out, and so are copies of labelled images, which have nothing to add.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from PIL import Image

from edgekd.data.dataset import HELD_OUT, NO_LABEL, Dataset, Sample, file_fingerprint
from edgekd.data.folders import Walk, relative
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError, several
from edgekd.files import inside
from edgekd.preprocess import EXTENSIONS, decode

PREFIX = "unlabelled/"  # of the names of a folder's images, beside those of the set that they join
OF_HELD_OUT, COPIES = "of val or test, by group or picture", "copies of labelled images"


def joined(dataset: Dataset, folder: str) -> Dataset:
    """The set and, without labels, every image file below `folder`; "" stands for none.

    Raises: EdgekdError for a folder that is missing or holds no image, what `edgekd.data.folders` refuses, or a name that
    the set has already.
    """
    if not folder:
        return dataset
    root = existing(folder)
    walk = Walk(root, lambda path: path.suffix.lower() in EXTENSIONS)
    files = list(walk.files(root))
    if walk.problems or not files:
        raise several(f"data.unlabelled {folder}", walk.problems or ["no image file"])
    samples = [Sample(named(root, file), NO_LABEL, fingerprint=file_fingerprint(file)) for file in files]
    refuse_taken((s.name for s in samples), {s.name for s in dataset.samples}, folder)
    own = {s.name for s in samples}

    def open_image(sample: Sample) -> Image.Image:
        if sample.name not in own:
            return dataset.open_image(sample)
        return decode(inside(root, sample.name.removeprefix(PREFIX)), sample.name)

    return Dataset(dataset.label_names, (*dataset.samples, *samples), open_image)


def existing(folder: str) -> Path:
    """The folder's path. Raises: EdgekdError if there is no such folder."""
    root = Path(folder)
    if not root.is_dir():
        raise EdgekdError(f"data.unlabelled {folder}", "a folder of image files", "no such folder")
    return root


def named(root: Path, file: Path) -> str:
    """The name of an image below the folder `root`, in the set that it joins."""
    return PREFIX + relative(root, file)


def refuse_taken(names: Iterable[str], taken: set[str], folder: str) -> None:
    """Raises: EdgekdError if one of the names is `taken`."""
    if twice := sorted(taken.intersection(names)):
        problems = [f"{name!r} is the name of an image of the set, too" for name in twice]
        raise several(f"data.unlabelled {folder}", problems, "leave it out if it is the same, or rename its folder")


def usable(pixels: Pixels) -> tuple[Pixels, Counter[str]]:
    """The set with those unlabelled images in no split that must not, or need not, be trained on; why -> how many."""
    samples, pictures = pixels.dataset.samples, pixels.ids.tolist()
    held_out = {s.group for s in samples if s.split in HELD_OUT} - {None}
    labelled: dict[int, set[str]] = {}
    for sample, picture in zip(samples, pictures, strict=True):
        if sample.is_labelled:
            labelled.setdefault(picture, set()).add(sample.split)

    def why(sample: Sample, picture: int) -> str:
        if sample.is_labelled:
            return ""
        if sample.group in held_out or labelled.get(picture, set()).intersection(HELD_OUT):
            return OF_HELD_OUT
        return COPIES if picture in labelled else ""

    reasons = [why(sample, picture) for sample, picture in zip(samples, pictures, strict=True)]
    kept = [replace(s, split="") if reason else s for s, reason in zip(samples, reasons, strict=True)]
    return replace(pixels, dataset=pixels.dataset.with_samples(kept)), Counter(reason for reason in reasons if reason)
