"""Class folders of DICOM files (`.dcm`, or no extension); the patient is the group.

Pixels go through the modality transform (rescale), then the first window or VOI table of the file, or min..max where it
has none; MONOCHROME1 is inverted. Of a multi-frame file the middle frame is taken: a label says little about the others.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekd.data.dataset import Dataset, Sample
from edgekd.data.folders import any_file, class_folders
from edgekd.errors import CorruptImage
from edgekd.files import inside
from edgekd.preprocess import MAX_PIXELS, stretch
from edgekd.section import Section

PACKAGES = ("pydicom",)
EXTENSIONS = (".dcm", ".dicom", ".ima")
PREAMBLE = 128  # bytes before the letters DICM
_PYDICOM = ("ignore", None, Warning, re.compile(r"pydicom|edgekd\.data\.sources\.dicom"), 0)


class Options(Section):
    """This source has no settings."""


def accepts(path: Path) -> bool:
    """Whether a file is named like DICOM, or has no extension and begins like it."""
    if path.suffix.lower() in EXTENSIONS:
        return True
    if path.suffix and not path.suffix[1:].isdigit():  # names are often UIDs: 1.2.840.113619
        return False
    if path.name.upper() == "DICOMDIR" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(PREAMBLE + 4)[PREAMBLE:] == b"DICM"
    except OSError:
        return False


def reads(path: Path) -> bool:
    """Whether `path` is a folder with DICOM files."""
    return any_file(path, accepts)


def read(path: str, options: Options) -> Dataset:
    """The files in the class folders, one sample each.

    Raises: EdgekdError that lists what is wrong with the folder (see `class_folders`).
    """
    del options
    root, label_names, samples = class_folders(path, accepts, "DICOM files")
    grouped = tuple(replace(s, group=_patient(root, s)) for s in samples)
    return Dataset(label_names, grouped, lambda s: _open(inside(root, s.name), s.name))


def _pydicom() -> Any:
    import pydicom

    # Odd values of tags that are never used are no news; see preprocess for why the filter is not local.
    if _PYDICOM not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PYDICOM[3].pattern)
    return pydicom


def _patient(root: Path, sample: Sample) -> str | None:
    """PatientID; None if the file has none or cannot be read, which opening it reports."""
    try:
        path = inside(root, sample.name)
        header = _pydicom().dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"], force=False)
        return str(header.get("PatientID", "") or "").strip() or None
    except Exception:
        return None


def _open(path: Path, name: str) -> Image.Image:
    try:
        if not path.is_file():
            raise ValueError("no such file" if not path.exists() else "not a file")
        return Image.fromarray(_pixels(_pydicom().dcmread(path, force=False))).convert("RGB")
    except Exception as e:  # pydicom and its codecs raise almost anything for malformed files
        found = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CorruptImage(name, "a DICOM image that can be decoded", found, "repair or remove the file") from None


def _pixels(file: Any) -> np.ndarray:
    """Display values of the middle frame: uint8 [H, W] or [H, W, 3]."""
    from pydicom.pixels import apply_color_lut, apply_modality_lut, pixel_array

    frames = int(file.get("NumberOfFrames", 1) or 1)
    size = int(file.Rows) * int(file.Columns)
    if frames < 1 or not 0 < size <= MAX_PIXELS:
        raise ValueError(f"{file.Rows} x {file.Columns} px, {frames} frames")
    values = pixel_array(file, index=frames // 2)  # colour comes as RGB whatever the file stores
    kind = str(file.PhotometricInterpretation)
    if kind == "PALETTE COLOR":
        values = apply_color_lut(values, file)
        return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)
    if values.ndim == 3:
        bits = int(file.BitsStored)
        return (values >> (bits - 8)).astype(np.uint8) if bits > 8 else values.astype(np.uint8)
    if values.ndim != 2 or kind not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError(f"pixels of shape {values.shape} and kind {kind!r}")
    grey = _display(np.asarray(apply_modality_lut(values, file), np.float64), file)
    return 255 - grey if kind == "MONOCHROME1" else grey


def _display(values: np.ndarray, file: Any) -> np.ndarray:
    """Modality values to uint8 by the file's first VOI table or window, else by their own min..max."""
    from pydicom.pixels import apply_voi

    if file.get("VOILUTSequence"):
        bits = int(file.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = apply_voi(values.astype(np.int64), file)
        return np.floor(looked_up * (255 / (2**bits - 1)) + 0.5).clip(0, 255).astype(np.uint8)
    centre, width = (_first(file.get(tag)) for tag in ("WindowCenter", "WindowWidth"))
    if centre is None or width is None:
        return stretch(values)
    return windowed(values, centre, width, str(file.get("VOILUTFunction") or "LINEAR").upper())


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except TypeError:  # several values
        return float(value[0]) if len(value) else None


def windowed(values: np.ndarray, centre: float, width: float, function: str = "LINEAR") -> np.ndarray:
    """Values to uint8 by a window, halves up.

    Source: DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3. Raises: ValueError for a width or function that is not allowed.
    """
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise ValueError(f"a window of width {width:g}")
    if function == "SIGMOID":
        with np.errstate(over="ignore"):
            share = 1 / (1 + np.exp(-4 * (values - centre) / width))
    elif function == "LINEAR_EXACT":
        share = (values - centre) / width + 0.5
    elif function != "LINEAR":
        raise ValueError(f"window function {function!r}")
    elif width == 1:  # a threshold
        share = np.where(values > centre - 0.5, 1.0, 0.0)
    else:
        share = (values - (centre - 0.5)) / (width - 1) + 0.5
    return np.floor(np.clip(share, 0, 1) * 255 + 0.5).astype(np.uint8)
