"""Copies as they are found in published sets: one function per kind, each a pure function of image and generator."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageOps

Change = Callable[[Image.Image, Generator], Image.Image]
Resampling = Image.Resampling


def reencoded(image: Image.Image, rng: Generator) -> Image.Image:
    """Through JPEG of quality 20 to 70."""
    content = io.BytesIO()
    image.save(content, "JPEG", quality=int(rng.integers(20, 71)))
    return Image.open(io.BytesIO(content.getvalue())).convert("L")


def _tones(image: Image.Image, change: Callable[[np.ndarray], np.ndarray]) -> Image.Image:
    values = np.clip(change(np.asarray(image) / 255), 0, 1)
    return Image.fromarray((values * 255 + 0.5).astype(np.uint8))


def contrast(image: Image.Image, rng: Generator) -> Image.Image:
    """Deviation from the mean times 0.5 to 0.8 or 1.3 to 1.8, clipped."""
    factor = rng.uniform(0.5, 0.8) if rng.random() < 0.5 else rng.uniform(1.3, 1.8)
    return _tones(image, lambda v: (v - v.mean()) * factor + v.mean())


def brightness(image: Image.Image, rng: Generator) -> Image.Image:
    """Brighter by a factor, brighter by an offset, or another gamma."""
    way, factor, offset = rng.integers(3), rng.uniform(1.2, 1.7), rng.uniform(0.08, 0.25)
    gamma = rng.uniform(0.5, 0.75) if rng.random() < 0.5 else rng.uniform(1.4, 2.0)
    return _tones(image, (lambda v: v * factor, lambda v: v + offset, lambda v: v**gamma)[way])


def resized(image: Image.Image, rng: Generator) -> Image.Image:
    """To 40-80 % or 120-200 % of the side."""
    scale = rng.uniform(0.4, 0.8) if rng.random() < 0.5 else rng.uniform(1.2, 2.0)
    return image.resize((round(image.width * scale), round(image.height * scale)), Resampling.BICUBIC)


def squeezed(image: Image.Image, rng: Generator) -> Image.Image:
    """One axis to 70-90 %, in the middle of a black square."""
    share = rng.uniform(0.7, 0.9)
    size = [image.width, image.height]
    axis = int(rng.integers(2))
    size[axis] = round(size[axis] * share)
    page = Image.new("L", image.size)
    place = ((image.width - size[0]) // 2, (image.height - size[1]) // 2)
    page.paste(image.resize((size[0], size[1]), Resampling.BICUBIC), place)
    return page


def cropped(image: Image.Image, rng: Generator) -> Image.Image:
    """Cropped to what is brighter than 10 % of white, give or take a few pixels, and stretched to the old size."""
    mask = np.asarray(image) > 25
    rows, columns = (np.flatnonzero(mask.mean(axis) > 0.02) for axis in (1, 0))
    if min(len(rows), len(columns)) < 20:
        return image.copy()
    margin = rng.integers(0, 4, 4)
    box = (columns[0] - margin[0], rows[0] - margin[1], columns[-1] + 1 + margin[2], rows[-1] + 1 + margin[3])
    return image.crop(tuple(int(side) for side in box)).resize(image.size, Resampling.BICUBIC)


KINDS: dict[str, Change] = {
    "exact": lambda image, rng: image.copy(),
    "mirrored": lambda image, rng: ImageOps.mirror(image),
    "upside-down": lambda image, rng: ImageOps.flip(image),
    "rotated by 180°": lambda image, rng: image.transpose(Image.Transpose.ROTATE_180),
    "contrast": contrast,
    "brightness": brightness,
    "re-encoded": reencoded,
    "resized": resized,
    "squeezed": squeezed,
    "cropped to the head": cropped,
    "mirrored, brightness, re-encoded": lambda image, rng: reencoded(brightness(ImageOps.mirror(image), rng), rng),
    "rotated by 180°, squeezed": lambda image, rng: squeezed(image.transpose(Image.Transpose.ROTATE_180), rng),
}
