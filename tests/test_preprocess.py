"""Decoding, resizing and normalizing, against numbers worked out by hand and against the filter written anew."""

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
from PIL import Image, TiffImagePlugin
from pydantic import ValidationError

from edgekd import preprocess
from edgekd.errors import CorruptImage
from edgekd.preprocess import InputContract, decode, normalize, stretch, to_pixels, to_rgb
from edgekd.recipe import InputRecipe

# 2 wide, 3 high, every pixel another grey, so that each of the eight orientations looks different.
UPRIGHT = np.array([[10, 20], [30, 40], [50, 60]], np.uint8)
# What a camera that is held that way stores, by the definition of the EXIF tag (row 0 and column 0 are ...).
STORED = {
    1: UPRIGHT,  # top, left
    2: UPRIGHT[:, ::-1],  # top, right
    3: UPRIGHT[::-1, ::-1],  # bottom, right
    4: UPRIGHT[::-1],  # bottom, left
    5: UPRIGHT.T,  # left, top
    6: UPRIGHT.T[::-1],  # right, top
    7: UPRIGHT.T[::-1, ::-1],  # right, bottom
    8: UPRIGHT.T[:, ::-1],  # left, bottom
}


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def grey(pixels: np.ndarray) -> np.ndarray:
    """[H, W, 3] of [H, W]."""
    return np.repeat(np.asarray(pixels, np.uint8)[..., None], 3, axis=-1)


def decoded(content: bytes) -> np.ndarray:
    image = decode(content)
    assert image.mode == "RGB"
    return np.asarray(image)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
def test_orientation_is_undone(orientation, kind):
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {}
    content = encoded(Image.fromarray(np.ascontiguousarray(STORED[orientation])), kind, exif=exif, **options)
    np.testing.assert_array_equal(decoded(content), grey(UPRIGHT))


def test_orientation_of_a_jpeg_is_undone():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.kron(STORED[6], np.ones((16, 16), np.uint8))  # whole blocks survive the compression
    content = encoded(Image.fromarray(stored), "JPEG", quality=100, exif=exif)
    np.testing.assert_allclose(decoded(content).astype(int), grey(np.kron(UPRIGHT, np.ones((16, 16)))), atol=1)


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0garbage", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0II*\0\x08\0\0\0\xff\xff"]
)
def test_unreadable_exif_turns_nothing(exif):
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(UPRIGHT), "PNG", exif=exif)), grey(UPRIGHT))


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value):
    exif = Image.Exif()
    exif[0x0112] = value
    np.testing.assert_array_equal(decoded(encoded(Image.fromarray(UPRIGHT), "PNG", exif=exif)), grey(UPRIGHT))


RAMP = [[1000, 1001, 1002, 1255, 1510]]  # 1510 - 1000 = 510: two steps of the file are one step of the result


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_from_minimum_to_maximum_halves_up(kind):
    content = encoded(Image.fromarray(np.array(RAMP, np.uint16)), kind)
    np.testing.assert_array_equal(decoded(content), grey([[0, 1, 1, 128, 255]]))


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_of_sixteen_bit_tiff(order):
    """A TIFF written by hand: 5 x 1 pixels, 16 bits, uncompressed."""
    pixels = struct.pack(f"{order}5H", *RAMP[0])
    tags = [(256, 3, 5), (257, 3, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1), (279, 4, 10)]
    entries = b""
    for tag, kind, value in tags:
        entries += struct.pack(f"{order}HHI", tag, kind, 1)
        entries += struct.pack(f"{order}HH", value, 0) if kind == 3 else struct.pack(f"{order}I", value)
    directory = struct.pack(f"{order}H", len(tags)) + entries + struct.pack(f"{order}I", 0)
    header = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(pixels))
    np.testing.assert_array_equal(decoded(header + pixels + directory), grey([[0, 1, 1, 128, 255]]))


def test_signed_and_float_pixels():
    signed = encoded(Image.fromarray(np.array([[-510, 0, 510]], np.int32)), "TIFF")
    np.testing.assert_array_equal(decoded(signed), grey([[0, 128, 255]]))
    real = encoded(Image.fromarray(np.array([[-1.0, 0.0, 3.0]], np.float32)), "TIFF")
    np.testing.assert_array_equal(decoded(real), grey([[0, 64, 255]]))


