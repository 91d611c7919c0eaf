"""Recipes are strict: every problem at once, each with the nearest valid name."""

import json
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
    folder = Path(__file__).parents[1] / "models/mri4p-mobilenetv2"
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


STAGES = """
[training]
schedule = "cosine"
warmup_epochs = 5
min_learning_rate = 1e-6
early_stopping_patience = 8
best_by = "accuracy"
stages = [
  { epochs = 25, learning_rate = 1e-3, train = "head" },
  { epochs = 35, learning_rate = 1e-4, train = "top" },
  { epochs = 15, learning_rate = 5e-5, train = "all", warmup_epochs = 0, schedule = "plateau", plateau_factor = 0.5 },
]
[teacher.training]
stages = [{ epochs = 1, learning_rate = 1, train = "top", top_fraction = 0.5 }]
"""


def test_stages_take_from_the_section_around_them_what_they_do_not_name(tmp_path):
    (tmp_path / "r.toml").write_text(STAGES)
    r = recipe.load(tmp_path / "r.toml")
    found = [r.training.within(stage) for stage in r.training.stages]
    assert [stage.train for stage in r.training.stages] == ["head", "top", "all"]
    assert [stage.top_fraction for stage in r.training.stages] == [0.3] * 3
    assert [(s.epochs, s.learning_rate, s.warmup_epochs) for s in found] == [
        (25, 1e-3, 5),
        (35, 1e-4, 5),
        (15, 5e-5, 0),
    ]
    assert [(s.schedule, s.plateau_factor) for s in found] == [("cosine", 0.3)] * 2 + [("plateau", 0.5)]
    assert {(s.min_learning_rate, s.early_stopping_patience, s.best_by) for s in found} == {(1e-6, 8, "accuracy")}
    assert r.teacher.training.stages[0].top_fraction == 0.5
    assert recipe.recorded(r.model_dump(mode="json"), "x") == recipe.overridden(r, []) == r


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ("[]", r"training: .*stages is empty; leave it out"),
        ("3", r"training\.stages"),
        ("[{epochs=1, learning_rate=1, train='haed'}]", r"training\.stages\.0\.train: .*did you mean 'head'\?"),
        ("[{epochs=1, learning_rate=1, train='some'}]", r"valid names: all, head, top"),
        ("[{epochs=0, learning_rate=1, train='all'}]", r"training\.stages\.0\.epochs: .*equal to 1"),
        (
            "[{epochs=1, learning_rate=1, trian='all', train='all'}]",
            r"stages\.0\.trian: unknown key; did you mean 'train'",
        ),
        ("[{epochs=1, train='all'}]", r"training\.stages\.0\.learning_rate: field required"),
        ("[{epochs=1, learning_rate=1, train='top', top_fraction=0}]", "greater than 0"),
        ("[{epochs=1, learning_rate=1, train='all', batch_size=3}]", r"batch_size: unknown key"),
    ],
)
def test_a_wrong_stage_is_one_error(stages, message):
    with pytest.raises(EdgekdError, match=f"(?s)1 problem\n.*{message}"):
        recipe.load(None, [f"training.stages={stages}"])


def test_the_quantization_aware_stage_has_none():
    with pytest.raises(EdgekdError, match=r"qat\.training\.stages: .*set training\.stages"):
        recipe.load(None, ["qat.training.stages=[{epochs=1, learning_rate=1, train='all'}]"])


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
    values = r.model_dump(mode="json")
    assert values["schema"] == "edgekd.recipe/1"
    assert recipe.recorded(values, "x") == r


def test_a_complete_record_is_read_although_most_of_its_settings_have_no_effect():
    r = recipe.load(None, ["teacher.bundle=b", "distillation.distill_loss_weight=0"])
    assert recipe.recorded(r.model_dump(mode="json"), "x") == r


BUNDLES = sorted((Path(__file__).parents[1] / "models").glob("*/manifest.json"))


@pytest.mark.parametrize("path", BUNDLES, ids=lambda p: p.parent.name)
def test_recipes_of_committed_bundles_are_read(path):
    values = json.loads(path.read_text())["recipe"]
    found = recipe.recorded(values, str(path.parent))
    assert found.name == path.parent.name
    assert found.data.model_dump(mode="json").items() >= values["data"].items()  # and what came later
    assert found.input.model_dump(mode="json") == values["input"]
    training = {name: value for name, value in values["training"].items() if value is not None}
    assert found.training.model_dump(mode="json", exclude_none=True) == training
    assert found.qat.representative_images == values["qat"]["representative_images"]
    assert found.qat.training.epochs == values["qat"]["training"]["epochs"]


OLD = {
    "name": "old",
    "seed": 7,
    "colour": "red",  # gone since
    "data": {"source": "csv", "path": "list.csv", "shuffle": True, "validation_fraction": 0.2},
    "training": {"epochs": 5, "schedule": "step", "step_size": 3},  # a schedule that is gone since
    "student": {"network": "mobilenetv2", "heads": 3},
    "qat": {"representative_images": 17, "training": {"epochs": 4, "mixup_alpha": 0.0}},
}


