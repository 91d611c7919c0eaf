"""Small figures as inline SVG: text is escaped, colours come from the page's style sheet, and each has a text alternative."""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from xml.etree import ElementTree

LETTER = 6.1  # width of a letter of 11 px, about


class Drawing:
    """An SVG of `width` x `height` units that scales with its place; `alternative` is read out instead of it."""

    def __init__(self, width: float, height: float, alternative: str) -> None:
        view = f"0 0 {width:g} {height:g}"
        self.root = ElementTree.Element("svg", {"viewBox": view, "role": "img", "aria-label": alternative})
        self.width, self.height = width, height

    def line(self, x1: float, y1: float, x2: float, y2: float, style: str) -> None:
        """A straight line; `style` is a class of the page's style sheet, here as in all that follow."""
        self._add("line", style, x1=x1, y1=y1, x2=x2, y2=y2)

    def circle(self, x: float, y: float, radius: float, style: str, hint: str = "") -> None:
        """A circle; `hint` is shown when the pointer rests on it."""
        self._hint(self._add("circle", style, cx=x, cy=y, r=radius), hint)

    def box(self, x: float, y: float, width: float, height: float, style: str, hint: str = "") -> None:
        """A rectangle from its upper left corner."""
        self._hint(self._add("rect", style, x=x, y=y, width=max(width, 0), height=max(height, 0)), hint)

    def outline(self, points: Iterable[tuple[float, float]], style: str, closed: bool = False) -> None:
        """A line through points, or the area that it encloses."""
        path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points) + ("Z" if closed else "")
        ElementTree.SubElement(self.root, "path", {"class": style, "d": path})

    def text(self, x: float, y: float, text: str, style: str = "t", anchor: str = "start") -> None:
        """One line of text on the baseline y; `anchor` is start, middle or end."""
        self._add("text", style, x=x, y=y).text = text
        self.root[-1].set("text-anchor", anchor)

    def markup(self) -> str:
        """The SVG element, safe to be put into a page as it is."""
        return ElementTree.tostring(self.root, encoding="unicode")

    def _add(self, tag: str, style: str, **numbers: float) -> ElementTree.Element:
        values = {name: f"{value:.1f}" for name, value in numbers.items()}
        return ElementTree.SubElement(self.root, tag, {"class": style, **values})

    @staticmethod
    def _hint(element: ElementTree.Element, hint: str) -> None:
        if hint:
            ElementTree.SubElement(element, "title").text = hint


@dataclass(frozen=True)
class Scale:
    """From values in [low, high] to places in [start, end]; `is_log` for factors instead of differences."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def __call__(self, value: float) -> float:
        """The place of a value; values outside are put on the edge."""
        value = min(max(value, self.low), self.high)
        low, high, value = (math.log(v) for v in (self.low, self.high, value)) if self.is_log else (
            self.low, self.high, value,
        )  # fmt: skip
        return self.start + (self.end - self.start) * ((value - low) / (high - low) if high > low else 0.5)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values inside, at most about `count`."""
        return _log_ticks(self.low, self.high, count) if self.is_log else _ticks(self.low, self.high, count)


def _ticks(low: float, high: float, count: int) -> list[float]:
    step = (high - low) / count or 1.0
    power = 10 ** math.floor(math.log10(step))
    found: list[float] = []
    for size in (power * m for m in (10, 5, 2, 1, 0.5, 0.2)):
        if size >= step * 0.999 or len(found) < 2:
            first, last = math.ceil(low / size - 1e-9), math.floor(high / size + 1e-9)
            found = [round(i * size, 12) for i in range(first, last + 1)]
    return found


def _log_ticks(low: float, high: float, count: int) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 1.5, 2, 3, 5, 7), (1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0**d for d in decades for m in factors if low <= m * 10.0**d <= high]
        if len(found) <= count:
            break
    return found if len(found) > 1 else _ticks(low, high, count)


def shorten(text: str, letters: int) -> str:
    """A text as wide as so many letters at most; capitals and ideographs are wider than one."""
    text = " ".join(text.split())
    ends = list(accumulate(_letters(c) for c in text))
    return text if not ends or ends[-1] <= letters else text[: bisect_right(ends, letters - 1)] + "…"


def _letters(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 2.0
    if character in "mMW@%…—":
        return 1.8
    return 1.5 if character.isupper() or character in "w<>+=~#&–" else 1.0


Box = tuple[float, float, float, float]  # left, top, right, bottom


def place(text: str, x: float, y: float, radius: float, taken: Sequence[Box], inside: Box) -> Box:
    """Where to put the label of a circle: the first place around it that is free and inside, else the first of all."""
    wide, high = LETTER * len(text), 12.0
    spots = [(x + radius + 4, y - high / 2), (x - radius - 4 - wide, y - high / 2)]
    for away in range(1, 6):
        up, down = y - radius - 2 - high * away, y + radius + 2 + high * (away - 1)
        spots += [(left, top) for top in (up, down) for left in (x - wide / 2, x, x - wide)]
    boxes = [(left, top, left + wide, top + high) for left, top in spots]
    free = (b for b in boxes if _is_inside(b, inside) and not any(_overlap(b, t) for t in taken))
    return next(free, boxes[0])


def _is_inside(box: Box, frame: Box) -> bool:
    return box[0] >= frame[0] and box[1] >= frame[1] and box[2] <= frame[2] and box[3] <= frame[3]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
