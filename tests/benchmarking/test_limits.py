"""The limits of `compare`: read or refused with all problems at once, and exceeded only by what is above them."""

import pytest

from edgekd import benchmark
from edgekd.benchmarking.limits import Excess, exceeded, read
from edgekd.errors import EdgekdError

NAMES = ("accuracy_drop_pp", "latency_ratio", "flips")


def test_limits_are_numbers_by_name():
    assert read(["accuracy_drop_pp=1", " latency_ratio = 1.2e0 "], NAMES) == {
        "accuracy_drop_pp": 1.0,
        "latency_ratio": 1.2,
    }
    assert read(["flips=-1"], NAMES) == {"flips": -1.0}
    assert read([], NAMES) == {}


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (["acuracy_drop_pp=1"], ["unknown name 'acuracy_drop_pp'", "did you mean 'accuracy_drop_pp'?"]),
        (["flips=nan"], ["flips: expected a finite number, found 'nan'"]),
        (["flips=inf"], ["found 'inf'"]),
        (["flips=1e999"], ["found '1e999'"]),
        (["flips"], ["flips: expected a finite number, found ''"]),
        (["flips=3=4"], ["found '3=4'"]),
        (["flips>3"], ["unknown name 'flips>3'", "did you mean 'flips'?", "flips>3: expected a finite number"]),
        (["flips=1", "flips=2"], ["flips is given 2 times"]),
        (["=1"], ["unknown name ''", "valid names: accuracy_drop_pp, flips, latency_ratio"]),
        (
            ["flip=1", "latency_ratio=fast"],
            ["2 problems", "did you mean 'flips'?", "latency_ratio: expected", "found 'fast'"],
        ),
    ],
)
def test_what_is_no_limit_is_refused_with_all_problems(texts, words):
    with pytest.raises(EdgekdError) as caught:
        read(texts, NAMES)
    for word in (*words, "--limit accuracy_drop_pp=1"):
        assert word in str(caught.value)


def test_only_more_than_the_limit_exceeds_it():
    rows = {"a": {"flips": 3.0, "latency_ratio": 1.0}, "b": {"flips": 4.0, "latency_ratio": None}, "c": {}}
    assert exceeded({"flips": 3}, rows) == (Excess(row="b", name="flips", value=4.0, limit=3.0),)
    assert [e.row for e in exceeded({"flips": 2.9, "latency_ratio": 0.9}, rows)] == ["a", "b", "a"]
    assert exceeded({}, rows) == ()


def test_a_limit_on_what_no_row_has_is_an_error():
    with pytest.raises(EdgekdError, match="latency_ratio: no row"):
        exceeded({"flips": 1, "latency_ratio": 1.2}, {"a": {"flips": 0, "latency_ratio": None}})


def test_the_command_reads_them_before_the_reports(tmp_path):
    with pytest.raises(EdgekdError, match="did you mean 'flips'"):
        benchmark.main(["compare", str(tmp_path), str(tmp_path), "--limit", "flip=1"])
