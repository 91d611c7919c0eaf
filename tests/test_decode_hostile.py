"""Files that are broken or mean harm: one kind of error, no warning, no other effect."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import EpsImagePlugin, Image

from edgekd import preprocess
from edgekd.errors import CorruptImage
from edgekd.preprocess import decode

SMALL = np.array([[10, 20], [30, 40], [50, 60]], np.uint8)


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG of any claimed size with next to no pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    )


WHOLE = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)), "JPEG")
HOSTILE = {
    "zero bytes": b"",
    "one byte": b"\xff",
    "text": b"this is not an image",
    "html": b"<html><body>404 Not Found</body></html>",
    "half a jpeg": WHOLE[: len(WHOLE) // 2],
    "the header of a jpeg": WHOLE[:20],
    "a jpeg without its end": WHOLE[:-100],
    "half a png": encoded(Image.new("RGB", (64, 64), (1, 2, 3)), "PNG")[:60],
    "a png with a broken sum": png_header(8, 8).replace(b"\x08\x02\0\0\0", b"\x08\x02\0\0\1"),
    "a bomb": png_header(60_000, 60_000),
    "a bomb below Pillow's error": png_header(12_000, 10_001),
    "a promise of pixels": png_header(1000, 1000),
    "a page of PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    "a pickle": b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix",
    "a tiff that points nowhere": b"II*\0\xff\xff\xff\x7f",
    "a gif without frames": b"GIF89a\x10\0\x10\0\0\0\0;",
    "a bmp with a negative size": b"BM" + struct.pack("<IHHIIiiHH", 100, 0, 0, 54, 40, -5, 5, 1, 24) + bytes(40),
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("from_file", [False, True])
def test_hostile_content_is_a_corrupt_image_and_nothing_else(what, from_file, tmp_path, capfd):
    path = tmp_path / "picture.jpg"
    path.write_bytes(HOSTILE[what])
    with pytest.raises(CorruptImage) as raised:
        decode(path if from_file else HOSTILE[what], "set/picture.jpg")
    assert raised.value.where == "set/picture.jpg"
    assert raised.value.expected
    assert raised.value.found
    assert raised.value.todo
    assert capfd.readouterr() == ("", "")


def test_postscript_is_never_handed_to_an_interpreter(monkeypatch):
    run = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *args, **kwargs: run.append(args))
    with pytest.raises(CorruptImage, match="not an image of a known format"):
        decode(HOSTILE["a page of PostScript"], "page.png")
    assert not run


@pytest.mark.parametrize("kind", ["EPS", "ICO", "SGI", "MSP", "BLP"])
def test_formats_that_are_not_listed_stay_shut(kind):
    image = {"MSP": Image.new("1", (16, 16)), "BLP": Image.new("P", (16, 16))}.get(kind, Image.new("RGB", (16, 16)))
    with pytest.raises(CorruptImage, match="not an image of a known format"):
        decode(encoded(image, kind), "picture.png")


def test_the_limit_of_size_is_named():
    for content in (HOSTILE["a bomb"], HOSTILE["a bomb below Pillow's error"]):
        with pytest.raises(CorruptImage, match="at most 120 million pixels"):
            decode(content)


def test_large_images_below_the_limit_do_not_warn(recwarn):
    with pytest.raises(CorruptImage, match="truncated"):  # the pixels are missing; the size of 100 MP is fine
        decode(png_header(10_000, 10_000))
    assert not recwarn.list


def test_paths_that_are_no_readable_files(tmp_path):
    with pytest.raises(CorruptImage, match="no such file"):
        decode(tmp_path / "missing.png")
    with pytest.raises(CorruptImage, match="not a file"):
        decode(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(CorruptImage, match="not a file"):  # and does not wait for a writer
        decode(tmp_path / "pipe.png")
    with pytest.raises(CorruptImage):
        decode(tmp_path / "nul\0.png")


def test_a_file_without_permission_is_corrupt(tmp_path, monkeypatch):
    path = tmp_path / "x.png"
    path.write_bytes(encoded(Image.new("L", (2, 2)), "PNG"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root reads everything: refuse in its place

        def refuse(*args, **kwargs):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(preprocess.Image, "open", refuse)
    with pytest.raises(CorruptImage, match="permission denied"):
        decode(path, "x.png")


@given(
    st.binary(max_size=400),
    st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"GIF89a", b"BM", b"P6 "]),
)
@settings(max_examples=80, deadline=None)
def test_random_bytes_never_raise_anything_else(tail, head):
    with contextlib.suppress(CorruptImage):
        assert decode(head + tail).mode == "RGB"


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_damaged_files_never_raise_anything_else(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP"]))
    content = bytearray(encoded(Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CorruptImage):
        assert decode(bytes(content)).mode == "RGB"


def test_decoding_in_threads_leaves_the_warning_filters_alone():
    content = encoded(Image.fromarray(SMALL), "PNG")
    decode(content)
    before = list(warnings.filters)
    results = []

    def work():
        results.extend(decode(content).getpixel((0, 0)) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [(10, 10, 10)] * 400
    assert warnings.filters == before


def test_warnings_of_others_stay_errors():
    decode(encoded(Image.fromarray(SMALL), "PNG"))
    with pytest.raises(UserWarning):
        warnings.warn("mine", stacklevel=1)
