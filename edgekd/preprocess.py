"""From an image file to the network's pixels: the reference that every runtime, device and language has to match.

Pillow and NumPy only. What is written here is also what the bundle's input contract says, so an app needs no other source.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from PIL import Image, ImageOps
from pydantic import Field

from edgekd.errors import CorruptImage
from edgekd.recipe import Section

MAX_PIXELS = 120_000_000  # a whole-slide overview is about 100 MP; more is a decompression bomb
HIGH_DEPTH = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KERNELS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# Pillow's own limit is a warning first and cannot be set per call; `decode` checks MAX_PIXELS before any pixel is read.
Image.MAX_IMAGE_PIXELS = None


class InputContract(Section):
    """How an image becomes a network's input; `mean` and `std` are per channel, in units of pixel / 255."""

    size: int = Field(ge=1)  # px, square
    fit: Literal["squash", "crop"] = "squash"
    crop_fraction: float = Field(1.0, gt=0, le=1)
    kernel: Literal["bilinear", "bicubic"] = "bilinear"
    colour: Literal["RGB"] = "RGB"
    layout: Literal["NHWC"] = "NHWC"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


class Geometry(Protocol):
    """What of an input recipe or contract decides the pixels."""

    size: int
    fit: str
    crop_fraction: float
    kernel: str


def decode(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """An upright 8-bit RGB image of the file or bytes `source`; of several frames the first.

    EXIF orientation is applied. Transparency is laid over black. More than 8 bits per channel of grey (16-bit, 32-bit,
    float) are scaled from the image's own minimum..maximum to 0..255, as such files rarely use their nominal range.
    Raises: CorruptImage, and nothing else, for whatever cannot be decoded or is larger than MAX_PIXELS.
    """
    where = name or ("bytes" if isinstance(source, bytes) else str(source))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # broken metadata is no reason to refuse good pixels
            with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as image:
                if image.width * image.height > MAX_PIXELS:
                    found = f"{image.width} x {image.height} px"
                    raise CorruptImage(where, f"at most {MAX_PIXELS // 10**6} million pixels", found, "make it smaller")
                image.load()
                return to_rgb(ImageOps.exif_transpose(image))
    except CorruptImage:
        raise
    except Exception as e:  # Pillow's readers raise almost anything for malformed files
        found = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise CorruptImage(where, "an image that can be decoded", found, "repair or remove the file") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any Pillow mode, by the rules of `decode`.

    Raises: ValueError for pixels that are not finite.
    """
    if image.mode in HIGH_DEPTH:
        return Image.fromarray(stretch(np.asarray(image, dtype=np.float64))).convert("RGB")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def stretch(values: np.ndarray) -> np.ndarray:
    """Values of any range to uint8: minimum -> 0, maximum -> 255, halves up; all 0 if they are all equal.

    Raises: ValueError for NaN or infinity.
    """
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise ValueError("pixels that are not finite")
    if high == low:
        return np.zeros(values.shape, np.uint8)
    return np.floor((values - low) * (255.0 / (high - low)) + 0.5).astype(np.uint8)


def to_pixels(image: Image.Image, geometry: Geometry) -> np.ndarray:
    """Pixels [S, S, 3] uint8 of an RGB image, by Pillow's antialiased resize.

    `squash` resizes to S x S whatever the shape. `crop` resizes the shorter side to round(S / crop_fraction), the longer in
    proportion (rounded), and cuts S x S from the middle, the odd pixel on the right and at the bottom.
    """
    size, kernel = geometry.size, KERNELS[geometry.kernel]
    if geometry.fit == "squash":
        return np.asarray(image.resize((size, size), kernel))
    scale = round(size / geometry.crop_fraction) / min(image.size)
    width, height = (max(size, round(side * scale)) for side in image.size)
    left, top = (width - size) // 2, (height - size) // 2
    resized = image.resize((width, height), kernel)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def normalize(pixels: np.ndarray, contract: InputContract) -> np.ndarray:
    """(pixel / 255 - mean) / std as float32, for pixels [..., 3] uint8."""
    mean, std = np.array(contract.mean, np.float32), np.array(contract.std, np.float32)
    return (pixels.astype(np.float32) / 255 - mean) / std
