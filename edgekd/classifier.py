"""A bundle that answers pictures, from Python: what `edgekd.load` gives.

with edgekd.load("models/mri4p-mobilenetv2", "tflite-int8") as classifier:
    print(classifier.classify("slice.png"))
    classifier.explain("slice.png", method="occlusion").overlay().save("why.png")
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, TypeAlias, overload

import numpy as np
from PIL import Image

from edgekd import explainers, extras
from edgekd.bundle import FLOAT_GRAPH, WEIGHTS, Bundle
from edgekd.errors import EdgekdError, nearest
from edgekd.measures import selective
from edgekd.preprocess import decode, to_pixels, to_rgb
from edgekd.runtimes import Mapped, Session

TORCH, ONNX = ("torch", "timm"), ("onnx", "onnxruntime")  # what the float network runs in
Picture: TypeAlias = "str | Path | Image.Image | np.ndarray"


@dataclass(frozen=True)
class Answer:
    """What a network says of one picture: its most probable class, and the calibrated probability of every class.

    `possible` are the classes that it may be, by the artefact's conformal record: none or all of them mean "not sure". None
    where there is no record.
    """

    label_name: str
    confidence: float
    probs: dict[str, float]
    possible: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why a network says so: how much each pixel speaks for the class `label_name`, by one method.

    Shapes: pixels [S, S, 3] uint8, the picture as the network sees it; relevance [S, S] float32, in the method's own unit.
    """

    answer: Answer
    label_name: str
    method: str
    pixels: np.ndarray
    relevance: np.ndarray

    def overlay(self) -> Image.Image:
        """The relevance laid over the picture: warm colours speak for the class, blue ones against it."""
        from edgekd.reports import heatmap

        return heatmap.overlay(self.pixels, self.relevance)


class Classifier:
    """An opened bundle, as its float network or as one of its artefacts; a context manager.

    Artefacts run in a child process, so that a file which crashes its runtime is an error here and not the end. `is_busy` as
    in `session_of`.
    """

    def __init__(self, folder: str | Path, format: str | None = None, is_busy: bool = False) -> None:
        self.bundle, self._format = Bundle.open(folder), format
        self._open = contextlib.ExitStack()
        self._session = self._open.enter_context(session_of(self.bundle, format, is_busy))

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
        return self._answers([self._pixels(p) for p in pictures]) if pictures else []

    @overload
    def explain(
        self, pictures: Picture, method: str | None = ..., label_name: str | None = ..., **options: Any
    ) -> Explanation: ...
    @overload
    def explain(
        self, pictures: Sequence[Picture], method: str | None = ..., label_name: str | None = ..., **options: Any
    ) -> list[Explanation]: ...
    def explain(
        self,
        pictures: Picture | Sequence[Picture],
        method: str | None = None,
        label_name: str | None = None,
        **options: Any,
    ) -> Explanation | list[Explanation]:
        """What speaks for the class `label_name` (default: the answer) in one picture, or in each of a list.

        `method` is one of `edgekd.explainers.names()`; by default the artefact's own heat map where it has one, else
        occlusion. Black-box methods explain this very artefact; Grad-CAM and relevance read the float network, whichever
        artefact this is, and need the extra `train`. `options` are the method's own.
        Raises: as `classify`; EdgekdError for an unknown method, option or class, or a package that is missing.
        """
        if isinstance(pictures, str | Path | Image.Image | np.ndarray):
            return self.explain([pictures], method, label_name, **options)[0]
        found, names = explainers.find(method or self.default_method), self.bundle.manifest.label_names
        settings = found.options(self.bundle.manifest.input, **options)
        if label_name is not None and label_name not in names:
            raise EdgekdError(
                f"class {label_name!r}", f"a class of {self.bundle.folder}", todo=nearest(label_name, names)
            )
        subject = self._subject(found) if pictures else None
        explained = []
        for picture in pictures:
            pixels = self._pixels(picture)
            answer = self._answers([pixels])[0]
            name = label_name or answer.label_name
            relevance = found.explain(subject, pixels, names.index(name), settings)
            explained.append(Explanation(answer, name, found.name, pixels, relevance))
        return explained

    @property
    def default_method(self) -> str:
        """The name of the method that explains where none is named."""
        return "heatmap" if self._format and has_heatmap(self.bundle, self._format) else "occlusion"

    def _subject(self, method: explainers.Method) -> Any:
        """What a method asks: this session, the network in torch, or what gives a heat map."""
        if method.reads_network:
            return self._network
        if not method.reads_heatmap:
            return self._session
        if self._format is None:
            return self._mapped
        need_heatmap(self.bundle, self._format)
        return self._session

    @cached_property
    def _mapped(self) -> Mapped:
        """The float network's graph as an ONNX file, which gives its heat map whether torch is there or not."""
        extras.need(f"the heat map of the float network of {self.bundle.folder}", "export", ONNX)
        from edgekd.artefacts.float_file import float_session

        return self._open.enter_context(float_session(self.bundle))

    @cached_property
    def _network(self) -> Any:
        """The float network in torch."""
        extras.need(f"an explainer that reads the network of {self.bundle.folder}", "train", ("torch", "timm"))
        from edgekd.networks import from_bundle

        return from_bundle(self.bundle)

    def _pixels(self, picture: Picture) -> np.ndarray:
        return to_pixels(_image(picture), self.bundle.manifest.input)

    def _answers(self, pixels: Sequence[np.ndarray]) -> list[Answer]:
        names = self.bundle.manifest.label_names
        return [
            Answer(
                names[int(row.argmax())],
                float(row.max()),
                dict(zip(names, map(float, row), strict=True)),
                self._possible(row),
            )
            for row in self._session.probs(np.stack(pixels))
        ]

    def _possible(self, probs: np.ndarray) -> tuple[str, ...] | None:
        """The conformal set of one picture's probabilities [K]."""
        record = self.bundle.manifest.artefacts[self._format].conformal if self._format else None
        if record is None:
            return None
        inside = selective.sets(probs[None], record.quantile)[0]
        return tuple(name for name, is_in in zip(self.bundle.manifest.label_names, inside, strict=True) if is_in)


