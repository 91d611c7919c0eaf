"""The images that a recipe or a bundle is used on: where they are, which split, with which labels."""

from __future__ import annotations

from dataclasses import replace

from edgekd.bundle import Bundle
from edgekd.data import sources, splitting
from edgekd.data.dataset import Dataset
from edgekd.errors import EdgekdError, nearest
from edgekd.recipe import Recipe


def choose(recipe: Recipe, bundle: Bundle, split: str | None, own_data: bool) -> Dataset:
    """The labelled images to evaluate on, with the bundle's labels.

    The default is the test split: as the source gives it, or (on the bundle's own data) as the recipe cut it; a set that
    is neither is evaluated whole.
    Raises: EdgekdError for a class that the bundle does not know, or an empty split.
    """
    dataset = sources.read(recipe.data).labelled()
    if split is None:
        split = "test" if own_data or dataset.split("test") else "all"
    is_given = split == "all" or bool(dataset.split(split))
    # The test images of a source stay as it gives them; train and val are as the run cut them.
    if own_data and split != "all" and (recipe.data.folds or split != "test" or not is_given):
        return split_of(bundle, recipe, split)
    if not is_given:
        d = recipe.data
        dataset = splitting.complete(dataset, d.validation_fraction, d.test_fraction, recipe.dealing_seed)
    dataset = relabel(dataset, bundle.manifest.label_names, str(bundle.folder))
    samples = dataset.samples if split == "all" else dataset.split(split)
    if not samples:
        raise EdgekdError(
            f"split {split!r} of {recipe.data.path or recipe.data.source}", "images", "none", "--split all"
        )
    return dataset.with_samples(samples)


def relabel(dataset: Dataset, label_names: tuple[str, ...], where: str) -> Dataset:
    """The same images, all labelled, with labels that index the bundle's `label_names`, matched by name."""
    for name in dataset.label_names:
        if name not in label_names:
            raise EdgekdError(f"class {name!r} of the data", f"a class of {where}", todo=nearest(name, label_names))
    index = [label_names.index(name) for name in dataset.label_names]
    samples = tuple(replace(s, label=index[s.label]) for s in dataset.samples)
    return replace(dataset, label_names=label_names, samples=samples)


def with_data(recipe: Recipe, path: str) -> Recipe:
    """The recipe on other images; the source is detected, and of its options those stay that hold for them too."""
    return recipe.model_copy(update={"data": sources.moved(recipe.data, path)})


def split_of(bundle: Bundle, recipe: Recipe, split: str) -> Dataset:
    """The labelled images of one split of the recipe's, cut as the run that made the bundle cut it.

    Raises: EdgekdError for a class that the bundle does not know, or an empty split.
    """
    whole = splitting.of(sources.read(recipe.data), recipe)
    dataset = relabel(whole.labelled(), bundle.manifest.label_names, str(bundle.folder))
    if not dataset.split(split):
        raise EdgekdError(f"split {split!r} of {recipe.data.path or recipe.data.source}", "images", "none")
    return dataset.with_samples(dataset.split(split))
