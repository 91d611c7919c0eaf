"""audit.html: one file without network or scripts, in which hostile names are only text."""

import html.parser
import re

import pytest
from PIL import ImageOps

from edgekd.auditing import listing, page
from edgekd.data import sources
from edgekd.recipe import DataRecipe

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


@pytest.mark.parametrize(
    ("counts", "places", "expected"),
    [
        ([2110, 908, 3], 40, [19, 18, 3]),
        ([5, 5], 40, [5, 5]),
        ([9, 9, 9], 2, [1, 1, 0]),
        ([1, 0, 50], 4, [1, 0, 3]),
        ([7], 0, [0]),
        ([], 4, []),
    ],
)
def test_places_are_dealt_evenly(counts, places, expected):
    assert page.deal(counts, places) == expected


def test_every_kind_of_copy_gets_its_share_of_the_page(save, slices, examine, tmp_path):
    """Ten mirrored copies, which are the most alike, do not crowd out two that are turned and one that is exact."""
    images = {f"train/a/{i}.png": slices[4 * i] for i in range(13)}
    images |= {f"test/a/m{i}.png": ImageOps.mirror(slices[4 * i]) for i in range(10)}
    images |= {f"test/a/t{i}.png": slices[4 * i].rotate(180) for i in (10, 11)}
    found = listing.of_folder(save(images | {"test/a/e.png": slices[48]}))
    audit, _ = examine(found, shown=6)
    page.write(audit, found, tmp_path / "out")
    text = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    copies = text[text.index("Copies in two splits: 13") : text.index("Nearest to the line")]
    heads = dict(re.findall(r"<h3>(.*?): (.*?)</h3>", copies))
    assert heads == {
        "exact": "1",
        "mirrored": "10 (3 shown, all are in audit.json)",
        "rotated 180": "2",
    }
    assert copies.count("<article") == 6


def test_the_pairs_nearest_to_the_line_stay_in_order_whatever_their_kind(save, slices, examine, planting):
    images = {f"a/{i}.png": slices[4 * i] for i in range(6)}
    images |= {f"b/{i}.png": ImageOps.mirror(slices[4 * i]) if i % 2 else slices[4 * i].rotate(180) for i in range(6)}
    audit, _ = examine(save(images), similar=0.5)
    assert len({pair.kind for pair in audit.line}) > 1
    assert page.selection(audit.line, 40, by_kind=False) == [("all", len(audit.line), list(audit.line))]


def test_it_is_said_that_patients_are_unknown_and_what_became_of_the_estimate(parsed):
    assert "The set names no groups, so whether a patient lies in two splits is unknown" in parsed
    assert "An estimated group is no patient." in parsed


def test_groups_in_two_splits_come_first(save, slices, tmp_path, examine):
    folder = save({f"{i}.png": slices[8 * i] for i in range(4)})
    rows = ["0.png,a,<b>p,train", "1.png,a,<b>p,train", "2.png,a,<b>p,test", "3.png,a,q,test"]
    (folder / "list.csv").write_text("\n".join(["path,label,group,split", *rows]))
    found = listing.of_dataset(sources.read(DataRecipe(source="csv", path=str(folder / "list.csv"))), str(folder))
    audit, _ = examine(found)
    page.write(audit, found, tmp_path / "out")
    text = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert "1 of 2 groups lie in more than one split; 1 of 2 test images are of groups that train holds too." in text
    assert text.index("Groups in two splits") < text.index(">Classes<")
    assert "&lt;b&gt;p" in text


def test_a_file_that_went_away_meanwhile_is_said(parsed):
    assert '<div class="gone">gone</div>' in parsed