@pytest.mark.parametrize("schema", [None, "edgekd.recipe/0"])
def test_an_older_record_is_read_for_what_is_known_of_it(schema):
    found = recipe.recorded(OLD | ({"schema": schema} if schema else {}), "x")
    data = recipe.DataRecipe(source="csv", path="list.csv", validation_fraction=0.2)
    assert (found.name, found.seed, found.data) == ("old", 7, data)
    assert (found.qat.representative_images, found.qat.training.epochs) == (17, 4)
    assert found.student == recipe.Network()
    assert found.training == recipe.TrainingRecipe()  # what no longer fits decides nothing any more


def test_an_older_record_that_is_wrong_where_it_is_read_is_an_error():
    with pytest.raises(EdgekdError, match=r"(?s)recipe of x: 1 problem.*data\.path"):
        recipe.recorded(OLD | {"data": {"path": 3}}, "x")


def test_a_record_of_todays_schema_is_read_strictly():
    values = recipe.load().model_dump(mode="json")
    with pytest.raises(EdgekdError, match=r"colour: unknown key"):
        recipe.recorded(values | {"colour": "red"}, "x")
    with pytest.raises(EdgekdError, match=r"training\.schedule"):
        recipe.recorded(values | {"training": OLD["training"]}, "x")


@pytest.mark.parametrize("schema", ["edgekd.recipe/2", "edgekd.recipe/10", "edgekd.bundle/0", "edgekd.recipe/", 1, {}])
def test_a_newer_or_foreign_record_is_refused_by_name(schema):
    with pytest.raises(EdgekdError, match="edgekd version that wrote it") as caught:
        recipe.recorded(recipe.load().model_dump(mode="json") | {"schema": schema}, "x")
    assert repr(schema) in caught.value.found


def test_a_recipe_file_names_its_schema_if_it_likes(tmp_path):
    (tmp_path / "r.toml").write_text('schema = "edgekd.recipe/1"')
    assert recipe.load(tmp_path / "r.toml") == recipe.Recipe()
    (tmp_path / "r.toml").write_text('schema = "edgekd.recipe/2"')
    with pytest.raises(EdgekdError, match=r"schema: .*'edgekd\.recipe/1', found 'edgekd\.recipe/2'"):
        recipe.load(tmp_path / "r.toml")


def test_the_ground_needs_neither_torch_nor_tensorflow():
    modules = "edgekd.recipe, edgekd.bundle, edgekd.preprocess, edgekd.command, edgekd.data.sources"
    modules += ", edgekd.evaluate, edgekd.embed"
    code = f"import sys, {modules}; sys.exit(any(m in sys.modules for m in ('torch', 'tensorflow', 'timm')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_quantization_aware_stage_takes_the_float_stages_batches_unless_it_names_its_own():
    assert recipe.load(None, ["training.batch_size=8"]).qat.training.batch_size == 8
    own = recipe.load(None, ["training.batch_size=8", "qat.training.batch_size=16", "qat.enabled=false"])
    assert (own.qat.training.batch_size, own.qat.enabled, own.training.batch_size) == (16, False, 8)


def test_a_table_of_sections_is_overrides_that_replace_whole_settings():
    import tomllib

    from edgekd.overrides import flattened

    text = """
    "student.width" = 0.5
    training.epochs = 3
    distillation = { losses = { dkd = 2.0 }, kd_temperature = 3.0 }
    teacher.options = { depth = 1 }
    """
    found = list(flattened(tomllib.loads(text), recipe.Recipe))
    assert found == [
        ("student.width", 0.5),
        ("training.epochs", 3),
        ("distillation.losses", {"dkd": 2.0}),
        ("distillation.kd_temperature", 3.0),
        ("teacher.options", {"depth": 1}),
    ]
    made = recipe.load(None, found)
    assert made == recipe.load(
        None,
        [
            "student.width=0.5",
            "training.epochs=3",
            "distillation={losses={dkd=2.0}, kd_temperature=3.0}",
            "teacher.options={depth=1}",
        ],
    )
    with pytest.raises(EdgekdError, match="did you mean 'width'"):
        recipe.load(None, list(flattened({"student": {"widht": 1.0}}, recipe.Recipe)))


def test_the_default_recipe_says_nothing_of_other_images_another_student_or_a_committee():
    assert recipe.load(None, ["data={source='folder', path='here'}"]).student == recipe.Network()
    assert recipe.load(None, [], own_images=True) == recipe.Recipe()
    assert recipe.load().student.width == 0.5
    assert recipe.load(None, ["student.options={drop_rate=0.1}"]).student.width == 0.5
    assert recipe.load(None, ["student.network=efficientnet_lite0"]).student.width == 1.0
    assert recipe.load(None, ["student.network=efficientnet_lite0", "student.width=0.75"]).student.width == 0.75
    committee = recipe.load(None, ["teacher.members=[{network='resnet10t'}, {network='mobilenetv2'}]"])
    assert committee.distillation.losses == {"kd": 1.0}