@contextlib.contextmanager
def session_of(bundle: Bundle, format: str | None, is_busy: bool = False) -> Iterator[Session]:
    """The float network, or one of the bundle's artefacts in a process of its own.

    The float network runs in torch; where that is not installed, its graph does as an ONNX file, if the bundle has one. So it
    does too where it `is_busy`, with thousands of pictures to explain a few: it is several times as fast then.
    Raises: EdgekdError for a format that the bundle does not hold, or a package that is missing.
    """
    if format is None:
        can_be_file = FLOAT_GRAPH in bundle.manifest.files and all(map(find_spec, ONNX))
        if can_be_file and (is_busy or not all(map(find_spec, TORCH))):
            from edgekd.artefacts.float_file import float_session

            with float_session(bundle) as session:
                yield session
            return
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


def has_heatmap(bundle: Bundle, format: str) -> bool:
    """Whether a bundle's artefact has its own heat map."""
    record = bundle.manifest.artefacts.get(format)
    return record is not None and record.has_heatmap


def need_heatmap(bundle: Bundle, format: str) -> None:
    """Refuse to go on with an artefact that has no heat map.

    Raises: EdgekdError.
    """
    if not has_heatmap(bundle, format):
        todo = f"python -m edgekd.export {bundle.folder} --format {format} --heatmap"
        raise EdgekdError(f"{format} of {bundle.folder}", "a file with a heat map", "one without", todo)


def identity_of(bundle: Bundle, format: str | None) -> str:
    """What names the content of the network that `session_of` opens: hashes of its files, and its temperature."""
    m = bundle.manifest
    if format is None:
        return f"{m.files[WEIGHTS].sha256} {m.temperature}"
    return " ".join(record.sha256 for record in m.artefacts[format].files.values())


def _image(picture: Picture) -> Image.Image:
    if isinstance(picture, str | Path):
        return decode(picture)
    if isinstance(picture, Image.Image):
        return to_rgb(picture)
    if picture.dtype != np.uint8 or picture.ndim not in (2, 3) or (picture.ndim == 3 and picture.shape[2] != 3):
        found = f"{picture.dtype} {list(picture.shape)}"
        raise EdgekdError("a picture as an array", "uint8 [H, W, 3] or [H, W]", found)
    return Image.fromarray(picture).convert("RGB")
