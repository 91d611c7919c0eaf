"""Extras: the table is what pyproject.toml says, and all that is missing is one error with the command that installs it."""

import importlib.metadata
import re
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from edgekd import command, extras
from edgekd.errors import EdgekdError
from edgekd.recipe import DataRecipe

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def declared(extra):
    """The distributions of an extra, with those of the extras that it includes."""
    found = set()
    for line in PROJECT["optional-dependencies"][extra]:
        if included := re.fullmatch(r"edgekd\[(.+)\]", line):
            found |= set().union(*map(declared, included[1].split(",")))
        else:
            found.add(re.match(r"[\w-]+", line)[0])
    return found


@pytest.mark.parametrize("extra", extras.EXTRAS)
def test_the_table_is_what_the_project_declares(extra):
    assert set(extras.EXTRAS[extra].values()) == declared(extra)


def test_every_extra_for_users_is_in_the_table():
    assert set(PROJECT["optional-dependencies"]) - {"dev", "all", "crosscheck"} == set(extras.EXTRAS)


def test_packages_are_imported_by_these_names():
    brought = importlib.metadata.packages_distributions()
    for names in extras.EXTRAS.values():
        for imported, distribution in names.items():
            if find_spec(imported):
                assert distribution in {d.lower().replace("_", "-") for d in brought[imported]}


@pytest.fixture
def without(monkeypatch):
    """A function that makes packages look as if they were not installed."""

    def hide(*names):
        monkeypatch.setattr(extras, "find_spec", lambda name: None if name in names else sys)

    return hide


def test_everything_missing_is_named_at_once(without):
    without("sklearn", "ai_edge_litert", "h5py", "torch")
    with pytest.raises(EdgekdError) as raised:
        command.need("evaluate", "export", DataRecipe(source="figshare"), ("ai_edge_litert", "sklearn", "scipy"))
    first, *_, last = str(raised.value).splitlines()
    assert first == "the command evaluate needs the packages 'ai-edge-litert', 'scikit-learn', 'h5py'"
    assert last == '  to do:    pip install "edgekd[export,medical]"'


def test_an_extra_stands_for_all_that_it_brings(without):
    extras.need("x", "audit")
    without("jinja2")
    with pytest.raises(EdgekdError, match=r'the package \'jinja2\'(.|\n)*pip install "edgekd\[train\]"'):
        extras.need("x", "train")


def test_an_extra_within_another_is_not_named(without):
    without("scipy", "nncf")
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[nncf\]"'):
        extras.need("x", "audit", ("scipy", "nncf"))


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ModuleNotFoundError("No module named 'onnx2tf'", name="onnx2tf.x"), 'pip install "edgekd[convert]"'),
        (ModuleNotFoundError("No module named 'antlr4'", name="antlr4"), "No module named 'antlr4'"),
        (ImportError("libGL.so.1: cannot open shared object file"), "libGL.so.1"),
    ],
)
def test_an_import_that_fails_deep_inside_is_no_internal_error(error, words, without, capsys, monkeypatch):
    monkeypatch.delenv("EDGEKD_DEBUG", raising=False)
    without("onnx2tf")

    def main(argv):
        raise error

    with pytest.raises(SystemExit) as end:
        command.run(main)
    assert end.value.code == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert words in shown


def test_a_fault_of_edgekd_stays_one(capsys, monkeypatch):
    monkeypatch.delenv("EDGEKD_DEBUG", raising=False)

    def main(argv):
        from edgekd.errors import no_such_name  # noqa: F401

    with pytest.raises(SystemExit) as end:
        command.run(main)
    assert end.value.code == command.INTERNAL
    assert "internal error" in capsys.readouterr().err
