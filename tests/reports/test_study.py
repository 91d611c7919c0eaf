"""A study on the screen and on its page: nothing is cut, everything is escaped, the page needs no network."""

import base64
import io
import re
import runpy
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from edgekd.reports import study, study_page
from edgekd.reports.study_progress import Step, StudyProgress, duration, seconds_left
from edgekd.studies.comparison import compare
from edgekd.studies.table import with_table

NASTY = "kd [bold]<b>|"
by_hand = runpy.run_path(str(Path(__file__).parents[1] / "studies" / "conftest.py"))["by_hand"]


@pytest.fixture
def result(by_hand):
    right = {
        "control": {0: [0] * 12, 1: [1] + [0] * 11},
        NASTY: {0: [1] * 10 + [0, 0], 1: [1] * 11 + [0]},
        "lost": {0: [None] * 12, 1: [None] * 12},
    }
    return with_table(by_hand(right, [i // 1 for i in range(12)]))


def shown(result):
    console = Console(width=400, file=io.StringIO())
    study.show(result, console)
    return console.file.getvalue()


def test_the_screen_says_who_is_better_and_what_is_missing(result):
    text = shown(result)
    for part in (NASTY, "+83.33 [", "< 0.001", f"better than control at 5 %: {NASTY}", "0/2", "2/2", "12 groups"):
        assert part in text
    assert "lost (fold 0 seed 0, fold 0 seed 1): it fell" in text
    assert "for 1 variants" not in text


def test_variants_with_other_images_are_compared_by_gains_alone(result, by_hand):
    partly = {"control": {0: [0, 1] * 6, 1: [1, 0] * 6}, "kd": {0: [1] * 12, 1: [None] * 12}}
    said = "only gains compare variants"
    assert said in shown(with_table(by_hand(partly, list(range(12)))))
    assert said not in shown(result)  # what has no answer at all has no accuracy either


def test_the_page_is_one_file_without_scripts_or_addresses(result, tmp_path):
    study_page.write(result, tmp_path)
    page = (tmp_path / study_page.NAME).read_text(encoding="utf-8")
    assert "kd [bold]&lt;b&gt;|" in page
    assert "<b>|" not in page
    assert not re.search(r"<script|https?://", page)
    inside = base64.b64decode(re.search(r'src="data:image/png;base64,([^"]+)"', page)[1])
    assert inside == (tmp_path / study_page.FOREST).read_bytes() == study_page.forest(result)
    assert Image.open(io.BytesIO(inside)).size[0] > 800
    rows = [
        line for line in (tmp_path / study_page.TABLE).read_text(encoding="utf-8").splitlines() if line.startswith("|")
    ]
    assert len({len(re.split(r"(?<!\\)\|", row)) for row in rows}) == 1
    assert len(rows) == 2 + 3


def test_a_study_without_a_finished_run_has_a_page_too(by_hand, tmp_path):
    made = with_table(by_hand({"kd": {0: [None] * 4}}, [0, 1, 2, 3]))
    study_page.write(made, tmp_path)
    assert "it fell" in (tmp_path / study_page.NAME).read_text(encoding="utf-8")
    assert "kd" in shown(made)


def test_a_comparison_names_what_only_one_has(result, by_hand):
    console = Console(width=200, file=io.StringIO())
    other = by_hand({"control": {0: [1] * 12, 1: [1] * 12}}, list(range(12)), name="other")
    study.show_comparison(compare(result, other), ("hand", "other"), console)
    text = console.file.getvalue()
    assert "other against hand: 12 images of 12 groups and 2 seeds in common" in text
    assert f"only before: {NASTY}, lost" in text
    assert "4.17" in text
    assert "100.00" in text


def test_time_left_is_that_of_epochs_of_their_kind():
    steps = [
        Step("t", "teacher", 4, is_done=True, seconds=40.0),  # 10 s for an epoch
        Step("a", "kd", 10, seconds=6.0, epochs_done=3),  # 2 s
        Step("b", "kd", 10),
        Step("u", "teacher", 4),
        Step("c", "other", 7),  # unmeasured: the mean of all, 46 s for 7 epochs
    ]
    assert seconds_left(steps) == pytest.approx(7 * 2 + 10 * 2 + 4 * 10 + 7 * 46 / 7)
    assert seconds_left(steps[2:]) is None
    assert [duration(s) for s in (42, 700, 12000)] == ["42 s", "12 min", "3 h 20 min"]


def test_progress_counts_trainings_and_tells_of_failures():
    console = Console(width=200, file=io.StringIO())
    with StudyProgress([Step("a [x]", "kd", 2), Step("b", "kd", 2)], console) as progress:
        with progress.step("a [x]"), progress.shown(console, "student", 2) as screen:
            screen.epoch([{"seconds": 3.0}])
            screen.epoch([{"seconds": 3.0}, {"seconds": 6.0}])
        with pytest.raises(ValueError, match="no"), progress.step("b"):
            raise ValueError("no")
        progress.failed("b", "no [good]")
    assert console.file.getvalue().splitlines() == ["a [x]: 6 s (1 of 2 trainings, 6 s left)", "failed: b: no [good]"]
