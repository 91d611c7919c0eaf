"""Images that were left out: the first by name, the rest counted, names as they are."""

import io

from rich.console import Console

from edgekd.reports.left_out import show


def shown(count):
    text = io.StringIO()
    show(tuple((f"[red]{i}.png", "no such file") for i in range(count)), Console(file=text, width=40))
    return text.getvalue().splitlines()


def test_720_missing_images_take_eleven_lines():
    lines = shown(720)
    assert lines[0] == "corrupt, left out: [red]0.png: no such file"
    assert len(lines) == 11
    assert lines[-1].strip() == "… and 710 more"


def test_nothing_is_said_of_nothing():
    assert shown(0) == []
