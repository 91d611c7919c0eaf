"""The committees of the recipes, from random weights at a small size: they are trained, and each network once."""

from pathlib import Path

import pytest

from edgekd import recipe
from edgekd.networks import from_bundle
from edgekd.training import teachers

RECIPES = Path(__file__).parents[2] / "models/recipes"


def members(name):
    """The networks of the recipe's members."""
    found = recipe.load(RECIPES / f"committee-{name}.toml").teacher.members
    assert all(member.pretrained for member in found)
    return [member.network for member in found]


def smoke(name, prepare, folder):
    networks = members(name)
    lines = ", ".join(f'{{network="{n}", training={{epochs=1, batch_size=24, ema_decay=0.0}}}}' for n in networks)
    made = teachers.teacher(prepare(f"teacher.members=[{lines}]"), folder)
    assert made.manifest.network.network == "committee"
    assert len(from_bundle(made).body.members) == 2
    return {
        f.name.rpartition("-")[0]: (f / "weights.safetensors").stat().st_mtime_ns
        for f in (folder / "members").iterdir()
    }


def test_efficientnet_b2_and_densenet121(prepare, tmp_path):
    assert smoke("b2-densenet121", prepare, tmp_path).keys() == {"efficientnet_b2", "densenet121"}


@pytest.mark.slow  # VGG16 has 134 M parameters: its state is 2 GB on disk
def test_with_vgg16(prepare, tmp_path):
    first = smoke("densenet121-vgg16", prepare, tmp_path)
    second = smoke("b2-vgg16", prepare, tmp_path)
    assert second.keys() == {"efficientnet_b2", "densenet121", "vgg16"}
    assert {n: second[n] for n in first} == first  # VGG16 is not trained again
