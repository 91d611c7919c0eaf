"""Decoded images, resized to the network's input, in one memory-mapped file that every run on them shares."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd.data.dataset import Dataset, Sample, listing_hash
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.files import write_atomic
from edgekd.preprocess import Geometry, to_pixels

SHOWN = 10  # corrupt images named in an error


@dataclass(frozen=True)
class Pixels:
    """The readable images of a set: `array` [N, S, S, 3] uint8 RGB in the order of `dataset.samples`.

    `corrupt` names the images that were left out, with the reason. `sha256` is that of names, labels and pixels.
    """

    dataset: Dataset
    array: np.ndarray
    corrupt: tuple[tuple[str, str], ...]
    sha256: str

    @classmethod
    def of(
        cls,
        dataset: Dataset,
        geometry: Geometry,
        cache: Path,
        corrupt_limit: float,
        progress: Callable[[int, int], None] | None = None,
    ) -> Pixels:
        """Decode `dataset`, or find it decoded in `cache`.

        A kill half-way leaves a temporary file and no wrong result. `progress(done, total)` is told of each image.
        Raises: EdgekdError if more than the fraction `corrupt_limit` of the images is unreadable.
        """
        shape = [geometry.size, geometry.fit, geometry.crop_fraction, geometry.kernel]
        key = hashlib.sha256(
            json.dumps([listing_hash(dataset.samples, fingerprints=True), shape]).encode()
        ).hexdigest()[:32]
        array_path, facts_path = cache / "pixels" / f"{key}.npy", cache / "pixels" / f"{key}.json"
        if not facts_path.exists() or not array_path.exists():
            _decode(dataset, geometry, array_path, facts_path, progress)
        facts = json.loads(facts_path.read_text(encoding="utf-8"))
        corrupt = tuple((name, reason) for name, reason in facts["corrupt"])
        _check(corrupt, len(dataset.samples), corrupt_limit)
        left_out = {name for name, _ in corrupt}
        kept = dataset.with_samples(s for s in dataset.samples if s.name not in left_out)
        array = np.load(array_path, mmap_mode="r", allow_pickle=False)[: len(kept.samples)]
        return cls(kept, array, corrupt, facts["sha256"])


def _check(corrupt: tuple[tuple[str, str], ...], total: int, limit: float) -> None:
    if len(corrupt) > limit * total:
        shown = "".join(f"\n  - {name}: {reason}" for name, reason in corrupt[:SHOWN])
        more = f"\n  … and {len(corrupt) - SHOWN} more" if len(corrupt) > SHOWN else ""
        raise EdgekdError(
            f"{len(corrupt)} of {total} images cannot be read{shown}{more}",
            f"at most {limit:.2%} (data.max_corrupt)",
            f"{len(corrupt) / total:.2%}",
            "remove or repair them, or raise data.max_corrupt",
        )


def _decode(
    dataset: Dataset,
    geometry: Geometry,
    array_path: Path,
    facts_path: Path,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Write the array, then the facts that make it valid."""
    samples, corrupt, row = dataset.samples, [], 0
    content = hashlib.sha256()
    array_path.parent.mkdir(parents=True, exist_ok=True)
    temporary = array_path.with_name(f".{array_path.stem}.{os.getpid()}.tmp")
    shape = (len(samples), geometry.size, geometry.size, 3)
    try:
        array = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=shape)
        for done, (sample, found) in enumerate(_each(dataset, geometry), start=1):
            if isinstance(found, CorruptImage):
                corrupt.append([sample.name, found.found or found.where])
            else:
                array[row] = found
                content.update(f"{sample.name}\0{sample.label}\0".encode() + found.tobytes())
                row += 1
            if progress:
                progress(done, len(samples))
        array.flush()
        del array
        temporary.replace(array_path)
    finally:
        temporary.unlink(missing_ok=True)
    write_atomic(facts_path, json.dumps({"corrupt": corrupt, "sha256": content.hexdigest()}, ensure_ascii=False))


def _each(dataset: Dataset, geometry: Geometry) -> Iterator[tuple[Sample, np.ndarray | CorruptImage]]:
    """Samples in order with their pixels or the reason why there are none; Pillow decodes outside Python's lock."""

    def one(sample: Sample) -> np.ndarray | CorruptImage:
        try:
            return to_pixels(dataset.open_image(sample), geometry)
        except CorruptImage as e:
            return e

    workers = min(8, os.cpu_count() or 1)
    with ThreadPoolExecutor(workers) as pool:
        # In pieces, so that finished images wait for the writer in hundreds and not in tens of thousands.
        for begin in range(0, len(dataset.samples), 256):
            piece = dataset.samples[begin : begin + 256]
            yield from zip(piece, pool.map(one, piece), strict=True)
