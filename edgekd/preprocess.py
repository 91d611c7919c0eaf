"""From an image file to the network's pixels: the reference that every runtime, device and language has to match.

Pillow and NumPy only. What is written here is also what the bundle's input contract says, so an app needs no other source.
"""

from __future__ import annotations

import io
import re
import warnings
from pathlib import Path
from typing import Annotated, Literal, Protocol

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from pydantic import Field

from edgekd.errors import CorruptImage
from edgekd.section import Section

MAX_PIXELS = 120_000_000  # a whole-slide overview is about 100 MP; more is a decompression bomb
HIGH_DEPTH = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
KERNELS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}

# Formats of photographs and scans. Others stay shut: files come from strangers, and Pillow hands EPS to Ghostscript.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "DIB", "GIF", "WEBP", "JPEG2000", "PPM", "TGA", "PCX")
EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".tif", ".tiff", ".bmp", ".dib", ".gif", ".webp"),
    *(".jp2", ".j2k", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".tga", ".pcx"),
)
# What undoes each EXIF orientation; 1 is upright.
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# Pillow warns from the limit on and raises from twice the limit on, also for images inside images. The warning is
# silenced below, so this half makes MAX_PIXELS the limit wherever a reader allocates; the other readers of this process
# get the same one (Pillow has no limit per call).
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2
_PILLOW = ("ignore", None, Warning, re.compile(r"PIL\."), 0)


Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Byte = Annotated[int, Field(ge=0, le=255)]
Colour = tuple[Byte, Byte, Byte]  # RGB


class InputContract(Section):
    """How an image becomes a network's input; `mean` and `std` are per channel, in units of pixel / 255."""

    size: int = Field(ge=1, le=1024)  # px, square; the limit is the recipe's, and keeps a hostile manifest small
    fit: Literal["squash", "crop"] = "squash"
    crop_fraction: float = Field(1.0, gt=0, le=1)
    kernel: Literal["bilinear", "bicubic"] = "bilinear"
    colour: Literal["RGB"] = "RGB"
    layout: Literal["NHWC"] = "NHWC"
    mean: tuple[Finite, Finite, Finite] = IMAGENET_MEAN
    std: tuple[Positive, Positive, Positive] = IMAGENET_STD


class Geometry(Protocol):
    """What of an input recipe or contract decides the pixels."""

    # Properties: whoever has them may be frozen, or say more narrowly which texts there are.
    @property
    def size(self) -> int:
        """Side of the square input, px."""
        ...

    @property
    def fit(self) -> str:
        """`squash` or `crop`."""
        ...

    @property
    def crop_fraction(self) -> float:
        """What `crop` keeps of the shorter side, in (0, 1]."""
        ...

    @property
    def kernel(self) -> str:
        """Of the resize, one of `KERNELS`."""
        ...


def decode(source: str | Path | bytes, name: str | None = None) -> Image.Image:
    """An upright 8-bit RGB image of the file or bytes `source`; of several frames the first.

    EXIF orientation is applied. Transparency is laid over black. More than 8 bits per channel of grey (16-bit, 32-bit,
    float) are scaled from the image's own minimum..maximum to 0..255, as such files rarely use their nominal range; of
    16-bit colour Pillow keeps the upper byte. Colour profiles are not applied.
    Raises: CorruptImage, and nothing else, for whatever cannot be decoded or is larger than MAX_PIXELS.
    """
    where = name or ("bytes" if isinstance(source, bytes) else str(source))
    _silence_pillow()
    try:
        if not isinstance(source, bytes) and Path(source).exists() and not Path(source).is_file():
            raise ValueError("not a file")  # opening a pipe would wait for ever
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{image.width} x {image.height} px")
            image.load()
            return to_rgb(_upright(image))
    except Image.DecompressionBombError as e:
        expected = f"at most {MAX_PIXELS // 10**6} million pixels"
        raise CorruptImage(where, expected, str(e), "make it smaller") from None
    except Exception as e:  # Pillow's readers raise almost anything for malformed files
        raise CorruptImage(where, "an image that can be decoded", _reason(e), "repair or remove the file") from None


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return "not an image of a known format, or its header is damaged"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _silence_pillow() -> None:
    """Ignore Pillow's warnings in this process: broken metadata is no reason to refuse good pixels.

    `warnings.catch_warnings` would be local but is not safe in threads. The filter is looked for at each call because
    others (pytest, say) replace the list.
    """
    if _PILLOW not in warnings.filters:
        warnings.filterwarnings("ignore", module=_PILLOW[3].pattern)


def _upright(image: Image.Image) -> Image.Image:
    """The loaded image turned as its EXIF or XMP orientation says; metadata that cannot be read turns nothing."""
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
    except Exception:  # the parser of EXIF raises what it likes
        return image
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB of any Pillow mode, by the rules of `decode`.

    Raises: ValueError for pixels that are not finite.
    """
    if image.mode in HIGH_DEPTH:
        return Image.fromarray(stretch(np.asarray(image))).convert("RGB")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")  # Pillow knows no direct way
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
    # Multiplied before it is divided: exact for integers of up to 32 bits, so that halves are halves.
    scaled = np.subtract(values, low, dtype=np.float64)
    scaled *= 255.0
    scaled /= high - low
    scaled += 0.5
    return scaled.astype(np.uint8)  # truncates, and nothing is negative


def to_pixels(image: Image.Image, geometry: Geometry) -> np.ndarray:
    """Pixels [S, S, 3] uint8 of an RGB image, by Pillow's antialiased resize.

    `squash` resizes to S x S whatever the shape. `crop` resizes to short x long with short = floor(S / crop_fraction + 1/2)
    and long = floor(short * longer / shorter + 1/2), both integers, and cuts S x S from the middle, from
    floor((side - S) / 2) on.
    Raises: CorruptImage if a long thin image would have more than MAX_PIXELS on the way.
    """
    size, kernel = geometry.size, KERNELS[geometry.kernel]
    if geometry.fit == "squash":
        return np.asarray(resize(image, (size, size), kernel))
    short, shorter = int(size / geometry.crop_fraction + 0.5), min(image.size)
    width, height = ((2 * side * short + shorter) // (2 * shorter) for side in image.size)
    if width * height > MAX_PIXELS:
        where = f"image of {image.width} x {image.height} px"
        raise CorruptImage(where, "a shape that fit = 'crop' can use", where, "fit = 'squash', or leave it out")
    left, top = (width - size) // 2, (height - size) // 2
    resized = resize(image, (width, height), kernel)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def resize(image: Image.Image, size: tuple[int, int], kernel: int) -> Image.Image:
    """Pillow's antialiased resize to (width, height), in two passes whose order does not depend on Pillow's version.

    The pass that comes first is rounded first. Version 13 goes vertically first where the height shrinks by more than
    twice as many pixels as the width; earlier ones never do.
    """
    (width, height), (w, h) = image.size, size
    between = (width, h) if h < height and height - h > 2 * (width - w) else (w, height)
    return image.resize(between, kernel, reducing_gap=None).resize(size, kernel, reducing_gap=None)


def normalize(pixels: np.ndarray, contract: InputContract) -> np.ndarray:
    """(pixel / 255 - mean) / std as float32, for pixels [..., 3] uint8."""
    mean, std = np.array(contract.mean, np.float32), np.array(contract.std, np.float32)
    return (pixels.astype(np.float32) / 255 - mean) / std
