"""Resizing, normalizing and the input contract, against numbers by hand and against the filter written anew."""

from __future__ import annotations

import numpy as np
import PIL
import pytest
from PIL import Image
from pydantic import ValidationError

from edgekd.errors import CorruptImage
from edgekd.preprocess import InputContract, decode, normalize, resize, to_pixels
from edgekd.recipe import InputRecipe


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


def test_real_slices_decode(shared):
    paths = sorted((shared / "data/mri4-mini/Testing").rglob("*.jpg"))[:8]
    assert len(paths) == 8
    for path in paths:
        pixels = to_pixels(decode(path), InputRecipe(size=96))
        assert pixels.shape == (96, 96, 3)
        assert pixels.max() > 100


@pytest.mark.skipif(int(PIL.__version__.split(".")[0]) < 13, reason="Pillow before 13 goes in the other order")
@pytest.mark.parametrize("kernel", [Image.Resampling.BILINEAR, Image.Resampling.BICUBIC])
def test_two_passes_are_pillows_own(kernel):
    rng = np.random.default_rng(0)
    for _ in range(300):
        width, height, w, h = rng.integers(1, 90, size=4)
        image = Image.fromarray(rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
        expected = np.asarray(image.resize((w, h), kernel, reducing_gap=None))
        assert np.array_equal(resize(image, (w, h), kernel), expected), (width, height, w, h)
