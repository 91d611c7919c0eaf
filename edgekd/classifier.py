"""A bundle that answers pictures, from Python: what `edgekd.load` gives.

with edgekd.load("models/mri4-mobilenetv2", "tflite-int8") as classifier:
    print(classifier.classify("slice.png"))
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TypeAlias, overload

import numpy as np
from PIL import Image

from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.preprocess import decode, to_pixels, to_rgb
from edgekd.runtimes import Session

Picture: TypeAlias = "str | Path | Image.Image | np.ndarray"


@dataclass(frozen=True)
class Answer:
    """What a network says of one picture: its most probable class, and the calibrated probability of every class."""

    label_name: str
    confidence: float
    probs: dict[str, float]


class Classifier:
    """An opened bundle, as its float network or as one of its artefacts; a context manager.

    Artefacts run in a child process, so that a file which crashes its runtime is an error here and not the end.
    """

    def __init__(self, folder: str | Path, format: str | None = None) -> None:
        self.bundle = Bundle.open(folder)
        self._open = contextlib.ExitStack()
        self._session = self._open.enter_context(session_of(self.bundle, format))

    def __enter__(self) -> Classifier:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child process; the classifier answers no more."""
        self._open.close()

    @overload  # a str is a Sequence too: it is taken for a path, as this comes first
    def classify(self, pictures: Picture) -> Answer: ...  # type: ignore[overload-overlap]
    @overload
    def classify(self, pictures: Sequence[Picture]) -> list[Answer]: ...
    def classify(self, pictures: Picture | Sequence[Picture]) -> Answer | list[Answer]:
        """The answer to one picture, or those to a list of pictures.

        A picture is a file's path, a Pillow image, or pixels [H, W, 3] (RGB) or [H, W] (grey) uint8, of any size; it is
        resized as the bundle's input contract says.
        Raises: CorruptImage for a file that cannot be decoded, EdgekdError for an array of another kind.
        """
        if isinstance(pictures, str | Path | Image.Image | np.ndarray):
            return self.classify([pictures])[0]
        if not pictures:
            return []
        contract, names = self.bundle.manifest.input, self.bundle.manifest.label_names
        probs = self._session.probs(np.stack([to_pixels(_image(p), contract) for p in pictures]))
        return [
            Answer(names[int(row.argmax())], float(row.max()), dict(zip(names, map(float, row), strict=True)))
            for row in probs
        ]


@contextlib.contextmanager
def session_of(bundle: Bundle, format: str | None) -> Iterator[Session]:
    """The float network in torch, or one of the bundle's artefacts in a process of its own.

    Raises: EdgekdError for a format that the bundle does not hold.
    """
    if format is None:
        from edgekd.runtimes import torch as runtime

        yield runtime.load(bundle)
        return
    from edgekd.runtimes import find
    from edgekd.runtimes.isolated import Isolated

    find(format)  # a wrong name is named before a missing file
    record = bundle.manifest.artefacts.get(format)
    if record is None or f"artefacts/{next(iter(record.files))}" not in bundle.manifest.files:
        todo = f"python -m edgekd.export {bundle.folder} --format {format}"
        raise EdgekdError(f"bundle {bundle.folder}", f"the artefact {format}", "it is not there", todo)
    with Isolated() as child:
        yield child.load(format, bundle.file(f"artefacts/{next(iter(record.files))}"))


def _image(picture: Picture) -> Image.Image:
    if isinstance(picture, str | Path):
        return decode(picture)
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        found = f"{picture.dtype} {list(picture.shape)}"
        raise EdgekdError("a picture as an array", "uint8 [H, W, 3] or [H, W]", found)
    return Image.fromarray(picture).convert("RGB")
