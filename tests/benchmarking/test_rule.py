"""The rule of --fail-if: agrees with Python where both can read it, is never evaluated, and says where it goes wrong."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.benchmarking import rule
from edgekd.errors import EdgekdError

NAMES = ("accuracy_drop_pp", "latency_ratio", "flips")

numbers = st.sampled_from(["0", "1", "1.2", "-3", "2.5e1", ".5", "7."])
values = st.one_of(st.sampled_from(NAMES), numbers)
comparisons = st.tuples(values, st.sampled_from(list(rule.OPERATORS)), values).map(" ".join)
texts = st.recursive(
    comparisons,
    lambda inner: st.one_of(
        inner.map("({})".format),
        inner.map("not ({})".format),
        st.tuples(inner, st.sampled_from([" and ", " or "]), inner).map("".join),
    ),
    max_leaves=8,
)
known = st.fixed_dictionaries({name: st.floats(-5, 30) for name in NAMES})


@settings(deadline=None)
@given(texts, known)
def test_a_rule_means_what_it_means_in_python(text, values):
    if text.count("(") > rule.MAX_DEPTH or len(text) > rule.MAX_CHARACTERS:
        return
    found = rule.read(text, NAMES)
    assert found.judge(values) is eval(text, {"__builtins__": {}}, values)
    assert found.names == {name for name in NAMES if name in text}


@settings(deadline=None)
@given(texts, known, st.sampled_from(NAMES))
def test_what_is_not_known_leaves_open_only_what_hangs_on_it(text, values, gone):
    found = rule.read(text, NAMES)
    outcome = found.judge({**values, gone: None})
    if outcome is not None:
        for value in (-1e9, -5.0, 0.0, 1.0, 1e9):
            assert found.judge({**values, gone: value}) is outcome


@settings(deadline=None)
@given(st.text(alphabet="abflips()<>=!-+.0123456789 andornt_;'\"[]{}\n\x00é", max_size=60))
def test_any_text_is_a_rule_or_an_error(text):
    with contextlib.suppress(EdgekdError):
        assert rule.read(text, NAMES).judge(dict.fromkeys(NAMES)) in (True, False, None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("acuracy_drop_pp > 1", ["'acuracy_drop_pp' at character 1", "did you mean 'accuracy_drop_pp'?"]),
        ("flips > 1 or latency_rato > 2", ["character 14", "did you mean 'latency_ratio'?"]),
        ("flips >", ["a name or a number", "the end at character 8"]),
        ("flips = 3", ["one of < <= > >= == !=", "'=' at character 7"]),
        ("(flips > 3", ["')'", "the end at character 11"]),
        ("flips > 3)", ["the end", "')' at character 10"]),
        ("1 < flips < 3", ["'<' at character 11"]),
        ("flips > -latency_ratio", ["a number", "character 10"]),
        ("flips and 3 > 2", ["'and' at character 7"]),
        ("", ["the end at character 1"]),
        ("__import__('os').system('true') > 1", ["'__import__' at character 1"]),
        ("(" * 60 + "1>0" + ")" * 60, ["at most 50 parentheses"]),
        ("not " * 60 + "1>0", ["at most 50 parentheses and nots"]),
        ("1>0 or " * 200 + "1>0", ["at most 1000 characters"]),
    ],
)
def test_an_error_names_the_place(text, words):
    with pytest.raises(EdgekdError) as caught:
        rule.read(text, NAMES)
    for word in words:
        assert word in str(caught.value)


def test_many_terms_are_no_depth():
    assert rule.read(" and ".join(["(1>0)"] * 100), NAMES).judge({}) is True
