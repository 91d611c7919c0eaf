"""The screen: nothing is wrapped, cut or coloured in a pipe, and no character is lost on a terminal of any width."""

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections import Counter
from pathlib import Path

import pytest

from edgekd.measures.evaluation import Evaluation
from edgekd.reports import benchmark, evaluation, export, screen
from edgekd.reports.progress import Screen as Progress
from edgekd.runtimes import formats

ROOT = Path(__file__).parents[2]
BUNDLE = ROOT / "models" / "mri4p-mobilenetv2"
FRAME = "─━│┃┏┓┗┛└┘┡┩┳┴╇┼├┤╶╴ ⏎"


def letters(text):
    """How often each character is there, frames and spaces aside."""
    return Counter(c for c in text if c not in FRAME and not c.isspace())


def drawn(show, width):
    console = screen.Screen(file=io.StringIO(), width=width, force_terminal=False)
    show(console)
    return console.file.getvalue()


def formats_table(console):
    export.show_formats([format for format, _ in formats().values()], console)


def one_evaluation(console):
    evaluation.show(Evaluation.load(BUNDLE / "evaluation" / "test.json"), console)


def three_networks(console):
    found = Evaluation.load(BUNDLE / "evaluation" / "test.json")
    facts = {"params": "2.23 M", "MACs": "300 M", "time": "12345 s"}
    names = ("teacher", "control", "a student of a rather long name")
    evaluation.show_comparison(
        dict.fromkeys(names, found), dict.fromkeys(names, facts), console, "test split, 587 images"
    )


def many_columns(console):
    table = screen.Table("label \\ answer", *(f"class {i}" for i in range(26)), title="confusion " * 9)
    table.caption = "a caption that is longer than many a terminal is wide, and of more words than fit"
    for i in range(3):
        table.add_row(f"pneumonoultramicroscopic-{i}", *(str(1000 * i + j) for j in range(26)))
    console.print(table)


def whole_columns(console):
    table = screen.Table("name", "figure", "other")
    table.columns[1].no_wrap = True
    table.columns[0].min_width = 12
    table.add_row("a/path/that/has/no/blank/to/break/at.png", "93.40 % [91.20, 95.10]", "0.0123 (0.0099)")
    console.print(table)


SHOWN = [formats_table, one_evaluation, three_networks, many_columns, whole_columns]


def assert_nothing_lost(show):
    expected = letters(drawn(show, screen.WIDE))
    assert sum(expected.values()) > 50
    for width in (*range(8, 60), 80, 100, 160):
        assert letters(drawn(show, width)) == expected, width


@pytest.mark.parametrize("show", SHOWN, ids=lambda f: f.__name__)
def test_no_character_is_lost_at_any_width(show):
    assert_nothing_lost(show)


def test_a_benchmark_loses_nothing(hand_made):
    report = hand_made.usual()

    def show(console):
        benchmark.show(report, console)

    assert_nothing_lost(show)


def test_columns_are_folded_where_that_is_enough():
    lines = drawn(whole_columns, 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert any("93.40 % [91.20, 95.10]" in line for line in lines)
    assert "…" not in "".join(lines)


def test_where_nobody_looks_lines_are_whole(capsys):
    console = screen.console()  # stdout is no terminal here
    history = [{"epoch": 3, "val_accuracy": 0.5, "val_nll": 1.25, "train_accuracy": 0.25, "images_per_s": 1234.0}]
    history[0] |= {f"loss_{name}": 1.0 for name in ("task", "kd", "features", "attention", "relations", "contrast")}
    with Progress(console, "student of a rather long name", 10) as progress:
        progress.step(0, 0, 4, history[0])
        progress.epoch(history)
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("student of a rather long name 3/10: val 50.00 %")
    assert line.endswith("contrast 1.000 | 1234 img/s")
    with Progress(console, "student", 75) as progress:
        progress.epoch([history[0] | {"epoch": 26, "stage": 2}])
    assert capsys.readouterr().out.startswith("student 26/75 (stage 2): val 50.00 %")


def on_a_terminal(command, columns):
    """What a program writes on a terminal of so many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")} | {"TERM": "xterm"}
    process = subprocess.Popen(command, stdout=theirs, stdin=theirs, stderr=subprocess.PIPE, env=environment, cwd=ROOT)
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 1 << 16)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        text += piece
    os.close(ours)
    assert process.wait() == 0, process.stderr.read()
    process.stderr.close()
    return text.decode()


@pytest.mark.parametrize("arguments", [(), ("export", "--list")], ids=["overview", "formats"])
def test_a_pipe_gets_what_a_wide_terminal_shows(arguments):
    command = [sys.executable, "-m", "edgekd", *arguments]
    piped = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout
    shown = on_a_terminal(command, 500)
    assert "\x1b[" in shown  # bold or italic
    assert "\x1b" not in piped
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert [line.rstrip() for line in piped.splitlines()] == [line.rstrip() for line in plain.splitlines()]
    assert max(map(len, piped.splitlines())) > 90


def test_nothing_goes_round_the_screen():
    """A table or console of rich's own would cut and wrap again."""
    own = re.compile(r"rich\.table import|\bConsole\(|import (?:Progress|track)\b")
    found = {
        p.relative_to(ROOT).as_posix() for p in (ROOT / "edgekd").rglob("*.py") if own.search(p.read_text("utf-8"))
    }
    assert found == {"edgekd/reports/screen.py"}
