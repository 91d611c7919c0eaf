"""The images of the app's tests: the table of what they decode to is what Python's reference makes of them now."""

import hashlib
from pathlib import Path

import pytest

from edgekd.errors import CorruptImage
from edgekd.preprocess import decode

FOLDER = Path(__file__).parents[2] / "android_demo/app/src/test/resources"
TABLE = dict(line.split(" ", 1) for line in (FOLDER / "images.txt").read_text(encoding="utf-8").splitlines())
FILES = sorted(path.name for path in (FOLDER / "images").iterdir())


def test_every_row_has_a_file():
    assert len(TABLE) > 50
    assert set(TABLE) < set(FILES)


@pytest.mark.parametrize("name", FILES)
def test_decodes_as_the_table_says(name):
    content = (FOLDER / "images" / name).read_bytes()
    if name not in TABLE:
        with pytest.raises(CorruptImage):
            decode(content, name)
        return
    image = decode(content, name)
    assert TABLE[name] == f"{image.width} {image.height} {hashlib.sha256(image.tobytes()).hexdigest()}"
