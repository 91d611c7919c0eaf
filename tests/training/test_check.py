"""What a recipe asks for is looked for before any training, and an error tells the command that makes it."""

import pytest

from edgekd import recipe
from edgekd.errors import EdgekdError
from edgekd.training import check


def refusal(*settings):
    with pytest.raises(EdgekdError) as refused:
        check.recipe(recipe.load(None, list(settings)))
    return str(refused.value)


def test_a_teacher_bundle_that_is_not_there_names_the_command_that_makes_it(tmp_path):
    missing = f"teacher.bundle={tmp_path / 'run' / 'teacher'}"
    assert f"to do:    python -m edgekd.train --recipe FILE --out {tmp_path / 'run'}" in refusal(missing)
    told = refusal(missing, "teacher.bundle_from=python -m edgekd.train --recipe other.toml")
    assert "to do:    python -m edgekd.train --recipe other.toml" in told


def test_a_weights_file_that_is_not_there_gives_way_to_published_weights(tmp_path):
    missing = f"teacher.weights={tmp_path / 'w.safetensors'}"
    assert "no such file" in refusal(missing)
    check.recipe(recipe.load(None, [missing, "teacher.pretrained=true"]))


@pytest.mark.parametrize("section", ["teacher", "student"])
def test_a_size_that_does_not_fit_is_found_before_training(section):
    told = refusal(f"{section}.network=vit_tiny_patch16_224", "input.size=90")
    assert "--set input.size=96" in told


def test_a_vit_of_timm_is_taken_at_the_recipes_size():
    check.recipe(recipe.load(None, ["teacher.network=deit3_small_patch16_224", "input.size=96"]))
