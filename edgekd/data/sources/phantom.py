"""Generated brain-MRI-like slices with four classes: data for demos and tests that need no download."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from pydantic import Field

from edgekd.data import phantom as generator
from edgekd.data.dataset import Dataset, Sample
from edgekd.section import Section

PACKAGES = ("scipy",)
ALIGNED = 4 * generator.SLICES_PER_PATIENT  # slices after which a new patient begins for every label


class Options(Section):
    """How many slices of which size (px); `val` 0 leaves it to be cut from train; `seed` makes another set."""

    train: int = Field(1700, ge=8)
    val: int = Field(800, ge=0)  # enough to tell a fall of 1 pp from chance
    test: int = Field(800, ge=4)
    size: int = Field(128, ge=32, le=1024)
    seed: int = Field(0, ge=0)


def reads(path: Path) -> bool:
    """Never: phantoms are asked for by name, not found in a folder."""
    del path
    return False


def read(path: str, options: Options) -> Dataset:
    """The generated set.

    Each split begins at the next index that is a multiple of 8, so that no patient is in two splits.
    """
    del path
    parameters = f"{options.seed} {options.size}"
    samples: list[Sample] = []
    begin = 0
    for split, count in (("train", options.train), ("val", options.val), ("test", options.test)):
        for index in range(begin, begin + count):
            label = index % len(generator.LABEL_NAMES)
            name = f"{generator.LABEL_NAMES[label]}/{index:05d}"
            samples.append(Sample(name, label, split, f"patient {generator.patient(index)}", parameters))
        begin = -(-(begin + count) // ALIGNED) * ALIGNED

    def draw(sample: Sample) -> generator.Phantom:
        return generator.phantom(options.seed, int(sample.name.rpartition("/")[2]), options.size)

    return Dataset(
        generator.LABEL_NAMES,
        tuple(samples),
        open_image=lambda sample: Image.fromarray(draw(sample).image).convert("RGB"),
        open_mask=lambda sample: Image.fromarray(draw(sample).mask),
    )
