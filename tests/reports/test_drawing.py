"""Figures as SVG: scales, ticks, labels that do not lie on each other, text that stays text."""

from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.reports.drawing import Drawing, Scale, place, shorten


@settings(deadline=None)
@given(st.floats(1e-3, 1e3), st.floats(1.01, 1e4), st.booleans(), st.integers(2, 9))
def test_ticks_lie_inside_and_are_few(low, factor, is_log, count):
    scale = Scale(low, low * factor, 0, 100, is_log)
    ticks = scale.ticks(count)
    assert ticks == sorted(ticks)
    assert 1 <= len(ticks) <= 2 * count + 2
    assert all(low * 0.999 <= tick <= low * factor * 1.001 for tick in ticks)


def test_a_scale_maps_ends_and_middle_and_keeps_what_lies_outside_at_the_edge():
    assert [Scale(0, 10, 40, 240)(v) for v in (0, 5, 10, -3, 99)] == [40, 140, 240, 40, 240]
    assert Scale(1, 100, 0, 2, is_log=True)(10) == pytest.approx(1)
    assert Scale(3, 3, 0, 10)(3) == 5


def test_text_is_text_and_the_alternative_is_there():
    drawing = Drawing(10, 10, 'a "<b>" & c')
    drawing.text(0, 0, "<script>alert(1)</script>")
    drawing.circle(1, 1, 1, "spot", "<i>")
    markup = drawing.markup()
    root = ElementTree.fromstring(markup)
    assert root.get("aria-label") == 'a "<b>" & c'
    assert root.get("role") == "img"
    assert "<script>" not in markup
    assert "<i>" not in markup


def test_labels_lie_on_no_other_and_inside():
    taken, frame = [], (0.0, 0.0, 300.0, 200.0)
    for x in (150, 152, 154, 290):
        taken.append(place("tflite-int8", x, 100, 8, taken, frame))
    for i, a in enumerate(taken):
        assert a[0] >= 0
        assert a[2] <= 300
        for b in taken[:i]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_long_names_are_shortened():
    assert shorten("a  b\nc", 9) == "a b c"
    assert shorten("x" * 20, 5) == "xxxx…"
    assert shorten("脑" * 20, 5) == "脑脑…"
    assert shorten("", 5) == ""