@pytest.mark.parametrize("value", [0, 7, 65535])
def test_a_constant_image_of_high_depth_is_black(value):
    content = encoded(Image.fromarray(np.full((2, 2), value, np.uint16)), "PNG")
    np.testing.assert_array_equal(decoded(content), np.zeros((2, 2, 3)))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite_are_corrupt(bad):
    content = encoded(Image.fromarray(np.array([[0.0, bad]], np.float32)), "TIFF")
    with pytest.raises(CorruptImage, match="not finite"):
        decode(content, "x.tif")


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=20))
@settings(max_examples=200, deadline=None)
def test_stretch_is_exact_in_integers(values):
    low, high = min(values), max(values)
    span = high - low
    expected = [(2 * 255 * (v - low) + span) // (2 * span) if span else 0 for v in values]
    assert stretch(np.array(values)).tolist() == expected


MODES = {
    # mode: (pixel, its RGB)
    "1": (255, (255, 255, 255)),
    "L": (77, (77, 77, 77)),
    "LA": ((200, 51), (40, 40, 40)),  # 200 * 51 / 255
    "La": ((40, 51), (40, 40, 40)),
    "RGB": ((1, 2, 3), (1, 2, 3)),
    "RGBX": ((1, 2, 3, 0), (1, 2, 3)),
    "RGBA": ((250, 100, 50, 51), (50, 20, 10)),
    "RGBa": ((50, 20, 10, 51), (50, 20, 10)),
    "CMYK": ((0, 255, 255, 0), (255, 0, 0)),
    "YCbCr": ((76, 85, 255), (254, 0, 0)),
    "HSV": ((85, 255, 255), (0, 255, 0)),
    "LAB": ((255, 128, 128), (255, 255, 255)),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_becomes_rgb(mode):
    pixel, expected = MODES[mode]
    image = to_rgb(Image.new(mode, (2, 1), pixel))
    assert image.mode == "RGB"
    np.testing.assert_allclose(
        np.asarray(image, int), np.full((1, 2, 3), expected), atol=1 if mode in ("YCbCr", "LAB") else 0
    )


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I;16L", "I", "F"])
def test_every_high_depth_mode_is_stretched(mode):
    values = np.array([[1000, 1255, 1510]])
    kind = {"I;16B": ">u2", "I": "<i4", "F": "<f4"}.get(mode, "<u2")
    image = Image.frombytes(mode, (3, 1), values.astype(kind).tobytes())
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), grey([[0, 128, 255]]))


def test_palette_with_transparency_is_laid_over_black():
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), "L").copy()
    image.putpalette([255, 0, 0, 0, 200, 0, 0, 0, 255])  # turns the mode to P
    for transparency in (bytes([255, 51, 0]), 2):  # per entry, or one entry
        content = encoded(image, "PNG", transparency=transparency)
        middle = 40 if isinstance(transparency, bytes) else 200
        np.testing.assert_array_equal(decoded(content), [[[255, 0, 0], [0, middle, 0], [0, 0, 0]]])


def test_palette_with_alpha_and_transparent_colour():
    image = Image.new("PA", (1, 1))
    image.putpalette([250, 100, 50])
    image.putpixel((0, 0), (0, 51))
    np.testing.assert_array_equal(np.asarray(to_rgb(image)), [[[50, 20, 10]]])
    for image, colour in ((Image.new("RGB", (1, 1), (9, 8, 7)), (9, 8, 7)), (Image.new("L", (1, 1), 9), 9)):
        np.testing.assert_array_equal(decoded(encoded(image, "PNG", transparency=colour)), np.zeros((1, 1, 3)))


@pytest.mark.parametrize(("ink", "expected"), [((0, 0, 0, 0), 255), ((0, 0, 0, 255), 0), ((0, 0, 0, 127), 128)])
def test_cmyk_jpeg_is_not_a_negative(ink, expected):
    """Adobe stores CMYK inverted and says so; paper without ink is white."""
    content = encoded(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)
    assert b"Adobe" in content
    np.testing.assert_allclose(decoded(content).astype(int), expected, atol=1)
    tiff = encoded(Image.new("CMYK", (16, 16), ink), "TIFF")  # not inverted
    np.testing.assert_array_equal(decoded(tiff), expected)


