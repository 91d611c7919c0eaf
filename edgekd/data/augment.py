"""Augmented views as a pure function of (seed, epoch, image): the same triple gives the same view, always.

That is what lets a teacher's output for a view be computed once and used by every student, whatever list, order or split
the image comes in. The random numbers come from a counter-based generator per image, never from a global state; the pixels
are moved on the device that trains.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgekd.data.dataset import NO_LABEL
from edgekd.recipe import AugmentRecipe

VERSION = 1  # to be raised when a triple gives another view: what a teacher said of the old ones is not read then
DRAWS = 24  # uniform numbers per view; changing it changes every view


@dataclass(frozen=True)
class Views:
    """A batch of views [B, 3, S, S] float 0..255 and soft targets [B, K]; rows sum to 1, or are 0 where there is no label."""

    pixels: Tensor
    targets: Tensor


class Augmenter:
    """Makes views of images in `array` [N, S, S, 3] uint8 with `labels` [N]; `ids` [N] uint64 are `Pixels.ids`.

    `partners` are the rows that mixup may mix with (the labelled ones of the training split); `mixup` is the alpha of its Beta
    distribution, 0 for none (Zhang et al., ICLR 2018). Views of unlabelled images are not mixed: half a label is none.
    """

    def __init__(
        self,
        array: np.ndarray,
        ids: np.ndarray,
        labels: np.ndarray,
        classes: int,
        recipe: AugmentRecipe,
        seed: int,
        partners: np.ndarray,
        mixup: float = 0.0,
    ) -> None:
        self.array, self.ids, self.labels, self.classes, self.partners = array, ids, labels, classes, partners
        self.recipe, self.seed, self.mixup = recipe, seed, mixup

    def views(self, epoch: int | np.ndarray, rows: np.ndarray, device: torch.device) -> Views:
        """The views of `rows` [B] (indices into the array) in `epoch`, one for all or [B]."""
        epochs = np.broadcast_to(epoch, rows.shape)
        draws = np.stack([self._generator(e, row).random(DRAWS) for e, row in zip(epochs, rows, strict=True)])
        pixels = self._augment(epochs, rows, draws, device, stream=0)
        targets = self._one_hot(rows, device)
        if self.mixup:
            # The partner and the share are functions of the triple as well, so a mixed view stays a view.
            partners = self.partners[(draws[:, -1] * len(self.partners)).astype(np.int64)]
            pairs = list(zip(epochs, rows, strict=True))
            share = np.array([self._generator(e, row, 1).beta(self.mixup, self.mixup) for e, row in pairs])
            share[self.labels[rows] == NO_LABEL] = 1.0
            other_draws = np.stack([self._generator(e, row, 2).random(DRAWS) for e, row in pairs])
            kept = torch.from_numpy(np.maximum(share, 1 - share).astype(np.float32)).to(device)[:, None]
            others = self._augment(epochs, partners, other_draws, device, stream=2)
            pixels = pixels * kept[..., None, None] + others * (1 - kept[..., None, None])
            targets = targets * kept + self._one_hot(partners, device) * (1 - kept)
        return Views(pixels.contiguous(memory_format=torch.channels_last), targets)

    def _generator(self, epoch: int, row: int, stream: int = 0) -> np.random.Generator:
        key = np.array([(self.seed << 32) | int(epoch), self.ids[row]], np.uint64)
        return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, stream]))

    def _one_hot(self, rows: np.ndarray, device: torch.device) -> Tensor:
        labels = torch.from_numpy(self.labels[rows]).long()
        targets = functional.one_hot(labels.clamp(min=0), self.classes).float()
        return (targets * (labels != NO_LABEL)[:, None]).to(device)

    def _augment(
        self, epochs: np.ndarray, rows: np.ndarray, draws: np.ndarray, device: torch.device, stream: int
    ) -> Tensor:
        pixels = plain_views(self.array, rows, device)
        pixels = warp(pixels, self._grid(epochs, rows, draws, device, stream))
        return self._colour(epochs, rows, draws, pixels, stream)

    def _grid(
        self, epochs: np.ndarray, rows: np.ndarray, draws: np.ndarray, device: torch.device, stream: int
    ) -> Tensor:
        size = self.array.shape[1]
        matrices = torch.from_numpy(affine_matrices(draws, self.recipe)).to(device)
        grid = functional.affine_grid(matrices, [len(rows), 3, size, size], align_corners=False)
        if self.recipe.elastic_alpha:
            fields = [self._elastic(e, row, stream) for e, row in zip(epochs, rows, strict=True)]
            grid = grid + torch.from_numpy(np.stack(fields)).to(device)
        return grid

    def _elastic(self, epoch: int, row: int, stream: int) -> np.ndarray:
        """Smooth random displacement [S, S, 2] in grid units (Simard et al., ICDAR 2003)."""
        from scipy.ndimage import gaussian_filter

        size = self.array.shape[1]
        noise = self._generator(epoch, row, stream + 8).uniform(-1, 1, (2, size, size))
        smooth = [gaussian_filter(n, self.recipe.elastic_sigma, mode="constant") for n in noise]
        return (np.stack(smooth, axis=-1) * self.recipe.elastic_alpha * 2 / size).astype(np.float32)

    def _colour(self, epochs: np.ndarray, rows: np.ndarray, draws: np.ndarray, pixels: Tensor, stream: int) -> Tensor:
        r = self.recipe

        def factor(column: int, strength: float) -> Tensor:
            values = (1 + strength * (2 * draws[:, column] - 1)).astype(np.float32)
            return torch.from_numpy(values).to(pixels.device)[:, None, None, None]

        if r.brightness:
            pixels = pixels * factor(8, r.brightness)
        if r.contrast:
            mean = pixels.mean((1, 2, 3), keepdim=True)
            pixels = (pixels - mean) * factor(9, r.contrast) + mean
        if r.saturation:
            grey = pixels.mean(1, keepdim=True)
            pixels = (pixels - grey) * factor(10, r.saturation) + grey
        if r.noise:
            noise = np.empty(pixels.shape, np.float32)
            for number, (e, row) in enumerate(zip(epochs, rows, strict=True)):
                noise[number] = self._generator(e, row, stream + 16).standard_normal(noise.shape[1:])
            strength = torch.from_numpy((255 * r.noise * draws[:, 11]).astype(np.float32)).to(pixels.device)
            pixels = torch.from_numpy(noise).to(pixels.device).mul_(strength[:, None, None, None]).add_(pixels)
        if r.erase:
            pixels = erase(pixels, draws[:, 12:17], r.erase)
        return pixels.clamp(0, 255)


def plain_views(array: np.ndarray, rows: np.ndarray, device: torch.device) -> Tensor:
    """Unchanged views [B, 3, S, S] float 0..255 of the images `rows`."""
    pixels = torch.from_numpy(np.ascontiguousarray(array[rows])).to(device)
    return pixels.permute(0, 3, 1, 2).float()  # channels-last in memory, as the array is


def warp(pixels: Tensor, grid: Tensor) -> Tensor:
    """Bilinear resampling at `grid`; outside is black, as the background of a medical image is."""
    return functional.grid_sample(pixels, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def affine_matrices(draws: np.ndarray, r: AugmentRecipe) -> np.ndarray:
    """Matrices [B, 2, 3] float32 from output to input coordinates (both in [-1, 1]) for uniform draws [B, >= 8]."""
    signed = 2 * draws - 1
    angle = np.deg2rad(r.rotation_deg) * signed[:, 0]
    scale = 1 + r.zoom * signed[:, 1]
    shear = r.shear * signed[:, 2]
    flip_x = np.where(draws[:, 3] < r.horizontal_flip, -1.0, 1.0)
    flip_y = np.where(draws[:, 4] < r.vertical_flip, -1.0, 1.0)
    cos, sin = np.cos(angle), np.sin(angle)
    matrices = np.empty((len(draws), 2, 3))
    matrices[:, 0, 0] = flip_x * cos / scale
    matrices[:, 0, 1] = flip_x * (shear * cos - sin) / scale
    matrices[:, 1, 0] = flip_y * sin / scale
    matrices[:, 1, 1] = flip_y * (shear * sin + cos) / scale
    matrices[:, 0, 2] = 2 * r.shift * signed[:, 5]
    matrices[:, 1, 2] = 2 * r.shift * signed[:, 6]
    return matrices.astype(np.float32)


def erase(pixels: Tensor, draws: np.ndarray, probability: float) -> Tensor:
    """One rectangle of 2 to 20 % of the area set to mid-grey, in a share of the views (Zhong et al., AAAI 2020)."""
    size = pixels.shape[-1]
    for view, (chance, area, aspect, left, top) in zip(pixels, draws, strict=True):
        if chance >= probability:
            continue
        side = size * math.sqrt(0.02 + 0.18 * area)
        stretch = math.exp((2 * aspect - 1) * math.log(2))
        height, width = min(size, round(side * stretch)), min(size, round(side / stretch))
        y, x = round(top * (size - height)), round(left * (size - width))
        view[:, y : y + height, x : x + width] = 127.0
    return pixels
