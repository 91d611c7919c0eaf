"""Other images for a recipe or a bundle: nothing of the old file's place and columns comes along unasked."""

from __future__ import annotations

import argparse

import pytest
from PIL import Image

from edgekd import command, recipe
from edgekd.data import sources
from edgekd.data.chosen import with_data
from edgekd.errors import EdgekdError


@pytest.fixture
def other(tmp_path):
    """A list beside its image, with the columns `where`, `label` and `case`."""
    folder = tmp_path / "other"
    (folder / "i").mkdir(parents=True)
    Image.new("L", (4, 3), 77).save(folder / "i" / "1.png")
    (folder / "list.csv").write_text("where,label,case\ni/1.png,a,p1\n")
    return folder / "list.csv"


def on_csv(file="old/list.csv", /, **options):
    return recipe.load(
        None, ["data.source=csv", f"data.path={file}"] + [f"data.options.{k}={v}" for k, v in options.items()]
    )


def test_another_list_is_read_from_its_own_folder(other):
    found = with_data(on_csv(root="/nowhere", path="where", group="case", label="diagnosis", split="part"), str(other))
    assert found.data.options == {"path": "where", "group": "case"}
    data = sources.read(found.data)
    assert data.open_image(data.samples[0]).getpixel((0, 0)) == (77, 77, 77)
    assert data.samples[0].group == "p1"


def test_the_same_list_keeps_its_options(other):
    given = on_csv(other, root="/nowhere", path="where", group="case")
    assert with_data(given, str(other.parent / "." / "list.csv")).data.options == given.data.options


def test_options_of_another_source_do_not_come_along(other):
    assert with_data(recipe.load(None, ["data.options.train=16"]), str(other)).data.options == {}
    found = with_data(recipe.load(None, ["data.options.train=16"]), "phantom")
    assert found.data.options == {"train": 16}


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'"where,label\n'])
def test_a_list_that_is_no_table_is_reported_when_it_is_read(other, content):
    other.write_bytes(content)
    found = with_data(on_csv(root="/nowhere", path="where"), str(other))
    assert found.data.options == {}
    with pytest.raises(EdgekdError, match=r"list\.csv"):
        sources.read(found.data)


def test_what_the_command_line_sets_holds_for_the_data_of_the_command_line(other, tmp_path):
    arguments = argparse.ArgumentParser()
    command.add_recipe_arguments(arguments)
    file = tmp_path / "r.toml"
    file.write_text('[data]\nsource = "csv"\npath = "old.csv"\noptions = { root = "/nowhere", group = "pid" }\n')
    settings = ["--set", "data.options.path=where", "--set", f"data.options.root={other.parent}", "--set", "seed=3"]
    found, _ = command.read_recipe(arguments.parse_args(["--recipe", str(file), "--data", str(other), *settings]))
    assert found.data.options == {"path": "where", "root": str(other.parent)}
    assert (found.data.path, found.seed) == (str(other), 3)
