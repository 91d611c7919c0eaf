"""Recipes are strict: every problem at once, each with the nearest valid name."""

import subprocess
import sys
from pathlib import Path

import pytest

from edgekd import recipe
from edgekd.bundle import read_manifest
from edgekd.errors import EdgekdError

RECIPES = sorted((Path(__file__).parents[1] / "models" / "recipes").glob("*.toml"))


def test_defaults_are_the_demo():
    r = recipe.load()
    assert (r.name, r.data.source, r.student.network) == ("default", "phantom", "mobilenetv2")


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_shipped_recipes_are_valid_and_named_after_their_file(path):
    assert recipe.load(path).name == path.stem


def test_a_bundles_manifest_stands_for_its_recipe():
    folder = Path(__file__).parents[1] / "models/mri4-mobilenetv2"
    made_with = recipe.recorded(read_manifest(folder).recipe, str(folder))
    assert recipe.load(folder / "manifest.json") == made_with
    changed = recipe.load(folder / "manifest.json", ["qat.training.epochs=10"])
    assert changed.qat.training.epochs == 10
    assert changed.student == made_with.student


def test_a_folder_without_a_bundle_has_no_recipe(tmp_path):
    with pytest.raises(EdgekdError, match="no manifest"):
        recipe.load(tmp_path / "manifest.json")


def test_overrides_take_numbers_words_and_tables():
    given = ["student.width=0.75", "student.network=efficientnet_lite0", "distillation.losses={ dkd = 2 }", "seed=3"]
    r = recipe.load(None, given)
    assert (r.student.width, r.student.network, r.distillation.losses, r.seed) == (
        0.75,
        "efficientnet_lite0",
        {"dkd": 2.0},
        3,
    )


def test_all_problems_at_once_with_nearest_names(tmp_path):
    file = tmp_path / "r.toml"
    file.write_text(
        'sede = 1\n[student]\nwidht = 0.5\n[teacher.training]\nepochs = "ten"\nlearning_rte = 1.0\n[data]\nstrict = 1\n'
    )
    with pytest.raises(EdgekdError) as error:
        recipe.load(file)
    text = str(error.value)
    assert text.startswith(f"{file}: 5 problems")
    for part in (
        "'seed'",
        "'width'",
        "'learning_rate'",
        "teacher.training.epochs: input should be a valid integer",
        "data.strict",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.epochs=0", "greater than or equal to 1"),
        ("distillation.losses={kd=-1}", "every weight"),
        ("seed", "section.key=value"),
        ("name.x=1", "section"),
        ("training.epochs=1.5", "valid integer"),
    ],
)
def test_values_out_of_range(override, message):
    with pytest.raises(EdgekdError, match=message):
        recipe.load(None, ["name=x", override])


def test_nothing_to_learn_is_an_error():
    with pytest.raises(EdgekdError, match="nothing would be learnt"):
        recipe.load(None, ["distillation.task_loss_weight=0", "distillation.distill_loss_weight=0"])


def test_stopping_early_needs_epochs_to_compare():
    with pytest.raises(EdgekdError, match="compares none"):
        recipe.load(None, ["qat.training.early_stopping_patience=1"])
    stopping = recipe.load(None, ["qat.training={early_stopping_patience=1, best_by='nll'}"]).qat.training
    assert stopping.early_stopping_patience == 1


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe\x00", b"= 1"])
def test_broken_files_are_one_error(tmp_path, content):
    file = tmp_path / "r.toml"
    file.write_bytes(content)
    with pytest.raises(EdgekdError, match=r"r\.toml"):
        recipe.load(file)


def test_missing_file_is_one_error(tmp_path):
    with pytest.raises(EdgekdError, match="no such file"):
        recipe.load(tmp_path / "none.toml")


def test_round_trip_through_json():
    r = recipe.load(None, ["student.options={drop_rate=0.1}"])
    assert recipe.recorded(r.model_dump(mode="json"), "x") == r


def test_the_ground_needs_neither_torch_nor_tensorflow():
    modules = "edgekd.recipe, edgekd.bundle, edgekd.preprocess, edgekd.command, edgekd.data.sources"
    modules += ", edgekd.evaluate, edgekd.embed"
    code = f"import sys, {modules}; sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'timm')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_quantization_aware_stage_takes_the_float_stages_batches_unless_it_names_its_own():
    assert recipe.load(None, ["training.batch_size=8"]).qat.training.batch_size == 8
    own = recipe.load(None, ["training.batch_size=8", "qat.training.batch_size=16", "qat.enabled=false"])
    assert (own.qat.training.batch_size, own.qat.enabled, own.training.batch_size) == (16, False, 8)
