"""audit.html: one file without network or scripts, in which hostile names are only text."""

import html.parser
import re

import pytest
from PIL import ImageOps

from edgekd.auditing import listing, page

HOSTILE = "<img src=x onerror=alert(1)>&amp;'.png"


class Tags(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.values, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [(key, value or "") for key, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def parsed(save, slices, examine, tmp_path):
    folder = save(
        {
            f"train/<script>a/{HOSTILE}": slices[0],
            f"test/<script>a/{HOSTILE}": ImageOps.mirror(slices[0]),
            "train/b/gone.png": slices[4],
            "test/b/gone.png": slices[4],
        }
    )
    (folder / "train" / "b" / "<b>.png").write_bytes(b"")
    found = listing.of_folder(folder)
    audit, _ = examine(found)
    (folder / "test" / "b" / "gone.png").unlink()
    page.write(audit, found, tmp_path / "out")
    return (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")


@pytest.fixture
def tags(parsed):
    found = Tags()
    found.feed(parsed)
    return found


def test_hostile_names_are_text(tags):
    assert not {"script", "b>"} & set(tags.tags)
    assert not [key for key, _ in tags.values if key.startswith("on")]
    assert any(HOSTILE in text for text in tags.text)


def test_nothing_is_fetched(parsed, tags):
    sources = [value for key, value in tags.values if key in ("src", "href", "action")]
    assert sources
    assert all(value.startswith("data:image/jpeg;base64,") for value in sources)
    assert not re.search(r"https?:|url\(|@import", parsed)
    assert "default-src 'none'" in parsed


def test_a_pair_is_shown_as_it_is_and_turned(parsed):
    assert "b, mirrored left-right" in parsed
    assert "50.0 %" in parsed or "100.0 %" in parsed
    assert "Copies in two splits: 2" in parsed


def test_a_file_that_went_away_meanwhile_is_said(parsed):
    assert '<div class="gone">gone</div>' in parsed
