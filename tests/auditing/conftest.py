"""Small sets of phantoms, and copies of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from edgekd.auditing import judging, listing, matching, reading
from edgekd.data.phantom import phantom
from edgekd.recipe import AuditRecipe


@pytest.fixture(scope="session")
def planting() -> ModuleType:
    """benchmarks/planting.py: one function per kind of copy."""
    path = Path(__file__).parents[2] / "benchmarks" / "planting.py"
    spec = importlib.util.spec_from_file_location("planting", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def slices() -> list[Image.Image]:
    """64 phantoms of 128 px; two neighbours each are slices of one patient, and all lie in much the same pose."""
    return [Image.fromarray(phantom(3, index).image) for index in range(64)]


@pytest.fixture
def save(tmp_path):
    """Write images below tmp_path: {name: image}; gives the folder."""

    def write(images):
        for name, image in images.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            image.save(tmp_path / name)
        return tmp_path

    return write


@pytest.fixture
def examine():
    """Audit a folder or listing: the report and the text of split.csv."""

    def run(found, **settings):
        if not isinstance(found, listing.Listing):
            found = listing.of_folder(found)
        matches = matching.match(reading.read(found), AuditRecipe(**settings))
        return judging.judge(found, matches, "a set", "split.csv", {})

    return run
