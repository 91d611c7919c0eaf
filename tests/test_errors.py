"""One error for everything, and lists that end before they fill the screen."""

import pytest

from edgekd.errors import capped, several


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, ["0"]), (10, [str(i) for i in range(10)]), (720, [*map(str, range(10)), "  … and 710 more"])],
)
def test_long_lists_say_how_many_more_there_are(count, expected):
    assert capped([str(i) for i in range(count)]) == expected


def test_all_problems_are_counted_and_the_first_listed():
    lines = str(several("x.csv", ["a", "b", "c", "d"], "mend it", shown=2)).splitlines()
    assert lines == ["x.csv: 4 problems", "  - a", "  - b", "  … and 2 more", "  to do:    mend it"]
    assert str(several("x.csv", ["a"])) == "x.csv: 1 problem\n  - a"
