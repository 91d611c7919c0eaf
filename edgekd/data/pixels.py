"""Decoded images, resized to the network's input, in one memory-mapped file that every run on them shares."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from edgekd.data.dataset import Dataset, Sample, listing_hash
from edgekd.errors import CorruptImage, EdgekdError, several
from edgekd.files import held, write_atomic
from edgekd.preprocess import Geometry, to_pixels

VERSION = 2  # to be raised when the same files give other pixels or facts: a cache of another version is not read
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Pixels:
    """The readable images of a set: `array` [N, S, S, 3] uint8 RGB in the order of `dataset.samples`.

    `ids` [N] uint64 name each picture by its pixels as they were decoded: they are the same in every listing, order and split,
    and at every size of the input.
    `corrupt` names the images that were left out, with the reason. `sha256` is that of names, labels and pixels.
    """

    dataset: Dataset
    array: np.ndarray
    ids: np.ndarray
    corrupt: tuple[tuple[str, str], ...]
    sha256: str

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        geometry: Geometry,
        cache: Path,
        corrupt_limit: float,
        progress: Progress | None = None,
    ) -> Pixels:
        """Decode `dataset`, or find it decoded in `cache`.

        A kill half-way leaves a temporary file and no wrong result; the next run removes it. Of several processes one
        decodes and the others wait. `progress(done, total)` is told of each image.
        Raises: EdgekdError if more than the fraction `corrupt_limit` of the images is unreadable, if there are none at
        all, or if the cache cannot be written.
        """
        if not dataset.samples:
            raise EdgekdError("data", "images", "none")
        shape = [geometry.size, geometry.fit, geometry.crop_fraction, geometry.kernel]
        listing = listing_hash(dataset.samples, fingerprints=True)
        key = hashlib.sha256(json.dumps([VERSION, listing, shape]).encode()).hexdigest()[:32]
        array_path, facts_path = cache / "pixels" / f"{key}.npy", cache / "pixels" / f"{key}.json"
        with _lock(array_path):
            facts = _facts(dataset, array_path, facts_path)
            if facts is None:
                facts = _decode(dataset, geometry, array_path, progress)
                write_atomic(facts_path, json.dumps(facts, ensure_ascii=False))
            array = np.load(array_path, mmap_mode="r", allow_pickle=False)
        corrupt = tuple((name, reason) for name, reason in facts["corrupt"])
        _check(corrupt, len(dataset.samples), corrupt_limit)
        left_out = {name for name, _ in corrupt}
        kept = dataset.with_samples(s for s in dataset.samples if s.name not in left_out)
        ids = np.array([int(i, 16) for i in facts["ids"]], np.uint64)
        return cls(kept, array[: len(kept.samples)], ids, corrupt, facts["sha256"])


def _check(corrupt: tuple[tuple[str, str], ...], total: int, limit: float) -> None:
    if len(corrupt) > limit * total:
        raise several(
            f"{len(corrupt)} of {total} images cannot be read, more than {limit:.2%} (data.max_corrupt)",
            [f"{name}: {reason}" for name, reason in corrupt],
            "remove or repair them, or raise data.max_corrupt",
        )


def _facts(dataset: Dataset, array_path: Path, facts_path: Path) -> dict[str, Any] | None:
    """What an earlier run wrote beside the array; None if there is none or an image that was corrupt opens now.

    The latter happens without a change of the file: a permission given, a disk that answers again.
    """
    if not facts_path.exists() or not array_path.exists():
        return None
    facts = json.loads(facts_path.read_text(encoding="utf-8"))
    corrupt = {name for name, _ in facts["corrupt"]}
    for sample in dataset.samples:
        if sample.name in corrupt:
            try:
                dataset.open_image(sample)
                return None
            except CorruptImage:
                continue
    return facts


@contextmanager
def _lock(array_path: Path) -> Iterator[None]:
    """Hold the key's lock, and remove what a killed holder left."""
    with ExitStack() as stack:
        with _writing(array_path.parent):
            stack.enter_context(held(array_path.with_suffix(".lock")))
            for leftover in array_path.parent.glob(f".{array_path.stem}.*.tmp"):
                leftover.unlink(missing_ok=True)
        yield


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Only around what writes the cache: an OSError of an image source or of `progress` is not the cache's fault."""
    try:
        yield
    except OSError as e:
        raise EdgekdError(str(folder), "a folder with room for decoded images", str(e)) from None


def _decode(dataset: Dataset, geometry: Geometry, array_path: Path, progress: Progress | None) -> dict[str, Any]:
    """Write the array; gives the facts, without which it does not count."""
    samples = dataset.samples
    corrupt: list[list[str]] = []
    ids: list[str] = []
    content = hashlib.sha256()
    temporary = array_path.with_name(f".{array_path.stem}.{uuid.uuid4().hex}.tmp")
    shape = (len(samples), geometry.size, geometry.size, 3)
    try:
        with _writing(array_path.parent):
            array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
            _reserve(temporary)
        for done, (sample, found) in enumerate(_each(dataset, geometry), start=1):
            if isinstance(found, CorruptImage):
                corrupt.append([sample.name, found.found or found.where])
            else:
                array[len(ids)], picture = found
                content.update(f"{sample.name}\0{sample.label}\0".encode() + array[len(ids)].tobytes())
                ids.append(picture)
            if progress:
                progress(done, len(samples))
        with _writing(array_path.parent):
            array.flush()
            del array
            temporary.replace(array_path)
    finally:
        temporary.unlink(missing_ok=True)
    return {"corrupt": corrupt, "ids": ids, "sha256": content.hexdigest()}


def picture_id(image: Image.Image) -> str:
    """16 hexadecimal digits that name a decoded picture by its size and pixels."""
    return hashlib.sha256(repr(image.size).encode() + image.tobytes()).hexdigest()[:16]


def _reserve(path: Path) -> None:
    """Take the disk space now: a memory map that finds the disk full later kills the process (SIGBUS)."""
    if hasattr(os, "posix_fallocate"):
        with path.open("rb+") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _each(dataset: Dataset, geometry: Geometry) -> Iterator[tuple[Sample, tuple[np.ndarray, str] | CorruptImage]]:
    """Samples in order, each with pixels and the picture's id or the reason for none; Pillow decodes outside Python's lock."""

    def one(sample: Sample) -> tuple[np.ndarray, str] | CorruptImage:
        try:
            image = dataset.open_image(sample)
            return to_pixels(image, geometry), picture_id(image)
        except CorruptImage as e:
            return e

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        # In pieces, so that finished images wait for the writer in hundreds and not in tens of thousands.
        for begin in range(0, len(dataset.samples), 256):
            piece = dataset.samples[begin : begin + 256]
            yield from zip(piece, pool.map(one, piece), strict=True)
