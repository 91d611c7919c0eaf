"""The groups that most wrong answers are of, on answers written by hand."""

import math

import pytest

from edgekd.reports import study as report
from edgekd.reports import study_page
from edgekd.reports.screen import console
from edgekd.studies.hardest import hardest
from edgekd.studies.table import with_table

# Groups 0: two images right, one wrong. 1: both wrong with both seeds. 2: one wrong of two answers. 3: right. 4: no answer.
RIGHT = {
    "control": {0: [1, 1, 0, 0, 0, 0, 1, None], 1: [1, 1, 1, 0, 0, None, 1, None]},
    "kd": {0: [1, 1, 0, 0, 0, 1, 1, None], 1: [1, 1, 1, 0, 0, None, None, None]},
}
GROUPS, LABELS = [0, 0, 0, 1, 1, 2, 3, 4], [0, 0, 0, 1, 1, 0, 1, 1]


def test_groups_are_ranked_by_wrong_answers(by_hand):
    result = by_hand(RIGHT, GROUPS, LABELS)
    first, third, second = hardest(result, 10)
    assert (first.example, first.images, first.label, first.called) == ("i3", 2, 1, 0)
    assert (first.answers, first.wrong, first.share) == (8, 8, pytest.approx(2 / 3))
    assert (second.example, second.images, second.answers, second.wrong) == ("i0", 3, 12, 2)
    assert (third.example, third.images, third.answers, third.wrong) == ("i5", 1, 2, 1)
    sure = 1 / (1 + math.exp(-2))  # the logits are 2 and 0
    assert first.confidence == pytest.approx(1 - sure)
    assert second.confidence == pytest.approx((10 * sure + 2 * (1 - sure)) / 12)
    assert third.confidence == pytest.approx(0.5)
    assert second.share == pytest.approx(third.share) == pytest.approx(1 / 6)  # half an image of three
    assert hardest(result, 1) == [first]


def test_two_labels_in_a_group_are_two_and_without_groups_each_image_is_one(by_hand):
    right = {"control": {0: [0, 0, 1]}}
    assert [(h.label, h.images) for h in hardest(by_hand(right, [0, 0, 0], [0, 1, 1]), 9)] == [(0, 1), (1, 2)]
    assert [h.example for h in hardest(by_hand(right, [None] * 3, [0, 1, 1]), 9)] == ["i0", "i1"]
    assert hardest(by_hand({"control": {0: [1, 1]}}, [0, 1]), 9) == []
    assert hardest(by_hand({"control": {0: [None, None]}}, [0, 1]), 9) == []


def test_they_stand_on_the_screen_and_on_the_page(by_hand, tmp_path, capsys):
    result = with_table(by_hand(RIGHT, GROUPS, LABELS))
    report.show(result, console())
    told = (
        "look at: i3 and 1 more of its group, labelled 'b', called 'a': 8 of 8 answers are wrong (66.7 % of all wrong)"
    )
    assert told in capsys.readouterr().out
    study_page.write(result, tmp_path)
    page = (tmp_path / study_page.NAME).read_text()
    assert "What to look at" in page
    assert "<td><bdi>i3</bdi></td><td><bdi>2</bdi></td><td><bdi>b</bdi></td>" in page
    assert "look at" not in (tmp_path / study_page.TABLE).read_text()
