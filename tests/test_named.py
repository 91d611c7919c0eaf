"""Recipes and devices that are found by name, in the package or in the checkout around it."""

from pathlib import Path

import pytest

from edgekd import devices, named, recipe
from edgekd.errors import EdgekdError

ROOT = Path(__file__).parents[1]


def test_a_checkout_has_them_in_the_repository():
    for kind, place in (("recipes", "models/recipes"), ("devices", "benchmarks/devices")):
        assert named.folder(kind) == ROOT / place
        assert named.names(kind) == sorted(path.stem for path in (ROOT / place).glob("*.toml"))


def test_an_installed_package_has_them_inside(tmp_path):
    (tmp_path / "models" / "recipes").mkdir(parents=True)
    assert named.folder("recipes", tmp_path / "edgekd") == tmp_path / "models" / "recipes"
    (tmp_path / "edgekd" / "named_recipes").mkdir(parents=True)
    assert named.folder("recipes", tmp_path / "edgekd") == tmp_path / "edgekd" / "named_recipes"


def test_a_recipe_goes_by_name_or_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in named.names("recipes"):
        assert recipe.load(name) == recipe.load(ROOT / "models" / "recipes" / f"{name}.toml")
        assert recipe.load(name).name == name
    (tmp_path / "mine").write_text('name = "mine"')
    assert recipe.load("mine").name == "mine"
    assert recipe.load(Path("mine")).name == "mine"


def test_a_wrong_name_and_a_missing_file_name_the_nearest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = named.names("recipes")[0]
    for wrong in (name[:-1], f"{name[:-1]}.toml", f"models/recipes/{name}.toml"):
        with pytest.raises(EdgekdError, match=f"did you mean '{name}'"):
            recipe.load(wrong)


def test_your_own_device_comes_before_one_that_travels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert devices.find("a53").options.kind == "qemu"
    (tmp_path / "benchmarks" / "devices").mkdir(parents=True)
    (tmp_path / "benchmarks" / "devices" / "a53.toml").write_text('kind = "local"\ndescription = "mine"')
    assert devices.find("a53").options.description == "mine"
    assert devices.find("a53", tmp_path / "none").options.kind == "qemu"


def test_everything_that_travels_says_what_it_is():
    for kind in named.IN_REPOSITORY:
        assert named.names(kind)
        assert all(len(text) > 5 for text in named.about(kind).values())
    assert named.about("devices")["local"] == "this machine"