def test_of_several_frames_the_first_counts():
    frames = [Image.new("L", (4, 4), value) for value in (30, 200)]
    for kind in ("GIF", "TIFF", "PNG", "WEBP"):
        content = encoded(
            frames[0], kind, save_all=True, append_images=frames[1:], **({"lossless": True} if kind == "WEBP" else {})
        )
        np.testing.assert_array_equal(decoded(content), np.full((4, 4, 3), 30), err_msg=kind)


def test_mpo_of_a_camera_is_a_jpeg():
    frames = [Image.new("RGB", (16, 16), (value,) * 3) for value in (30, 200)]
    content = encoded(frames[0], "MPO", save_all=True, append_images=frames[1:], quality=100)
    np.testing.assert_allclose(decoded(content).astype(int), 30, atol=1)


# Hostile files


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
@settings(max_examples=300, deadline=None)
def test_random_bytes_never_raise_anything_else(tail, head):
    with contextlib.suppress(CorruptImage):
        assert decode(head + tail).mode == "RGB"


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_files_never_raise_anything_else(data):
    kind = data.draw(st.sampled_from(["JPEG", "PNG", "TIFF", "GIF", "BMP", "WEBP"]))
    content = bytearray(encoded(Image.fromarray(np.arange(192, dtype=np.uint8).reshape(8, 8, 3)), kind))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(CorruptImage):
        assert decode(bytes(content)).mode == "RGB"


def test_decoding_in_threads_leaves_the_warning_filters_alone():
    content = encoded(Image.fromarray(UPRIGHT), "PNG")
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
    decode(encoded(Image.fromarray(UPRIGHT), "PNG"))
    with pytest.raises(UserWarning):
        warnings.warn("mine", stacklevel=1)


# Resizing


def triangle(x: float) -> float:
    return max(0.0, 1.0 - abs(x))


