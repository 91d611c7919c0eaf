"""report.html: one file without network or scripts, hostile names as text, emulated devices without time; also rendered."""

import html.parser
import re
from pathlib import Path

import numpy as np
import pytest

from edgekd.benchmarking.schema import FLIPPED
from edgekd.benchmarking.verdict import headline
from edgekd.bundle import ConformalRecord
from edgekd.measures import selective
from edgekd.reports.benchmark_figures import MAX_CLASSES
from edgekd.reports.benchmark_page import MAX_FLIPPED, data_url, group, write_page

HOSTILE = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }} & 'quoted'", "W" * 300)


class Tags(html.parser.HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.values, self.text = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.values += [(key, value or "") for key, value in attrs]

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture(scope="module")
def usual(hand_made, tmp_path_factory):
    return write_page(*_saved(hand_made, hand_made.usual(), tmp_path_factory.mktemp("usual")))


@pytest.fixture(scope="module")
def hostile(hand_made, tmp_path_factory):
    report = hand_made.usual(HOSTILE)
    rows = tuple(_hostile(row) for row in report.rows)
    report = report.model_copy(update={"rows": rows, "command": "python <script> --name '</pre>'"})
    return write_page(report, tmp_path_factory.mktemp("hostile"))


def _hostile(row):
    flips = tuple(f.model_copy(update={"name": f"<b>{f.name}"}) for f in row.numerics.drift.flips)
    row = with_numerics(row, drift=row.numerics.drift.model_copy(update={"flips": flips}))
    return row.model_copy(update={"warnings": ("<script>w</script>",)})


def with_numerics(row, **values):
    return row.model_copy(update={"numerics": row.numerics.model_copy(update=values)})


def _saved(hand_made, report, folder):
    hand_made.save(report, folder)
    return report, folder


def test_a_phones_battery_and_memory_are_shown_where_it_tells_them(hand_made, usual, tmp_path):
    before = hand_made.d.Conditions(battery_percent=81.0, charging=False, throttled=True, throttling="moderate")
    measured = hand_made.hardware()
    memory = measured.memory.model_copy(update={"pss_before_mib": 20.5, "pss_after_mib": 31.25})
    measured = measured.model_copy(update={"before": (before,) * 3, "memory": memory})
    report = hand_made.report([hand_made.row("local", "tflite-int8", measured)])
    page = _text(write_page(report, tmp_path))
    for words in ("throttled moderate, battery 81 %, not charging", "PSS MiB", "20.5 → 31.2"):
        assert words in page
    assert "PSS" not in _text(usual)
    assert "battery" not in _text(usual)


def _text(page):
    return page.read_text(encoding="utf-8")


def test_the_headline_figures_and_facts_are_there(usual, hand_made):
    page = _text(usual)
    assert headline(hand_made.usual()) in page
    for words in (
        "Accuracy over latency",
        "Accuracy over size",
        "Latency, raw samples",
        "Speed in a long run",
        "in 120 s without a pause: 76 % of its first speed; 55.0 to 66.0 °C",
        "At a camera's rate",
        "Recall of each class",
        "Reliability",
        "Flipped images: 4",
        "How to reproduce",
        "python -m edgekd.benchmark runs/default --device local,a76",
        hand_made.SHA,
        "AMD EPYC 9B14",
        "LiteRT 2.1.0 (XNNPACK)",
        "the clock is governed by",
        "no module named",
    ):
        assert words in page


def test_nothing_is_fetched(usual):
    tags = Tags(_text(usual))
    sources = [value for key, value in tags.values if key in ("src", "href", "action")]
    assert sources
    assert all(value.startswith("data:image/png;base64,") for value in sources)
    assert not re.search(r"https?:|url\(|@import|<script", _text(usual))
    assert "default-src 'none'" in _text(usual)


def test_every_figure_has_a_text_alternative_and_its_provenance(usual):
    page = _text(usual)
    tags = Tags(page)
    assert all(attrs.get("role") == "img" and attrs.get("aria-label") for tag, attrs in tags.tags if tag == "svg")
    assert all(attrs.get("alt") for tag, attrs in tags.tags if tag == "img")
    figures = re.findall(r"<figure.*?</figure>", page, re.DOTALL)
    assert len(figures) > 8
    unmarked = [f for f in figures if "hardware</span>" not in f and "emulated</span>" not in f]
    assert len(unmarked) == 1  # the reference, which no device computed
    assert "the float student" in unmarked[0]


def test_hostile_names_are_only_text(hostile):
    tags = Tags(_text(hostile))
    names = {tag for tag, _ in tags.tags}
    assert not {"script", "b>"} & names
    assert not [key for key, _ in tags.values if key.startswith("on")]
    assert any(HOSTILE[0] in text for text in tags.text)
    assert any(HOSTILE[2] in text for text in tags.text)
    assert any("<b>image/" in text for text in tags.text)
    assert not [attrs for tag, attrs in tags.tags if tag == "img"]
    assert "no image" in _text(hostile)


def test_an_emulated_device_has_no_cell_for_time_or_memory(hand_made, tmp_path):
    h = hand_made
    rows = [h.row("a76", f, h.emulated(5)) for f in ("tflite", "tflite-int8")]
    page = _text(write_page(h.report(rows, {"a76": h.a76()}), tmp_path))
    tables = " ".join(re.findall(r"<table.*?</table>", page, re.DOTALL))
    assert not re.search(r"median ms|p90|p99|RAM|peak|inference|\d ms", tables)
    assert "Latency" not in page
    assert "sdot 5" in tables
    assert "emulated</span>" in page


def test_sets_of_classes_have_columns_where_a_row_has_some(hand_made, usual, tmp_path):
    assert "classes in a set" not in usual.read_text()
    probs, labels = np.array([[0.7, 0.3], [0.6, 0.4], [0.95, 0.05]]), np.array([0, 1, 0])
    record = ConformalRecord(alpha=0.1, quantile=0.6, drawn=9, by_group=True)
    sets = selective.score(probs, labels, ("a", "b"), record)
    report = hand_made.usual()
    first, *rest = report.rows
    changed = with_numerics(first, evaluation=first.numerics.evaluation.model_copy(update={"sets": sets}))
    text = write_page(report.model_copy(update={"rows": (changed, *rest)}), tmp_path).read_text()
    assert "right class in set" in text
    assert "<td>100.0 % [29.2, 100.0]</td><td>1.33</td>" in text  # three of three: from 0.025^(1/3)


def test_equal_answers_stand_once_whatever_the_threads_and_devices(hand_made):
    h = hand_made
    rows = [h.row("local", "tflite-int8", h.hardware(), h.answers(1), threads) for threads in (1, 2)]
    rows += [h.row("a76", "tflite-int8", h.emulated(), h.answers(1)), h.row("pi5", "tflite-int8", h.hardware())]
    first, second = group(h.report(rows, h.devices(a76=h.a76(), pi5=h.devices()["local"])))
    assert first.devices == (("local", "hardware"), ("a76", "emulated"))
    assert second.devices == (("pi5", "hardware"),)


@pytest.mark.parametrize("case", ["nothing", "no reference", "no images", "broken images", "one thread", "failed"])
def test_less_than_usual_is_a_page_too(hand_made, tmp_path, case):
    h = hand_made
    row = h.row("local", "tflite", h.hardware(), h.answers(2))
    report = h.report([row])
    if case == "nothing":
        report = h.report([], {"a76": h.a76(), "pi5": h.devices()["local"].model_copy(update={"failure": "no link"})})
    if case == "no reference":
        report = h.report([with_numerics(row, drift=None)], reference=False)
    if case == "broken images":
        (tmp_path / FLIPPED).write_bytes(b"\xff" * 100)
    if case == "failed":
        report = h.report([row], h.devices(pixel=h.usual().devices["pixel"]))
    page = _text(write_page(report, tmp_path))
    assert "How to reproduce" in page
    assert ("no image" in page) == (case not in ("nothing", "no reference"))


def test_many_flips_are_cut_and_counted(hand_made, tmp_path):
    h = hand_made
    page = _text(write_page(h.report([h.row("local", "tflite-int8", h.hardware(), h.answers(50))]), tmp_path))
    assert "Flipped images: 50" in page
    assert page.count('<article class="card flip">') == MAX_FLIPPED
    assert f"{MAX_FLIPPED} are shown" in page


def test_hundreds_of_classes_do_not_make_a_picture_of_hundreds_of_rows(hand_made, tmp_path):
    h = hand_made
    names = tuple(f"class {k}" for k in range(100))
    row = h.row("local", "tflite-int8", h.hardware(), h.answers(3))
    e, drift = row.numerics.evaluation, row.numerics.drift
    classes = tuple(e.classes[k % 4].model_copy(update={"label_name": name}) for k, name in enumerate(names))
    recall = {name: float(-k % 7) for k, name in enumerate(names)}
    drift = drift.model_copy(update={"recall_change_pp": recall})
    row = with_numerics(row, evaluation=e.model_copy(update={"classes": classes}), drift=drift)
    report = h.report([row])
    bundle = report.bundle.model_copy(update={"label_names": names})
    page = _text(write_page(report.model_copy(update={"bundle": bundle}), tmp_path))
    assert len(re.findall(r">class \d+</text>", page)) == MAX_CLASSES


@pytest.mark.parametrize(
    "pixels", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_image_is_left_out(pixels, tmp_path):
    assert data_url(pixels) == ""


def test_grey_images_are_stored_as_grey(tmp_path):
    grey = np.repeat(np.random.default_rng(0).integers(0, 255, (64, 64, 1), np.uint8), 3, 2)
    assert len(data_url(grey)) < 0.5 * len(data_url(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)))


WIDTHS = (390, 1280)
NOT_DESCRIBED = "[...document.querySelectorAll('svg')].filter(e => !e.getAttribute('aria-label')).length"
NOT_ALT = "[...document.images].filter(e => !e.alt || !e.naturalWidth).length"
CUT = """[...document.querySelectorAll('svg text')].filter(e => {const b = e.getBoundingClientRect(),
 s = e.ownerSVGElement.getBoundingClientRect(); return b.left < s.left - 2 || b.right > s.right + 2 || b.bottom > s.bottom + 2})
 .map(e => e.textContent)"""
TINY = "Math.min(...[...document.querySelectorAll('svg text')].map(e => e.getBoundingClientRect().height))"


@pytest.mark.parametrize("which", ["usual", "hostile"])
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_rendered(browser, request, tmp_path_factory, which, width, scheme):
    page: Path = request.getfixturevalue(which)
    browser.open(page, width, scheme)
    assert browser.complaints() == []
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    assert browser.evaluate(NOT_DESCRIBED) == 0
    assert browser.evaluate(NOT_ALT) == 0
    assert browser.evaluate(CUT) == []
    assert browser.evaluate(TINY) >= 9
    ground = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (int(re.search(r"\d+", ground)[0]) < 128) == (scheme == "dark")
    picture = tmp_path_factory.getbasetemp() / f"benchmark-{which}-{width}-{scheme}.png"
    browser.screenshot(picture)
    assert picture.stat().st_size > 50_000


def test_complaints_are_noticed(browser, tmp_path):
    """The tests above would see an error, a fetch, or a blocked script."""
    page = tmp_path / "bad.html"
    page.write_text("<!doctype html><script>console.error('x'); throw 1</script><img src='gone.png' alt='x'>")
    browser.open(page, 390)
    assert len(browser.complaints()) >= 3
