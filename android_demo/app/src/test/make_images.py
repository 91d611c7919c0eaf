"""Images for the app's tests, and what Python's reference makes of them; run from the project's root to write them again.

    python android_demo/app/src/test/make_images.py

Writes `resources/images/*` and `resources/images.txt`: one line per image that must decode, `NAME WIDTH HEIGHT SHA256` of its
RGB bytes; the others must be refused.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

from edgekd.errors import CorruptImage
from edgekd.preprocess import decode

FOLDER = Path(__file__).parent / "resources/images"
TABLE = FOLDER.with_name("images.txt")
WIDTH, HEIGHT = 61, 47
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
ORIENTATION = 0x0112


def picture(channels: int = 3, high: int = 256) -> np.ndarray:
    """Smooth areas, edges and noise [HEIGHT, WIDTH, channels], 0..high - 1."""
    rng = np.random.default_rng(7)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    planes = [x * 4, y * 5, (x // 8 + y // 8) % 2 * 255, 255 - x * 4][:channels]
    found = np.stack(planes, axis=-1) / 255 * (high - 1)
    found[20:, 30:] += rng.normal(0, high / 8, found[20:, 30:].shape)
    return np.clip(found, 0, high - 1).astype(np.uint16 if high > 256 else np.uint8)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """The bytes of a file."""
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(values: np.ndarray, colour: int, bits: int = 16, interlaced: bool = False, filter_: int = 0) -> bytes:
    """A PNG file as Pillow cannot write it: [H, W, C] of 16 bits, interlaced or with one filter throughout."""
    height, width, channels = values.shape
    rows = b""
    for x0, y0, dx, dy in ADAM7 if interlaced else ((0, 0, 1, 1),):
        above = None
        for row in values[y0::dy, x0::dx]:
            line = np.frombuffer(row.astype(f">u{bits // 8}").tobytes(), np.uint8)
            if line.size:
                rows += bytes([filter_]) + filtered(line, above, filter_, channels * bits // 8)
                above = line
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def filtered(line: np.ndarray, above: np.ndarray | None, filter_: int, step: int) -> bytes:
    """A row after one of PNG's filters."""
    now = line.astype(int)
    up = np.zeros_like(now) if above is None else above.astype(int)
    left, corner = (np.concatenate([np.zeros(step, int), row[:-step]]) for row in (now, up))
    guess = left + up - corner
    distance = np.abs(np.stack([guess - left, guess - up, guess - corner]))
    paeth = np.choose(distance.argmin(0), [left, up, corner])
    expected = [np.zeros_like(now), left, up, (left + up) // 2, paeth][filter_]
    return ((now - expected) % 256).astype(np.uint8).tobytes()


def with_chunk(content: bytes, name: bytes, body: bytes) -> bytes:
    """A PNG file with one more chunk after its header."""
    return content[:33] + chunk(name, body) + content[33:]


def strange_profile() -> bytes:
    """A colour profile that changes colours a lot: sRGB with red and green in each other's place."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")


def exif(orientation: int) -> Image.Exif:
    """EXIF with nothing but an orientation."""
    found = Image.Exif()
    found[ORIENTATION] = orientation
    return found


def pngs() -> dict[str, bytes]:
    """PNG files."""
    rgb, grey = Image.fromarray(picture()), Image.fromarray(picture(1)[..., 0])
    rgba, both = Image.fromarray(picture(4)), Image.fromarray(picture(2), "LA")
    palette = rgb.quantize(37)
    deep = picture(4, 65536) // 3 + 777
    found = {
        "rgb.png": saved(rgb, "PNG"),
        "grey.png": saved(grey, "PNG"),
        "palette.png": saved(palette, "PNG"),
        "palette-clear.png": saved(palette, "PNG", transparency=3),
        "palette-alpha.png": saved(palette, "PNG", transparency=bytes(range(0, 37 * 6, 6))),
        "rgba.png": saved(rgba, "PNG"),
        "grey-alpha.png": saved(both, "PNG"),
        "rgb-clear.png": saved(rgb, "PNG", transparency=rgb.getpixel((2, 2))),
        "grey-clear.png": saved(grey, "PNG", transparency=grey.getpixel((2, 2))),
        "1bit.png": saved(grey.convert("1"), "PNG"),
        "4bit.png": saved(rgb.quantize(13), "PNG", bits=4),
        "profile.png": saved(rgb, "PNG", icc_profile=strange_profile()),
        "gamma.png": with_chunk(saved(rgb, "PNG"), b"gAMA", struct.pack(">I", 100000)),
        "exif-6.png": saved(rgb, "PNG", exif=exif(6)),
        "deep-grey.png": png(deep[..., :1], 0, filter_=4),
        "deep-grey-interlaced.png": png(deep[..., :1], 0, interlaced=True, filter_=1),
        "deep-grey-flat.png": png(np.full((5, 4, 1), 40000, np.uint16), 0),
        "deep-grey-alpha.png": png(deep[..., :2], 4, filter_=3),
        "deep-rgb.png": png(deep[..., :3], 2, filter_=2),
        "deep-rgba.png": png(deep, 6, filter_=4),
        "interlaced.png": png(picture(), 2, 8, interlaced=True),
        "tiny.png": saved(Image.new("RGB", (1, 1), (200, 30, 90)), "PNG"),
        "thin.png": saved(Image.fromarray(picture()[:1].repeat(40, 1)), "PNG"),
        "100-megapixels.png": saved(Image.fromarray(np.indices((10_000, 10_000)).sum(0) % 640 < 320), "PNG"),
        "animated.png": saved(rgb, "PNG", save_all=True, append_images=[Image.fromarray(picture()[::-1])]),
    }
    xmp = PngImagePlugin.PngInfo()
    xmp.add_itxt("XML:com.adobe.xmp", '<x:xmpmeta xmlns:tiff="t"><rdf tiff:Orientation="3"/></x:xmpmeta>')
    return found | {"xmp-3.png": saved(rgb, "PNG", pnginfo=xmp)}


def jpegs() -> dict[str, bytes]:
    """JPEG files."""
    rgb, grey = Image.fromarray(picture()), Image.fromarray(picture(1)[..., 0])
    found = {f"exif-{k}.jpg": saved(rgb, "JPEG", quality=90, exif=exif(k)) for k in range(1, 10)}
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><rdf tiff:Orientation="8"/></x:xmpmeta>'
    plain = saved(rgb, "JPEG", quality=90)
    return found | {
        "444.jpg": saved(rgb, "JPEG", quality=95, subsampling=0),
        "422.jpg": saved(rgb, "JPEG", quality=80, subsampling=1),
        "420.jpg": saved(rgb, "JPEG", quality=75, subsampling=2),
        "progressive.jpg": saved(rgb, "JPEG", quality=85, progressive=True),
        "grey.jpg": saved(grey, "JPEG", quality=90),
        "cmyk.jpg": saved(rgb.convert("CMYK"), "JPEG", quality=95),
        "profile.jpg": saved(rgb, "JPEG", quality=90, icc_profile=strange_profile()),
        "restart.jpg": saved(rgb, "JPEG", quality=90, restart_marker_rows=1),
        "xmp-8.jpg": plain[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + plain[2:],
        "trailing.jpg": plain + b"what cameras append",
        "tiny.jpg": saved(Image.new("RGB", (1, 1), (200, 30, 90)), "JPEG"),
    }


def others() -> dict[str, bytes]:
    """WebP, GIF and BMP files."""
    rgb, rgba = Image.fromarray(picture()), Image.fromarray(picture(4))
    flipped = Image.fromarray(picture()[::-1])
    return {
        "lossy.webp": saved(rgb, "WEBP", quality=80),
        "lossless.webp": saved(rgb, "WEBP", lossless=True),
        "alpha.webp": saved(rgba, "WEBP", lossless=True, exact=True),
        "exif-5.webp": saved(rgb, "WEBP", lossless=True, exif=exif(5)),
        "profile.webp": saved(rgb, "WEBP", lossless=True, icc_profile=strange_profile()),
        "animated.webp": saved(rgb, "WEBP", lossless=True, save_all=True, append_images=[flipped]),
        "still.gif": saved(rgb.quantize(50), "GIF"),
        "clear.gif": saved(rgb.quantize(50), "GIF", transparency=3),
        "animated.gif": saved(rgb.quantize(50), "GIF", save_all=True, append_images=[flipped.quantize(50)]),
        "rgb.bmp": saved(rgb, "BMP"),
    }


def bad() -> dict[str, bytes]:
    """Files that are no image, are damaged or too large."""
    rgb = Image.fromarray(picture())
    good = {kind: saved(rgb, kind) for kind in ("PNG", "JPEG", "WEBP", "GIF")}
    broken = bytearray(good["PNG"])
    broken[len(broken) // 2] ^= 0x55
    bomb = bytearray(good["JPEG"])
    start = bomb.index(b"\xff\xc0") + 5
    bomb[start : start + 4] = struct.pack(">HH", 65000, 65000)
    names = {"PNG": "short.png", "JPEG": "short.jpg", "WEBP": "short.webp", "GIF": "short.gif"}
    return {names[kind]: content[: len(content) // 2] for kind, content in good.items()} | {
        "empty.jpg": b"",
        "text.png": b"This is no image.\n",
        "damaged.png": bytes(broken),
        "bomb.jpg": bytes(bomb),
        "121-megapixels.png": saved(Image.new("1", (11_000, 11_000)), "PNG"),
        "head.jpg": good["JPEG"][:20],
        "head.png": good["PNG"][:20],
    }


def main() -> None:
    """Write the files, and the table of what Python makes of them."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    lines = []
    for name, content in sorted((pngs() | jpegs() | others() | bad()).items()):
        (FOLDER / name).write_bytes(content)
        lines += row(name, content)
    TABLE.write_text("".join(lines), encoding="utf-8")


def row(name: str, content: bytes) -> list[str]:
    """The table's line of an image; none for one that Python refuses."""
    try:
        image = decode(content, name)
    except CorruptImage:
        return []
    return [f"{name} {image.width} {image.height} {hashlib.sha256(image.tobytes()).hexdigest()}\n"]


if __name__ == "__main__":
    main()
