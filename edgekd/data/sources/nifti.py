"""Class folders of NIfTI volumes (`.nii`, `.nii.gz`): slices of each volume are the images, the volume is the group.

Volumes are turned to the nearest canonical orientation (right, anterior, superior) and shown as radiologists do: the
patient's right on the left, front or head up. Of a 4-D file the first volume is used.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from edgekd.data.dataset import Dataset, Sample
from edgekd.data.folders import any_file, class_folders
from edgekd.errors import CorruptImage
from edgekd.files import inside
from edgekd.section import Section

PACKAGES = ("nibabel",)
EXTENSIONS = (".nii", ".nii.gz")
LOW, HIGH = 0.5, 99.5  # percentiles of a volume's finite voxels that become 0 and 255
MAX_VOXELS = 2**28  # 1 GiB as float32; a hostile header could ask for any size
KEPT = 2  # volumes in memory at a time, as uint8


class Options(Section):
    """Which slices of each volume become images: the middle `slices`, or every `every`-th if that is set."""

    axis: int = Field(2, ge=0, le=2)  # 0 sagittal, 1 coronal, 2 axial
    slices: int = Field(1, ge=1)
    every: int = Field(0, ge=0)


def accepts(path: Path) -> bool:
    """Whether a file is named like NIfTI."""
    return path.name.lower().endswith(EXTENSIONS)


def reads(path: Path) -> bool:
    """Whether `path` is a folder with NIfTI files."""
    return any_file(path, accepts)


def read(path: str, options: Options) -> Dataset:
    """Slices of the volumes in the class folders, named `class/volume.nii.gz#0077` after their place along the axis.

    Headers are read here; a volume whose header cannot be read becomes one sample, for `open_image` to report.
    Raises: EdgekdError that lists what is wrong with the folder (see `class_folders`).
    """
    root, label_names, volumes = class_folders(path, accepts, "NIfTI volumes")
    samples = []
    for volume in volumes:
        mark = f"{volume.fingerprint} {options.axis}"
        indices = _indices(inside(root, volume.name), volume.name, options)
        names = (f"{volume.name}#{index:04d}" for index in indices)
        samples += [replace(volume, name=name, group=volume.name, fingerprint=mark) for name in names]
    return Dataset(label_names, tuple(samples), _Slices(root, options.axis).open)


def _nibabel() -> Any:
    import nibabel

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # it prints each repaired header to stderr
    return nibabel


def _indices(path: Path, name: str, options: Options) -> list[int]:
    try:
        image, turn = _header(path, name)
    except CorruptImage:
        return [0]
    count = image.shape[list(turn[:, 0]).index(options.axis)]
    if options.every:
        return list(range(options.every // 2, count, options.every)) or [count // 2]
    wanted = min(options.slices, count)
    first = (count - wanted) // 2
    return list(range(first, first + wanted))


class _Slices:
    """Opens slices, and keeps the last volumes: slices of one volume are asked for in a row."""

    def __init__(self, root: Path, axis: int) -> None:
        self.root, self.axis = root, axis
        self._volumes: OrderedDict[str, np.ndarray | CorruptImage] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, sample: Sample) -> Image.Image:
        """The slice [H, W] of a sample's name. Raises: CorruptImage."""
        name, _, index = sample.name.rpartition("#")
        volume = self._volume(name)
        if isinstance(volume, CorruptImage):
            raise CorruptImage(sample.name, volume.expected, volume.found, volume.todo)
        plane = np.take(volume, int(index), axis=self.axis)
        return Image.fromarray(np.ascontiguousarray(plane[::-1, ::-1].T)).convert("RGB")

    def _volume(self, name: str) -> np.ndarray | CorruptImage:
        # One at a time: threads that ask for the same volume must not each load it.
        with self._lock:
            if name not in self._volumes:
                try:
                    self._volumes[name] = load(inside(self.root, name), name)
                except CorruptImage as e:
                    self._volumes[name] = e
                while len(self._volumes) > KEPT:
                    self._volumes.popitem(last=False)
            return self._volumes[name]


def load(path: Path, name: str) -> np.ndarray:
    """A volume [X, Y, Z] uint8 in canonical orientation; percentiles LOW..HIGH of its voxels become 0..255.

    Voxels that are not finite are black, as tools mark the outside of the body with NaN. A constant volume is black.
    Raises: CorruptImage.
    """
    try:
        image, turn = _header(path, name)
        stored = image.dataobj[..., 0] if image.ndim == 4 else image.dataobj
        values = _nibabel().apply_orientation(np.asarray(stored, dtype=np.float32), turn)
        finite = np.isfinite(values)
        if not finite.any():
            raise ValueError("no finite voxel")
        low, high = (float(p) for p in np.percentile(values[finite], (LOW, HIGH)))
        if high <= low:
            low, high = float(values[finite].min()), float(values[finite].max())
        if high <= low:
            return np.zeros(values.shape, np.uint8)
        values = np.where(finite, values, low)
        return np.floor(np.clip((values - low) / (high - low), 0, 1) * 255 + 0.5).astype(np.uint8)
    except CorruptImage:
        raise
    except Exception as e:
        raise _corrupt(name, e) from None


def _header(path: Path, name: str) -> tuple[Any, np.ndarray]:
    """The image, voxels not read yet, and the turn of its three axes [3, 2] that makes it canonical."""
    nibabel = _nibabel()
    try:
        if not path.is_file():
            raise ValueError("no such file" if not path.exists() else "not a file")
        image = nibabel.load(path)
        shape = image.shape
        if not 3 <= len(shape) <= 4 or min(shape) < 1 or np.prod(shape, dtype=np.float64) > MAX_VOXELS:
            raise ValueError(f"shape {shape}")
        if image.get_data_dtype().kind not in "iuf":
            raise ValueError(f"voxels of type {image.get_data_dtype()}")
        turn = nibabel.io_orientation(image.affine)
        if not np.isfinite(turn).all():
            raise ValueError("an affine that leaves an axis without direction")
        return image, turn
    except Exception as e:
        raise _corrupt(name, e) from None


def _corrupt(name: str, error: Exception) -> CorruptImage:
    found = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CorruptImage(name, "a NIfTI volume that can be read", found, "repair or remove the file")
