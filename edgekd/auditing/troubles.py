"""What can be wrong with a file: one row each, with a kind that can be counted and a reason that can be read."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from edgekd.errors import CorruptImage
from edgekd.preprocess import FORMATS, MAX_PIXELS
from edgekd.section import Section

LARGE_PIXELS = 50_000_000  # no more than a camera takes; above, decoding costs seconds and hundreds of MiB
WORDS = {
    "empty": "empty file",
    "truncated": "truncated",
    "corrupt": "cannot be decoded",
    "not_an_image": "not an image",
    "too_large": f"more than {MAX_PIXELS // 10**6} million pixels",
    "unsupported": "unsupported mode or format",
    "unreadable": "cannot be read",
    "link": "link that is not followed",
    "name": "name that no list can hold",
    "case": "names that differ only in case",
    "large": f"read, but more than {LARGE_PIXELS // 10**6} million pixels",
    "converted": "read, but not as it is",
}
USABLE = ("case", "large", "converted")  # the image can be used nevertheless
CONVERTED = {
    "P": "a palette",
    "PA": "a palette, and transparency over black",
    "LA": "transparency, laid over black",
    "La": "transparency, laid over black",
    "RGBA": "transparency, laid over black",
    "RGBa": "transparency, laid over black",
    "CMYK": "CMYK without its colour profile",
    "YCbCr": "YCbCr",
    "LAB": "LAB",
    "HSV": "HSV",
    "1": "black and white without grey",
}


class Trouble(Section):
    """One row: `kind` is a key of `WORDS`, `path` the name below the data folder, `reason` what was found."""

    kind: str
    path: str
    reason: str
    label: str = ""
    split: str = ""

    @property
    def is_usable(self) -> bool:
        """Whether the image itself can be used."""
        return self.kind in USABLE


def classify(error: CorruptImage, path: Path | None) -> tuple[str, str]:
    """Kind and reason for an image that `decode` refused."""
    reason = error.found or str(error)
    if "million pixels" in error.expected:
        return "too_large", reason
    words = reason.lower()
    try:
        size = path.stat().st_size if path else None
    except OSError as e:
        return "unreadable", (e.strerror or str(e)).lower()
    if "permission" in words or "no such file" in words or "not a file" in words:
        return "unreadable", reason
    if size == 0:
        return "empty", "0 bytes"
    if "truncated" in words or "broken data stream" in words or "unexpected end" in words or "eof" in words:
        return "truncated", reason
    if "conversion" in words or "not supported" in words or "unsupported" in words:
        return "unsupported", reason
    if path and "known format" in words:
        return _unknown(path, reason)
    return "corrupt", reason


def _unknown(path: Path, reason: str) -> tuple[str, str]:
    """A header that Pillow does not know: text, the start of an image that ends early, or something else."""
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as e:
        return "unreadable", (e.strerror or str(e)).lower()
    if start.startswith((b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*")):
        return "truncated", "it begins like an image and its header is cut off or damaged"
    is_text = b"\0" not in start and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in start)
    return "not_an_image", f"{'text' if is_text else 'something else'} under the name of an image"


def size_note(image: Image.Image) -> str:
    """The size of a very large image, "" for any other."""
    return f"{image.width} x {image.height} px" if image.width * image.height > LARGE_PIXELS else ""


def header(path: Path | None) -> str:
    """What `decode` has to convert about a file that it can read: "" for 8-bit grey and RGB."""
    if path is None:
        return ""
    try:
        with Image.open(path, formats=FORMATS) as image:
            mode, frames = image.mode, bool(getattr(image, "is_animated", False))
    except Exception:  # decode says what is wrong with it
        return ""
    notes = [CONVERTED[mode]] if mode in CONVERTED else []
    if mode.startswith(("I", "F")):
        notes.append(f"more than 8 bits ({mode}), scaled from its own darkest to its brightest pixel")
    if frames:
        notes.append("several frames, of which the first is used")
    return "; ".join(notes)
