"""Class folders of image files: `Training/` and `Testing/`, `train/`, `val/` and `test/`, or class folders alone.

Label names are the class folders' names, sorted. The rules for links and odd names are those of `edgekd.data.folders`.
"""

from __future__ import annotations

from pathlib import Path

from edgekd.data.dataset import Dataset
from edgekd.data.folders import any_file, class_folders
from edgekd.files import inside
from edgekd.preprocess import EXTENSIONS, decode
from edgekd.section import Section


class Options(Section):
    """This source has no settings."""


def accepts(path: Path) -> bool:
    """Whether a file is named like an image."""
    return path.suffix.lower() in EXTENSIONS


def reads(path: Path) -> bool:
    """Whether `path` is a folder with image files."""
    return any_file(path, accepts)


def read(path: str, options: Options) -> Dataset:
    """The images in the class folders.

    Raises: EdgekdError that lists what is wrong with the folder (see `class_folders`).
    """
    del options
    root, label_names, samples = class_folders(path, accepts, "images")
    return Dataset(label_names, tuple(samples), lambda s: decode(inside(root, s.name), s.name))
