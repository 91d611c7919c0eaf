"""A study is strict like a recipe, and its mistakes are told before any training."""

import pytest

from edgekd.errors import EdgekdError
from edgekd.studies import plan, running, schema

WRONG = [
    ("sedes = [0]\n[variants.a]", "did you mean 'seeds'"),
    ("[variants.a]\noverides = []", "unknown key"),
    ("seeds = [0, 0]\n[variants.a]", "different whole numbers"),
    ("seeds = []\n[variants.a]", "at least 1"),
    ("folds = 1\n[variants.a]", "at least 2"),
    ("folds = 2", "variants"),
    ("folds = 2\nonly_folds = [2]\n[variants.a]", "below folds"),
    ("[variants.a]\ncontrol = true\n[variants.b]\ncontrol = true", "one variant may be the control"),
    ("[variants.a]\ncontrol = true\nteacher = true", "labels alone"),
    ("[variants.a", "TOML"),
    ("recipe = 'mri4p-mobilenetv3'\n[variants.a]", "did you mean 'mri4p-mobilenetv2'"),
    ("overrides = ['seed=3']\n[variants.a]", "set seeds of the study"),
    ("[variants.a]\noverrides = { data.folds = 3 }", "set folds of the study"),
    ("[variants.a]\noverrides = ['qat.training.epochs=3']", "float students"),
    ("[variants.a]\noverrides = { student.widht = 0.5 }", "did you mean 'width'"),
    ("[variants.a]\noverrides = ['student.width']", "section.key=value"),
    ("[variants.a]\n[variants.b]\noverrides = ['data.options={size=64}']", "the images of variants.a"),
    ("[variants.a]\noverrides = ['teacher.bundle=runs/t']", "may have learnt from the test images"),
    ("[variants.a]\n[variants.b]\noverrides = ['distillation.losses={kdd=1.0}']", "did you mean 'kd'"),
    ("[variants.a]\ncontrol = true\noverrides = ['student.network=mobilenetv3']", "did you mean"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_a_mistake_is_one_error_before_any_training(tmp_path, text, message):
    (tmp_path / "s.toml").write_text(text)
    with pytest.raises(EdgekdError, match=message):
        running.check_cells(plan.cells(schema.load(tmp_path / "s.toml")))


def test_cells_are_all_combinations_with_the_control_first(write_study):
    study = schema.load(write_study("[3, 5]"))
    cells = plan.cells(study)
    found = [(c.variant, c.fold, c.seed) for c in cells]
    assert found == [(v, f, s) for s in (3, 5) for f in (0, 1) for v in ("control", "kd")]
    for cell in cells:
        r = cell.recipe
        assert (r.seed, r.split_seed, r.data.folds, r.data.fold) == (cell.seed, 0, 2, cell.fold)
        assert (r.qat.enabled, r.training.epochs, r.student.width) == (False, 2, 0.35)
        assert cell.teacher_seed == 0
    assert [c.is_taught for c in cells] == [False, True] * 4


def test_some_folds_may_be_run_first(tmp_path):
    (tmp_path / "s.toml").write_text("folds = 5\nonly_folds = [3, 1]\n[variants.a]")
    assert [(c.recipe.data.folds, c.fold) for c in plan.cells(schema.load(tmp_path / "s.toml"))] == [(5, 1), (5, 3)]


def test_teachers_may_have_seeds_too_and_a_study_may_keep_the_recipes_split(tmp_path):
    (tmp_path / "s.toml").write_text("teachers = 'per_seed'\nfolds = 0\nseeds = [1, 2]\n[variants.a]\nteacher = false")
    cells = plan.cells(schema.load(tmp_path / "s.toml"))
    assert [(c.teacher_seed, c.recipe.data.folds, c.is_taught) for c in cells] == [(1, 0, False), (2, 0, False)]
