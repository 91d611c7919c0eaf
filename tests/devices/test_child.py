"""A child process is limited in time and in what it may print, whatever it does with its input."""

import itertools
import sys
import threading

import pytest

from edgekd.devices import child


def python(text):
    return [sys.executable, "-I", "-S", "-c", text]


def test_input_output_messages_and_code():
    text = "import sys; print(sys.stdin.read().upper()); print('first\\nlast', file=sys.stderr); sys.exit(3)"
    done = child.finish(python(text), 60, [b"a", b"b" * 200_000], 300_000)
    assert (done.code, done.out, done.words) == (3, b"A" + b"B" * 200_000 + b"\n", "last")


def test_a_child_that_reads_nothing_ends_all_the_same():
    assert child.finish(python("print(1)"), 60, itertools.repeat(b"x" * 2**16, 100)).out == b"1\n"


def test_too_much_and_too_long():
    before = threading.active_count()
    with pytest.raises(child.TooMuch):
        child.finish(python("while True: print('x' * 1000)"), 60)
    with pytest.raises(child.TooLong):
        child.finish(python("import time; time.sleep(60)"), 0.3)
    assert len(child.finish(python("import sys; sys.stderr.write('x' * 10**6)"), 60).err) == child.STDERR
    assert threading.active_count() == before


def test_a_command_that_is_not_there(tmp_path):
    with pytest.raises(OSError, match="No such file"):
        child.finish([str(tmp_path / "none")], 60)
