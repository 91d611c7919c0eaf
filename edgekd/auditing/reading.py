"""Reading every image once, in threads: what is wrong with it, its pixels' hash, and its descriptors."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from edgekd.auditing import descriptors
from edgekd.auditing.listing import Entry, Listing
from edgekd.auditing.troubles import Trouble, classify, header, size_note
from edgekd.errors import CorruptImage

CHUNK = 64  # images of one task: their arrays fit into a processor's cache
Progress = Callable[[int, int], None]

Array = np.ndarray


@dataclass(frozen=True)
class ImageFacts:
    """The readable images, in the order of the listing; memory is about 9 KiB per image.

    `pixels` are hashes of the decoded pixels; `sizes` [N, 2] width and height in px; `tones` [N, 2] mean and deviation of
    the grey values; `fine` [2, N, 4, H, H] int8 and `coarse` [2, N, W, W] float32 see `descriptors`: of the whole image
    and of its content box.
    """

    entries: tuple[Entry, ...]
    pixels: tuple[bytes, ...]
    sizes: Array
    tones: Array
    fine: Array
    coarse: Array
    troubles: tuple[Trouble, ...]


def read(listing: Listing, progress: Progress | None = None) -> ImageFacts:
    """Look at every image of a listing. `progress(done, total)` is told after each task.

    Raises: nothing for an image; it becomes a trouble.
    """
    total, done = len(listing.entries), 0
    kept: list[_Chunk] = []
    troubles = list(listing.troubles)
    for chunk in _each(listing):
        kept.append(chunk)
        troubles += chunk.troubles
        done += chunk.size
        if progress:
            progress(done, total)
    entries = tuple(e for chunk in kept for e in chunk.entries)
    return ImageFacts(
        entries,
        tuple(digest for chunk in kept for digest in chunk.pixels),
        _joined([np.array(chunk.sizes, np.int32).reshape(-1, 2) for chunk in kept], (0, 2), 0),
        _joined([chunk.tones for chunk in kept], (0, 2), 0),
        _joined([chunk.fine for chunk in kept], (2, 0, 4, descriptors.SIDE // 2, descriptors.SIDE // 2), 1),
        _joined([chunk.coarse for chunk in kept], (2, 0, descriptors.WAVES, descriptors.WAVES), 1),
        tuple(sorted(troubles, key=lambda t: (t.path, t.kind))),
    )


def _joined(pieces: list[Array], empty: tuple[int, ...], axis: int) -> Array:
    return np.concatenate(pieces, axis) if pieces else np.zeros(empty, np.float32)


@dataclass
class _Chunk:
    size: int
    entries: list[Entry]
    pixels: list[bytes]
    sizes: list[tuple[int, int]]
    tones: Array
    fine: Array
    coarse: Array
    troubles: list[Trouble]


def processors() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _each(listing: Listing) -> Iterator[_Chunk]:
    """Chunks in order; a few wait in a queue, so that memory does not grow with a slow consumer."""
    workers = min(8, processors())
    waiting: deque[Future[_Chunk]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for begin in range(0, len(listing.entries), CHUNK):
                waiting.append(pool.submit(_look, listing, listing.entries[begin : begin + CHUNK]))
                if len(waiting) > 2 * workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:  # an interrupt must not wait for all of them
            pool.shutdown(wait=False, cancel_futures=True)


def _look(listing: Listing, entries: list[Entry]) -> _Chunk:
    kept, pixels, sizes, thumbs, troubles = [], [], [], [], []
    for entry in entries:
        path = listing.locate(entry)
        try:
            image = listing.open_image(entry)
        except CorruptImage as e:
            kind, reason = classify(e, path)
            troubles.append(Trouble(kind=kind, path=entry.name, reason=reason, label=entry.label, split=entry.split))
            continue
        notes = {"converted": header(path), "large": size_note(image)}
        troubles += [
            Trouble(kind=kind, path=entry.name, reason=note, label=entry.label, split=entry.split)
            for kind, note in notes.items()
            if note
        ]
        kept.append(entry)
        sizes.append(image.size)
        digest = hashlib.sha256(f"{image.size}".encode())
        digest.update(np.asarray(image).data)
        pixels.append(digest.digest()[:16])
        thumbs.append(descriptors.thumbnails(image))
    side = descriptors.SIDE
    stack = np.stack(thumbs, 1) if thumbs else np.zeros((2, 0, side, side), np.uint8)
    whole = stack[0].astype(np.float32)
    return _Chunk(
        len(entries),
        kept,
        pixels,
        sizes,
        np.stack([whole.mean((1, 2)), whole.std((1, 2))], 1),
        np.stack([descriptors.fine(s) for s in stack]),
        np.stack([descriptors.coarse(s) for s in stack]),
        troubles,
    )
