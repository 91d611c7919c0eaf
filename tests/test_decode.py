"""Decoding: orientation, depth and every pixel mode, against numbers worked out by hand."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, TiffImagePlugin

from edgekd import preprocess
from edgekd.errors import CorruptImage
from edgekd.preprocess import decode, stretch, to_rgb

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
@settings(max_examples=80, deadline=None)
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


def test_extensions_and_formats_belong_together():
    Image.init()
    known = {ending for ending, kind in Image.registered_extensions().items() if kind in (*preprocess.FORMATS, "MPO")}
    assert set(preprocess.EXTENSIONS) <= known | {".apng"}
    assert TiffImagePlugin.TiffImageFile.format in preprocess.FORMATS
    assert "EPS" not in preprocess.FORMATS
