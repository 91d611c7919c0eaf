"""What every data source gives: named samples with labels, splits and groups, and a way to open each image."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from edgekd.preprocess import Geometry, to_pixels

SPLITS = ("train", "val", "test")
HELD_OUT = ("val", "test")
NO_LABEL = -1
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


@dataclass(frozen=True)
class Sample:
    """One image of a set.

    `name` is unique in the set and is what messages show (for files: the path inside the data folder, with `/`).
    `label` is `NO_LABEL` where nobody has said what the image shows; such images are for training alone.
    `split` is one of `SPLITS`, or "" where the source leaves it open.
    `group` names what must not straddle two splits (a patient, say); None where the source knows no groups.
    `fingerprint` changes when the image's content may have changed (size and time of a file, parameters of a generator).
    """

    name: str
    label: int
    split: str = ""
    group: str | None = None
    fingerprint: str = ""

    @property
    def is_labelled(self) -> bool:
        """Whether somebody has said what the image shows."""
        return self.label != NO_LABEL


@dataclass(frozen=True)
class Dataset:
    """Samples in a fixed order, the label names that `Sample.label` indexes, and a function that opens one image.

    `open_image(sample)` returns an upright 8-bit RGB Pillow image of any size, or raises `CorruptImage`.
    `open_mask(sample)` returns the true region in the image, white on black and of the image's shape, and None where it is not
    known; a source that knows none has no such function.
    """

    label_names: tuple[str, ...]
    samples: tuple[Sample, ...]
    open_image: Callable[[Sample], Image.Image]
    open_mask: Callable[[Sample], Image.Image | None] | None = None

    def split(self, split: str) -> tuple[Sample, ...]:
        """The samples of one split, in the order of the set."""
        return tuple(s for s in self.samples if s.split == split)

    def labelled(self) -> Dataset:
        """The set without its unlabelled images."""
        return self.with_samples(s for s in self.samples if s.is_labelled)

    def with_samples(self, samples: Iterable[Sample]) -> Dataset:
        """The same source with other samples (a subset, or with other splits)."""
        return replace(self, samples=tuple(samples))


def region(dataset: Dataset, sample: Sample, geometry: Geometry) -> np.ndarray | None:
    """The true region [S, S] bool of a sample as the network sees the picture; None where it is not known or empty.

    Raises: CorruptImage for a mask that cannot be decoded.
    """
    mask = dataset.open_mask(sample) if dataset.open_mask else None
    if mask is None:
        return None
    inside = to_pixels(mask.convert("RGB"), geometry)[..., 0] >= 128
    return inside if inside.any() else None


def groups_of(samples: Iterable[Sample]) -> tuple[str, ...] | None:
    """The group of each sample; None unless the source knows that of every one."""
    groups = [s.group for s in samples]
    known = tuple(group for group in groups if group)
    return known if len(known) == len(groups) else None


def listing_hash(samples: Iterable[Sample], fingerprints: bool = False) -> str:
    """sha256 over the names and labels of samples in order, with `fingerprints` also over those (they hold file times)."""
    digest = hashlib.sha256()
    for s in samples:
        digest.update(f"{s.name}\0{s.label}\0{s.fingerprint if fingerprints else ''}\n".encode())
    return digest.hexdigest()


def file_fingerprint(path: Path) -> str:
    """Size and time of a file; "" if it is missing, which `open_image` will report."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{status.st_size} {status.st_mtime_ns}"


def split_name(name: str) -> str | None:
    """train, val or test for the usual names of splits in any case, None for anything else."""
    return SPLIT_NAMES.get(name.strip().lower())
