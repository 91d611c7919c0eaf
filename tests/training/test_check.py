"""What a recipe asks for is looked for before any training, and an error tells the command that makes it."""

import re

import pytest

from edgekd import recipe
from edgekd.errors import EdgekdError
from edgekd.training import check

FEATURES = ("cosine_feature", "attention_transfer", "rkd", "geometric", "ofa")


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


SMALL = ("input.size=64", "student.width=0.35", "teacher.network=resnet18")
MISTAKES = {
    "cosine_featur=1.0": "did you mean 'cosine_feature'",
    "cosine_feature={tapp='last'}": "did you mean 'tap'",
    "cosine_feature={tap='stag3'}": "student tap 'stag3'.*did you mean 'stage3'",
    "cosine_feature={teacher_tap='stag3'}": "teacher tap 'stag3'.*did you mean 'stage3'",
    "cosine_feature={tap='embedding', teacher_tap='last'}": "student tap 'embedding'.*both name maps",
    "attention_transfer={taps=['stage2', 'stage9']}": "student tap 'stage9'.*did you mean 'stage[1-4]'.*or name taps",
    "attention_transfer={taps=[]}": "attention_transfer: 1 problem.*taps",
    "geometric={taps='stage2'}": "geometric: 1 problem.*taps",
    "rkd={angle_weigth=1.0}": "did you mean 'angle_weight'",
    "ofa={eps=0.5}": "ofa: 1 problem.*eps",
    "cross_arch=1.0": "teacher tap 'attention'.*a tap of ResNet.*a ViT.*cosine_feature",
}


@pytest.mark.parametrize("losses", MISTAKES)
def test_a_loss_or_an_option_or_a_tap_that_is_not_there_is_found_before_training(losses):
    assert re.search(MISTAKES[losses], refusal(*SMALL, f"distillation.losses={{{losses}}}"), re.DOTALL)


def test_all_losses_fit_a_vit_and_all_but_one_a_convolutional_teacher():
    check.recipe(recipe.load(None, [*SMALL, f"distillation.losses={{{', '.join(f'{n}=1.0' for n in FEATURES)}}}"]))
    vit = ("teacher.network=vit_tiny_patch16_224", "teacher.options={depth=4, embed_dim=48, num_heads=3}")
    told = ", ".join(f"{name}=1.0" for name in (*FEATURES, "cross_arch"))
    check.recipe(recipe.load(None, [*SMALL, *vit, f"distillation.losses={{{told}}}"]))