def cubic(x: float, a: float = -0.5) -> float:
    x = abs(x)
    if x < 1:
        return ((a + 2) * x - (a + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * a if x < 2 else 0.0


def weights(source: int, target: int, kernel: str) -> np.ndarray:
    """[target, source] weights of an antialiased filter: the kernel is widened by the reduction."""
    function, support = (triangle, 1.0) if kernel == "bilinear" else (cubic, 2.0)
    scale = source / target
    widening = max(scale, 1.0)
    matrix = np.zeros((target, source))
    for out in range(target):
        centre = (out + 0.5) * scale
        first = max(0, int(centre - support * widening + 0.5))
        last = min(source, int(centre + support * widening + 0.5))
        for i in range(first, last):
            matrix[out, i] = function((i + 0.5 - centre) / widening)
        matrix[out] /= matrix[out].sum()
    return matrix


def resized(pixels: np.ndarray, width: int, height: int, kernel: str) -> np.ndarray:
    """[height, width, 3]: columns first with a rounding between the passes, as 8-bit resizers do."""
    across = np.einsum("ow,hwc->hoc", weights(pixels.shape[1], width, kernel), pixels.astype(np.float64))
    across = np.clip(np.floor(across + 0.5), 0, 255)
    down = np.einsum("oh,hwc->owc", weights(pixels.shape[0], height, kernel), across)
    return np.clip(np.floor(down + 0.5), 0, 255)


@pytest.mark.parametrize("kernel", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(97, 61), (40, 130), (16, 16), (9, 20), (7, 5), (1, 1)])
def test_squash_agrees_with_the_filter_written_anew(kernel, shape):
    pixels = np.random.default_rng(1).integers(0, 256, (*shape, 3), np.uint8)
    found = to_pixels(Image.fromarray(pixels), InputRecipe(size=16, kernel=kernel))
    assert found.shape == (16, 16, 3)
    assert found.dtype == np.uint8
    difference = np.abs(found - resized(pixels, 16, 16, kernel)).max()
    assert difference <= 1, difference


def test_halving_by_hand():
    """16 pixels from 32: weights 1/8, 3/8, 3/8, 1/8 inside; the border renormalizes 3, 3, 1 to sevenths."""
    row = np.arange(32) * 8
    pixels = np.broadcast_to(row[None, :, None], (32, 32, 3)).astype(np.uint8)
    found = to_pixels(Image.fromarray(pixels), InputRecipe(size=16))
    inside = [(row[2 * i - 1] + 3 * row[2 * i] + 3 * row[2 * i + 1] + row[2 * i + 2]) / 8 for i in range(1, 15)]
    assert found[5, 1:15, 0].tolist() == inside
    assert found[5, 0, 0] == round((3 * row[0] + 3 * row[1] + row[2]) / 7)


@pytest.mark.parametrize(
    ("width", "height", "size", "fraction", "short", "wide", "high"),
    [
        (100, 50, 16, 1.0, 16, 32, 16),
        (50, 100, 16, 0.875, 18, 18, 36),  # 16 / 0.875 = 18.29
        (30, 20, 17, 1.0, 17, 26, 17),  # 25.5 is rounded up
        (10, 10, 16, 0.5, 32, 32, 32),
        (333, 100, 16, 0.9, 18, 60, 18),  # 17.8, 59.94
    ],
)
def test_crop_rounds_as_stated(width, height, size, fraction, short, wide, high):
    assert min(wide, high) == short
    pixels = np.random.default_rng(2).integers(0, 256, (height, width, 3), np.uint8)
    found = to_pixels(Image.fromarray(pixels), InputContract(size=size, fit="crop", crop_fraction=fraction))
    left, top = (wide - size) // 2, (high - size) // 2
    expected = resized(pixels, wide, high, "bilinear")[top : top + size, left : left + size]
    assert np.abs(found - expected).max() <= 1


def test_crop_refuses_a_thread_of_pixels():
    with pytest.raises(CorruptImage, match="100000 x 1 px"):
        to_pixels(Image.new("RGB", (100_000, 1)), InputContract(size=224, fit="crop"))


def test_a_grey_image_stays_grey_and_a_constant_one_constant():
    found = to_pixels(Image.new("RGB", (37, 91), (3, 128, 254)), InputContract(size=24, fit="crop", crop_fraction=0.8))
    np.testing.assert_array_equal(found, np.broadcast_to([3, 128, 254], (24, 24, 3)))


# Normalizing and the contract


def test_normalize_by_hand():
    contract = InputContract(size=16, mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 2.0))
    found = normalize(np.array([[[255, 0, 51]], [[0, 255, 255]]], np.uint8), contract)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [[[1.0, -1.0, 0.1]], [[-1.0, 3.0, 0.5]]], rtol=1e-6)


def test_default_contract_is_that_of_imagenet():
    contract = InputContract(size=224)
    assert contract.mean == (0.485, 0.456, 0.406)
    assert contract.std == (0.229, 0.224, 0.225)
    assert InputContract.model_validate_json(contract.model_dump_json()) == contract


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": 10**9},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (1.0, float("nan"), 1.0)},
        {"mean": (float("inf"), 0.0, 0.0)},
        {"mean": (0.0, 0.0)},
        {"crop_fraction": 0.0},
        {"kernel": "nearest"},
        {"layout": "NCHW"},
        {"colour": "BGR"},
        {"colur": "RGB"},
    ],
)
def test_a_contract_that_cannot_be_met_is_refused(change):
    with pytest.raises(ValidationError):
        InputContract(**{"size": 16, **change})


def test_extensions_and_formats_belong_together():
    Image.init()
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in (*preprocess.FORMATS, "MPO")}
    assert set(preprocess.EXTENSIONS) <= known | {".apng"}
    assert TiffImagePlugin.TiffImageFile.format in preprocess.FORMATS
    assert "EPS" not in preprocess.FORMATS


def test_real_slices_decode(shared):
    paths = sorted((shared / "data/mri4-mini/Testing").rglob("*.jpg"))[:8]
    assert len(paths) == 8
    for path in paths:
        pixels = to_pixels(decode(path), InputRecipe(size=96))
        assert pixels.shape == (96, 96, 3)
        assert pixels.max() > 100
