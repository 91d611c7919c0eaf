"""Generated brain-MRI-like slices with four classes: data for demos and tests that need no download."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from pydantic import Field

from edgekd.data import phantom as generator
from edgekd.data.dataset import Dataset, Sample
from edgekd.recipe import Section

ALIGNED = 4 * generator.SLICES_PER_PATIENT  # slices after which a new patient begins for every label


class Options(Section):
    """How many slices of which size (px); `seed` makes another set."""

    train: int = Field(2000, ge=8)
    test: int = Field(800, ge=4)
    size: int = Field(128, ge=32, le=1024)
    seed: int = Field(0, ge=0)


def reads(path: Path) -> bool:
    """Never: phantoms are asked for by name, not found in a folder."""
    del path
    return False


def read(path: str, options: Options) -> Dataset:
    """The generated set; val is cut from train, by patient, like that of any other source.

    Test slices begin at the next index that is a multiple of 8, so that no patient is on both sides.
    """
    del path
    parameters = f"{options.seed} {options.size}"
    samples = []
    first_test = -(-options.train // ALIGNED) * ALIGNED
    for index in (*range(options.train), *range(first_test, first_test + options.test)):
        label = index % len(generator.LABEL_NAMES)
        name = f"{generator.LABEL_NAMES[label]}/{index:05d}"
        split = "train" if index < options.train else "test"
        samples.append(Sample(name, label, split, f"patient {generator.patient(index)}", parameters))

    def open_image(sample: Sample) -> Image.Image:
        index = int(sample.name.rpartition("/")[2])
        return Image.fromarray(generator.phantom(options.seed, index, options.size).image).convert("RGB")

    return Dataset(generator.LABEL_NAMES, tuple(samples), open_image)
