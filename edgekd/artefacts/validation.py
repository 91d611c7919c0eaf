"""What files are verified on: the bundle's own validation split and golden vectors. Never the test split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgekd import recipe as recipes
from edgekd.artefacts import graphs
from edgekd.bundle import Bundle
from edgekd.data.chosen import split_of, with_data
from edgekd.data.dataset import groups_of, listing_hash
from edgekd.data.pixels import Pixels
from edgekd.errors import EdgekdError
from edgekd.quantization import representative
from edgekd.quantization.graph import Array
from edgekd.recipe import Recipe

ORIGINAL = "--data PATH of the images that the bundle was made from"
CHECKED = 16  # images on which the float student is run again
LARGEST_CHANGE = 0.25  # of its logits, as a share of their spread: far above another decoder's or processor's rounding


@dataclass(frozen=True)
class Validation:
    """Pixels [N, S, S, 3] uint8, labels [N], names [N] of the validation split, and the float student's logits [N, K].

    `groups` [N] are its patients, say, where the source knows them.
    """

    pixels: Array
    labels: Array
    names: tuple[str, ...]
    float_logits: Array
    groups: tuple[str, ...] | None = None


def golden(bundle: Bundle) -> dict[str, Array]:
    """The golden vectors: `pixels` [G, S, S, 3] uint8 and the float student's `logits` [G, K].

    Raises: EdgekdError if the file holds something else.
    """
    m = bundle.manifest
    pixels = (m.input.size, m.input.size, 3)
    return arrays(bundle, "golden/vectors.safetensors", pixels=pixels, logits=(len(m.label_names),))


def load(bundle: Bundle, data: str = "") -> Validation:
    """The bundle's validation split; `data` says where its images are now, if not where the recipe says.

    Raises: EdgekdError if the images are not there, or are not those that the bundle was validated on, or if the float
    student cannot be run to find that out.
    """
    answer = graphs.float_network(bundle)
    pixels = pixels_of(bundle, data, "val")
    stored = arrays(bundle, "evaluation/val.safetensors", labels=(), logits=(len(bundle.manifest.label_names),))
    samples = pixels.dataset.samples
    labels = np.array([s.label for s in samples])
    if not np.array_equal(labels, stored["labels"]):
        raise EdgekdError(f"validation split of {bundle.folder}", "the labels it was validated with", "others")
    _check_answers(bundle, answer, pixels.array, stored["logits"])
    names = tuple(s.name for s in samples)
    return Validation(pixels.array, labels, names, stored["logits"], groups_of(samples))


def arrays(bundle: Bundle, name: str, **shapes: tuple[int, ...]) -> dict[str, Array]:
    """The arrays of one of the bundle's safetensors files, all finite and [N, *shape] with one N.

    Raises: EdgekdError if the file holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = bundle.file(name)
    try:
        found = load_file(path)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as e:
        raise EdgekdError(str(path), "a safetensors file", f"{type(e).__name__}: {e}") from None
    count = next((len(array) for array in found.values() if array.ndim), 0)
    for key, shape in shapes.items():
        array = found.get(key)
        if array is None or not count or array.shape != (count, *shape) or not np.isfinite(array).all():
            expected = ", ".join(["N", *map(str, shape)])
            raise EdgekdError(str(path), f"{key} [{expected}], finite, as many as of the rest", "something else")
    return found


def _check_answers(bundle: Bundle, answer: Callable[[Array], Array], pixels: Array, expected: Array) -> None:
    """Pictures can change under the same names: the float student has to answer on some of them as it did."""
    rows = np.unique(np.linspace(0, len(pixels) - 1, CHECKED).astype(int))
    found = answer(pixels[rows])
    change = np.abs(found - expected[rows]).mean(1) / max(float((expected - expected.mean(0)).std()), 1e-9)
    if not change.max() <= LARGEST_CHANGE:
        where = f"validation split of {bundle.folder}"
        raise EdgekdError(
            where, "the images that the bundle was validated on", "the student answers otherwise", ORIGINAL
        )


def representative_pixels(bundle: Bundle, data: str = "") -> Array:
    """Pixels [N, S, S, 3] uint8 of the representative set: training images, the same share of every class.

    Raises: EdgekdError if the images are not there, or are not those that the bundle was trained on.
    """
    recipe, pixels = recipe_of(bundle, data), pixels_of(bundle, data, "train")
    labels = np.array([s.label for s in pixels.dataset.samples])
    chosen = representative.choose(labels, np.arange(len(labels)), recipe.qat.representative_images, recipe.seed)
    return pixels.array[chosen]


def recipe_of(bundle: Bundle, data: str = "") -> Recipe:
    """The recipe of a bundle; `data` says where its images are now."""
    recipe = recipes.recorded(bundle.manifest.recipe, str(bundle.folder))
    return with_data(recipe, data) if data else recipe


def pixels_of(bundle: Bundle, data: str, split: str) -> Pixels:
    """One split of the bundle's own images, decoded.

    Raises: EdgekdError if they are not there, or are not those that the bundle knows.
    """
    recipe = recipe_of(bundle, data)
    dataset = split_of(bundle, recipe, split)
    pixels = Pixels.of(dataset, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
    if listing_hash(pixels.dataset.samples) != bundle.manifest.split_hashes.get(split):
        where = f"split {split!r} for {bundle.folder}"
        raise EdgekdError(where, "the images that the bundle knows", "others", ORIGINAL)
    return pixels
