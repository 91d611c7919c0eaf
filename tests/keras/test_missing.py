"""What is not installed is named with the extra that brings it. Needs no Keras."""

import pytest

import edgekd.keras
from edgekd import extras
from edgekd.errors import EdgekdError


@pytest.mark.parametrize(
    ("name", "installed", "expected"),
    [
        ("Distiller", {"torch"}, "edgekd[keras]"),
        ("to_bundle", {"keras"}, "edgekd[train]"),
        ("read_images", set(), "edgekd[train]"),
        ("to_bundle", set(), "edgekd[keras,train]"),
    ],
)
def test_the_extra_is_named(name, installed, expected, monkeypatch):
    monkeypatch.setattr(extras, "find_spec", lambda package: package if package in installed else None)
    with pytest.raises(EdgekdError) as raised:
        getattr(edgekd.keras, name)
    assert str(raised.value).endswith(f'pip install "{expected}"')


def test_what_the_package_does_not_give_is_no_attribute():
    assert not hasattr(edgekd.keras, "distill")
    assert set(edgekd.keras.__all__) == set(edgekd.keras._HOMES)
