"""What files are verified on: the bundle's own validation split and golden vectors. Never the test split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd import recipe as recipes
from edgekd.bundle import Bundle
from edgekd.data.chosen import side_of, with_data
from edgekd.data.dataset import listing_hash
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError
from edgekd.quantization import representative
from edgekd.quantization.graph import Array
from edgekd.recipe import Recipe


@dataclass(frozen=True)
class Validation:
    """Pixels [N, S, S, 3] uint8, labels [N], names [N] of the validation split, and the float student's logits [N, K]."""

    pixels: Array
    labels: Array
    names: tuple[str, ...]
    float_logits: Array


def golden(bundle: Bundle) -> dict[str, Array]:
    """The golden vectors: `pixels` [G, S, S, 3] uint8 and the float student's `logits` [G, K]."""
    from safetensors.numpy import load_file

    return load_file(bundle.file("golden/vectors.safetensors"))


def load(bundle: Bundle, data: str = "") -> Validation:
    """The bundle's validation split; `data` says where its images are now, if not where the recipe says.

    Raises: EdgekdError if the images are not there, or are not those that the bundle was validated on.
    """
    from safetensors.numpy import load_file

    pixels = _pixels(bundle, data, "val")
    stored = load_file(bundle.file("evaluation/val.safetensors"))
    labels = np.array([s.label for s in pixels.dataset.samples])
    if not np.array_equal(labels, stored["labels"]):
        raise EdgekdError(f"validation split of {bundle.folder}", "the labels it was validated with", "others")
    return Validation(pixels.array, labels, tuple(s.name for s in pixels.dataset.samples), stored["logits"])


def representative_pixels(bundle: Bundle, data: str = "") -> Array:
    """Pixels [N, S, S, 3] uint8 of the representative set: training images, the same share of every class.

    Raises: EdgekdError if the images are not there, or are not those that the bundle was trained on.
    """
    recipe, pixels = _recipe(bundle, data), _pixels(bundle, data, "train")
    labels = np.array([s.label for s in pixels.dataset.samples])
    chosen = representative.choose(labels, np.arange(len(labels)), recipe.qat.representative_images, recipe.seed)
    return pixels.array[chosen]


def _recipe(bundle: Bundle, data: str) -> Recipe:
    recipe = recipes.validate(Recipe, bundle.manifest.recipe, f"recipe of {bundle.folder}", from_json=True)
    return with_data(recipe, data) if data else recipe


def _pixels(bundle: Bundle, data: str, side: str) -> Pixels:
    recipe = _recipe(bundle, data)
    dataset = side_of(bundle, recipe, side)
    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    if listing_hash(pixels.dataset.samples) != bundle.manifest.split_hashes.get(side):
        todo = "--data PATH of the images that the bundle was made from"
        raise EdgekdError(f"split {side!r} for {bundle.folder}", "the images that the bundle knows", "others", todo)
    return pixels
