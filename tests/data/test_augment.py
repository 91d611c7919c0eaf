"""Views are a pure function of (seed, epoch, sample), and the geometry is what the recipe says."""

import numpy as np
import pytest
import torch

from edgekd.data.augment import Augmenter, affine_matrices, plain_views
from edgekd.data.tta import tta_views
from edgekd.recipe import AugmentRecipe

CPU = torch.device("cpu")
ARRAY = np.random.default_rng(0).integers(0, 256, (12, 24, 24, 3), dtype=np.uint8)
LABELS = np.arange(12) % 3
IDS = np.arange(12, dtype=np.uint64) * 2**60 + 3
EVERYTHING = AugmentRecipe(contrast=0.2, saturation=0.2, noise=0.05, elastic_alpha=8.0, erase=0.5, vertical_flip=0.5)
NOTHING = AugmentRecipe(rotation_deg=0, shift=0, zoom=0, shear=0, horizontal_flip=0, brightness=0)


def augmenter(recipe, seed=1, mixup=0.0):
    return Augmenter(ARRAY, IDS, LABELS, 3, recipe, seed, np.arange(8), mixup)


@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_a_view_depends_on_nothing_but_seed_epoch_and_sample(mixup):
    a = augmenter(EVERYTHING, mixup=mixup)
    together = a.views(3, np.array([5, 1, 9]), CPU)
    torch.rand(17), np.random.default_rng().random(3)
    for position, row in enumerate([5, 1, 9]):
        alone = augmenter(EVERYTHING, mixup=mixup).views(3, np.array([row]), CPU)
        assert torch.equal(alone.pixels[0], together.pixels[position])
        assert torch.equal(alone.targets[0], together.targets[position])


def test_a_view_is_that_of_the_image_in_whatever_order_it_is_listed():
    order = np.random.default_rng(1).permutation(12)
    shuffled = Augmenter(ARRAY[order], IDS[order], LABELS[order], 3, EVERYTHING, 1, np.arange(8))
    expected = augmenter(EVERYTHING).views(2, order, CPU)
    found = shuffled.views(2, np.arange(12), CPU)
    assert torch.equal(found.pixels, expected.pixels)
    assert torch.equal(found.targets, expected.targets)


def test_seed_epoch_and_sample_each_change_the_view():
    rows = np.array([0])
    base = augmenter(EVERYTHING).views(0, rows, CPU).pixels
    assert not torch.equal(base, augmenter(EVERYTHING, seed=2).views(0, rows, CPU).pixels)
    assert not torch.equal(base, augmenter(EVERYTHING).views(1, rows, CPU).pixels)


def test_no_augmentation_is_the_image_itself():
    views = augmenter(NOTHING).views(0, np.array([2, 7]), CPU)
    assert torch.allclose(views.pixels, plain_views(ARRAY, np.array([2, 7]), CPU), atol=1e-3)
    assert views.targets.tolist() == [[0, 0, 1], [0, 1, 0]]


def test_a_certain_flip_mirrors():
    flipped = augmenter(NOTHING.model_copy(update={"horizontal_flip": 1.0})).views(0, np.array([4]), CPU).pixels
    assert torch.allclose(flipped, plain_views(ARRAY, np.array([4]), CPU).flip(3), atol=1e-3)


def test_brightness_stays_in_its_range_and_pixels_in_theirs():
    grey = np.full((200, 8, 8, 3), 200, np.uint8)
    recipe = NOTHING.model_copy(update={"brightness": 0.15})
    pixels = (
        Augmenter(grey, np.arange(200), np.zeros(200, int), 2, recipe, 0, np.arange(200))
        .views(0, np.arange(200), CPU)
        .pixels
    )
    assert 170 - 1e-3 <= pixels.min() < 175
    assert 225 < pixels.max() <= 230 + 1e-3
    loud = augmenter(AugmentRecipe(brightness=0.9, noise=0.5)).views(0, np.arange(12), CPU).pixels
    assert loud.min() >= 0
    assert loud.max() <= 255


def test_affine_draws_reach_their_limits_and_no_further():
    draws = np.full((2, 8), 0.5)
    draws[0, 0], draws[1, 0] = 0.0, 1.0
    matrices = affine_matrices(draws, AugmentRecipe(rotation_deg=30, horizontal_flip=0))
    assert np.degrees(np.arctan2(matrices[:, 1, 0], matrices[:, 0, 0])) == pytest.approx([-30, 30])


def test_mixup_mixes_pixels_and_targets_alike_with_the_larger_share_its_own():
    flat = np.stack([np.full((8, 8, 3), 20 * i, np.uint8) for i in range(12)])
    views = Augmenter(flat, np.arange(12), np.arange(12), 12, NOTHING, 0, np.arange(12), 1.0).views(
        0, np.arange(12), CPU
    )
    assert views.targets.sum(1) == pytest.approx(torch.ones(12).tolist())
    assert (views.targets[torch.arange(12), torch.arange(12)] >= 0.5).all()
    expected = (views.targets * 20 * torch.arange(12)).sum(1)
    assert views.pixels.mean((1, 2, 3)) == pytest.approx(expected.tolist(), abs=1e-2)
    assert (views.targets.max(1).values < 1).any()


def test_erase_covers_between_2_and_20_percent():
    white = np.full((300, 40, 40, 3), 255, np.uint8)
    recipe = NOTHING.model_copy(update={"erase": 0.5})
    pixels = (
        Augmenter(white, np.arange(300), np.zeros(300, int), 2, recipe, 0, np.arange(300))
        .views(0, np.arange(300), CPU)
        .pixels
    )
    share = (pixels[:, 0] == 127).float().mean((1, 2))
    erased = share[share > 0]
    assert 0.4 < len(erased) / 300 < 0.6
    assert erased.min() > 0.015
    assert erased.max() < 0.21


def test_tta_is_the_plain_view_and_four_light_changes():
    smooth = np.zeros((2, 32, 32, 3), np.uint8)
    smooth[:, 12:22, 8:20] = 200
    views = tta_views(smooth)
    assert len(views) == 5
    assert np.array_equal(views[0], smooth)
    assert np.array_equal(views[1], smooth[:, :, ::-1])
    for view in views[2:]:
        assert view.shape == smooth.shape
        assert view.dtype == np.uint8
        assert 0.5 < np.abs(view.astype(int) - smooth).mean() < 20


def test_enlarging_moves_an_edge_away_from_the_centre_by_five_percent():
    step = np.zeros((1, 200, 200, 3), np.uint8)
    step[:, :, 180:] = 255
    assert np.argmax(tta_views(step)[4][0, 100, :, 0] > 127) == pytest.approx(100 + 80 * 1.05, abs=1)
