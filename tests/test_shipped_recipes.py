"""The recipes under models/recipes start as they are where what they name lies, and say at the top what that is."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from edgekd import recipe
from edgekd.data import sources, splitting
from edgekd.networks import build
from edgekd.training import check

RECIPES = sorted((Path(__file__).parents[1] / "models" / "recipes").glob("*.toml"))
BY_NAME = pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)


@BY_NAME
def test_what_lies_outside_the_repository_is_said_at_the_top(path):
    r = recipe.load(path)
    top = path.read_text(encoding="utf-8").split("\n\n")[0]
    assert all(line.startswith("#") for line in top.splitlines())
    weights = [network.weights for network in r.teacher.sections.values() if not network.pretrained]
    parts = [part["path"] for part in r.data.options.get("parts", ())]
    for outside in (r.data.path, *parts, *weights, r.student.weights):
        assert outside in top
    assert f"--recipe models/recipes/{path.name}" in top
    assert r.name == path.stem


def test_settings_that_recipes_and_readme_advise_can_be_set():
    """Each `--set` at the top of a recipe, alone, and each command of models/README.md that names a recipe."""
    tops = {path: path.read_text(encoding="utf-8").split("\n\n")[0] for path in RECIPES}
    advised = [
        (path, [given]) for path, top in tops.items() for given in re.findall(r"--set (\S+=(?![A-Z]\b)\S*\w)", top)
    ]
    readme = (RECIPES[0].parents[1] / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    .*--recipe models/recipes/(\S+)(.*)$", readme, re.MULTILINE)
    advised += [(RECIPES[0].parent / name, re.findall(r"--set (\S+)", rest)) for name, rest in commands]
    assert len(advised) > 8
    for path, settings in advised:
        assert recipe.load(path, settings).name == path.stem


@BY_NAME
def test_it_starts_beside_links_to_data_and_weights(path, shared, tmp_path, monkeypatch):
    for name in ("data", "weights"):
        (tmp_path / name).symlink_to(shared / name)
    monkeypatch.chdir(tmp_path)
    r = recipe.load(path)
    check.recipe(r)
    data = splitting.complete(sources.read(r.data), r.data.validation_fraction, r.data.test_fraction, r.seed)
    assert Counter(s.split for s in data.samples).keys() == {"train", "val", "test"}
    assert not splitting.leaking_groups(data)
    for section in (*r.teacher.sections.values(), r.student):
        if section.pretrained or not section.weights:
            continue  # from timm's hub, or random
        size = getattr(section, "input_size", 0) or r.input.size
        body = build(section, len(data.label_names), size).body.state_dict()
        stored = load_file(section.weights)
        head = {name for name, tensor in stored.items() if body[name].shape != tensor.shape}
        assert {name.split(".")[0] for name in head} <= {"head", "classifier"}
        assert all(torch.equal(body[name], tensor) for name, tensor in stored.items() if name not in head)


@BY_NAME
def test_without_them_the_error_names_the_file(path, tmp_path, monkeypatch):
    from edgekd.errors import EdgekdError

    monkeypatch.chdir(tmp_path)
    with pytest.raises(EdgekdError, match=r"weights/\w+\.imagenet\.safetensors"):
        check.recipe(recipe.load(path))
