"""The Figshare brain-tumour set: MATLAB v7.3 files (HDF5), one slice each, with label and patient.

`cjdata/image` is int16 [W, H] (MATLAB stores columns first), `cjdata/label` 1, 2 or 3, `cjdata/PID` the patient, which
becomes the group, `cjdata/tumorMask` uint8 [W, H] the true region. A folder is searched with its subfolders. `cvind.mat` beside
them holds the authors' five folds by patient: `cvind` [1, N], whose n-th number is the fold of `n.mat`; it is read where a
`fold` is asked for.
Source: Cheng et al., PLoS ONE 2015; figshare 1512427.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydantic import Field

from edgekd.data.dataset import Dataset, Sample, file_fingerprint
from edgekd.data.folders import Walk, any_file, relative
from edgekd.errors import CorruptImage, EdgekdError, several
from edgekd.files import inside
from edgekd.preprocess import MAX_PIXELS, stretch
from edgekd.section import Section

CVIND = "cvind.mat"
PACKAGES = ("h5py",)
LABEL_NAMES = ("glioma", "meningioma", "pituitary")
LABELS = {1: "meningioma", 2: "glioma", 3: "pituitary"}


class Options(Section):
    """Which of the authors' folds is test; the others are train then."""

    fold: int = Field(0, ge=0)  # 1 to 5; 0: the folds are not read, and the recipe deals


def accepts(path: Path) -> bool:
    """Whether a file is a .mat file other than the folds."""
    return path.suffix.lower() == ".mat" and path.name.lower() != CVIND


def reads(path: Path) -> bool:
    """Whether `path` is a .mat file or a folder with some."""
    return (path.is_file() and accepts(path)) or any_file(path, accepts)


def read(path: str, options: Options) -> Dataset:
    """The slices of a folder of .mat files, or of one file.

    Labels are read here; a file whose label cannot be read is kept, for `open_image` to report.
    Raises: EdgekdError if there is no such file, a name is refused (see `edgekd.data.folders`), or the folds that are asked for
    cannot be read or do not name every file.
    """
    given = Path(path)
    if not path or not given.exists():
        raise EdgekdError(f"data path {path!r}", "a folder of .mat files", "nothing there", "check data.path")
    root = given if given.is_dir() else given.parent
    walk = Walk(root, accepts)
    files = sorted(walk.files(root)) if given.is_dir() else [given]
    if walk.problems or not files:
        raise several(f"data path {path}", walk.problems or ["no .mat file of the Figshare set"])
    split_of = _splits(root, files, options.fold) if options.fold else {}
    samples = []
    for file in files:
        name = relative(root, file)
        try:
            label, group = _label(file, name)
        except CorruptImage:
            label, group = LABEL_NAMES[0], None  # never used: opening fails for the same reason
        samples.append(Sample(name, LABEL_NAMES.index(label), split_of.get(file, ""), group, file_fingerprint(file)))
    return Dataset(
        LABEL_NAMES,
        tuple(samples),
        open_image=lambda s: _open(inside(root, s.name), s.name),
        open_mask=lambda s: _mask(inside(root, s.name), s.name),
    )


def _splits(root: Path, files: list[Path], fold: int) -> dict[Path, str]:
    """test for the files of the authors' fold, train for all others.

    Raises: EdgekdError.
    """
    places = sorted(Walk(root, lambda path: path.name.lower() == CVIND).files(root))
    if len(places) != 1:
        todo = f"put {CVIND} of the set beside its files, or set data.options.fold = 0"
        found = ", ".join(relative(root, place) for place in places) or "none"
        raise EdgekdError(f"data.options.fold = {fold}", f"one {CVIND} in {root}", found, todo)
    folds = _folds(places[0])
    if fold not in folds:
        found = f"folds {', '.join(str(n) for n in sorted(set(folds)))}"
        raise EdgekdError(f"data.options.fold = {fold}", f"a fold of {places[0]}", found)
    stray = [relative(root, file) for file in files if not _is_numbered(file, len(folds))]
    if stray:
        raise several(f"files that {places[0]} gives no fold", stray, "leave them out, or set data.options.fold = 0")
    return {file: "test" if folds[int(file.stem) - 1] == fold else "train" for file in files}


def _is_numbered(file: Path, count: int) -> bool:
    return file.stem.isascii() and file.stem.isdigit() and 1 <= int(file.stem) <= count


def _folds(path: Path) -> list[int]:
    """The fold of 1.mat, 2.mat, …"""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return [int(fold) for fold in _array(file, "cvind").reshape(-1)]
    except Exception as e:  # HDF5 raises OSError, KeyError, RuntimeError and more
        found = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise EdgekdError(str(path), "a MATLAB v7.3 file with the numbers cvind", found) from None


def _label(path: Path, name: str) -> tuple[str, str | None]:
    """Label name and patient (None if the file names none)."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            value = float(_array(file, "cjdata/label").reshape(-1)[0])
            if value not in LABELS:
                raise ValueError(f"label {value:g}, not 1, 2 or 3")
            codes: Iterable[Any] = _array(file, "cjdata/PID").reshape(-1) if "PID" in file["cjdata"] else ()
            patient = "".join(chr(int(c)) for c in codes if 32 <= int(c) < 127).strip()
            return LABELS[int(value)], patient or None
    except Exception as e:  # HDF5 raises OSError, KeyError, RuntimeError and more
        raise _corrupt(name, e) from None


def _open(path: Path, name: str) -> Image.Image:
    import h5py

    _label(path, name)
    try:
        with h5py.File(path, "r") as file:
            pixels = _array(file, "cjdata/image").T
        if pixels.ndim != 2 or not pixels.size:
            raise ValueError(f"cjdata/image of shape {pixels.shape}")
        return Image.fromarray(stretch(pixels)).convert("RGB")
    except Exception as e:
        raise _corrupt(name, e) from None


def _mask(path: Path, name: str) -> Image.Image | None:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if "tumorMask" not in file["cjdata"]:
                return None
            mask = _array(file, "cjdata/tumorMask").T
        if mask.ndim != 2 or not mask.size:
            raise ValueError(f"cjdata/tumorMask of shape {mask.shape}")
        return Image.fromarray(mask != 0)
    except Exception as e:
        raise _corrupt(name, e) from None


def _array(file: Any, field: str) -> np.ndarray:
    """The numeric dataset `field`, a name or cjdata/name, if it is stored in this file and has a sensible size.

    HDF5 can point to other files (external links, external storage, virtual datasets): a stranger's file must not make
    this process read those.
    """
    import h5py

    found = file
    for name in field.split("/"):
        if isinstance(found.get(name, getlink=True), h5py.ExternalLink):
            raise ValueError("a link to another file")
        found = found[name]
    if not isinstance(found, h5py.Dataset) or found.is_virtual or found.external:
        raise ValueError(f"{field} is not stored in this file")
    if found.dtype.kind not in "iufb" or found.size > MAX_PIXELS:
        raise ValueError(f"{field} of type {found.dtype} and shape {found.shape}")
    return np.asarray(found[()])


def _corrupt(name: str, error: Exception) -> CorruptImage:
    found = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CorruptImage(name, "a MATLAB v7.3 file with cjdata/image and cjdata/label", found, "remove the file")
