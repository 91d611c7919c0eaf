"""Settings that decide nothing are errors that name the reason; what an override leaves idle in a file is left out."""

import pytest

from edgekd import idle, recipe
from edgekd.errors import EdgekdError

HEAD = "{epochs=2, learning_rate=1e-3, train='head'}"
TOP = "{epochs=3, learning_rate=1e-4, train='top', schedule='plateau'}"
# section, what is set there together, the setting without effect, the reason
IDLE = [
    ("data", "path='x'", "path", "data.source"),
    ("data", "folds=3, test_fraction=0.2", "test_fraction", "data.folds"),
    ("input", "crop_fraction=0.9", "crop_fraction", "input.fit"),
    ("augment", "elastic_sigma=2.0", "elastic_sigma", "augment.elastic_alpha"),
    (
        "distillation",
        "distill_loss_weight=0.0, kd_temperature=2.0",
        "kd_temperature",
        "distillation.distill_loss_weight",
    ),
    ("distillation", "distill_loss_weight=0.0, losses={dkd=1.0}", "losses", "distillation.distill_loss_weight"),
    ("training", "plateau_patience=2", "plateau_patience", "training.schedule"),
    ("training", "plateau_factor=0.5, schedule='cosine'", "plateau_factor", "training.schedule"),
    ("training", "epochs=3, early_stopping_patience=2", "early_stopping_patience", "training.epochs"),
    ("training", "images_per_class=9, class_weights=true", "class_weights", "training.images_per_class"),
    ("training", "epochs=3, view_epochs=3", "view_epochs", "training.epochs"),
    ("qat", "training={plateau_factor=0.5}", "training.plateau_factor", "qat.training.schedule"),
    ("qat", "training={label_smoothing=0.2}", "training.label_smoothing", "qat.taught_by"),
    ("qat", "training={class_weights=false}", "training.class_weights", "qat.taught_by"),
    ("qat", "training={epochs=2}, frozen_epochs=3", "frozen_epochs", "qat.training.epochs"),
    ("qat", "training={epochs=1}, range_learning_rate_factor=5.0", "range_learning_rate_factor", "qat.frozen_epochs"),
    ("teacher", "training={plateau_patience=2}", "training.plateau_patience", "teacher.training.schedule"),
    ("teacher", "bundle='b', network='vit_tiny_patch16_224'", "network", "teacher.bundle"),
    ("teacher", "bundle='b', weights='w'", "weights", "teacher.bundle"),
    ("teacher", "bundle='b', checkpoint='c'", "checkpoint", "teacher.bundle"),
    ("teacher", "bundle='b', options={depth=2}", "options", "teacher.bundle"),
    ("teacher", "bundle='b', training={epochs=2}", "training.epochs", "teacher.bundle"),
    ("teacher", "checkpoint='c', pretrained=true", "pretrained", "teacher.checkpoint"),
    ("teacher", f"bundle='b', training={{stages=[{HEAD}]}}", "training.stages", "teacher.bundle"),
    ("teacher", "checkpoint='c', training={mixup_alpha=0.2}", "training.mixup_alpha", "teacher.checkpoint"),
]


IDLE_BY_STAGES = [
    (f"epochs=3, stages=[{HEAD}]", "epochs"),
    (f"view_epochs=5, stages=[{HEAD}, {TOP}]", "view_epochs"),
    (f"learning_rate=0.1, stages=[{HEAD}, {TOP}]", "learning_rate"),
    (f"plateau_factor=0.5, stages=[{HEAD}]", "plateau_factor"),
    (f"schedule='plateau', stages=[{TOP}]", "schedule"),
    (f"early_stopping_patience=2, stages=[{HEAD}, {TOP}]", "early_stopping_patience"),
    (
        "plateau_factor=0.5, stages=[{epochs=2, learning_rate=1, train='all', schedule='plateau', plateau_factor=0.1}]",
        "plateau_factor",
    ),
]


@pytest.mark.parametrize("section", ["training", "teacher.training"])
@pytest.mark.parametrize(("values", "setting"), IDLE_BY_STAGES)
def test_what_every_stage_decides_for_itself_has_no_effect_around_them(section, values, setting):
    with pytest.raises(EdgekdError) as caught:
        recipe.load(None, [f"{section}={{{values}}}"])
    assert f"1 problem\n  - {section}.{setting} has no effect, as {section}.stages is given\n" in str(caught.value)


@pytest.mark.parametrize(
    ("stage", "setting", "reason"),
    [
        ("train='head', top_fraction=0.5", "stages.1.top_fraction", "stages.1.train = 'head'"),
        ("train='all', plateau_factor=0.5", "stages.1.plateau_factor", "schedule = 'cosine'"),
        (
            "train='all', plateau_patience=1, schedule='cosine'",
            "stages.1.plateau_patience",
            "stages.1.schedule = 'cosine'",
        ),
    ],
)
def test_a_setting_of_a_stage_without_effect_in_it_is_an_error(stage, setting, reason):
    with pytest.raises(EdgekdError) as caught:
        recipe.load(None, [f"training.stages=[{TOP}, {{epochs=2, learning_rate=1, {stage}}}]"])
    assert f"1 problem\n  - training.{setting} has no effect, as training.{reason}\n" in str(caught.value)


def test_an_override_with_stages_leaves_out_what_a_file_said_for_all_epochs(tmp_path):
    (tmp_path / "r.toml").write_text("[training]\nepochs = 40\nlearning_rate = 0.1\nmixup_alpha = 0.2")
    found = recipe.load(tmp_path / "r.toml", [f"training.stages=[{HEAD}]"]).training
    assert found == recipe.TrainingRecipe(stages=found.stages, mixup_alpha=0.2)
    (tmp_path / "s.toml").write_text(f"[training]\nstages = [{HEAD}]")
    with pytest.raises(EdgekdError, match=r"training\.epochs has no effect, as training\.stages is given"):
        recipe.load(tmp_path / "s.toml", ["training.epochs=3"])


@pytest.mark.parametrize(("section", "values", "setting", "reason"), IDLE)
@pytest.mark.parametrize("in_file", [True, False], ids=["file", "override"])
def test_a_setting_without_effect_is_an_error_that_names_the_reason(
    tmp_path, in_file, section, values, setting, reason
):
    line = f"{section}={{{values}}}"
    (tmp_path / "r.toml").write_text(line if in_file else "")
    with pytest.raises(EdgekdError) as caught:
        recipe.load(tmp_path / "r.toml", [] if in_file else [line])
    assert f"1 problem\n  - {section}.{setting} has no effect, as {reason} = " in str(caught.value)


@pytest.mark.parametrize("in_file", [True, False], ids=["file", "override"])
def test_unlabelled_images_that_nothing_teaches_are_an_error(tmp_path, in_file):
    lines = ["data={unlabelled='x'}", "distillation={distill_loss_weight=0.0}"]
    (tmp_path / "r.toml").write_text("\n".join(lines) if in_file else "")
    with pytest.raises(
        EdgekdError, match=r"data\.unlabelled has no effect, as distillation\.distill_loss_weight = 0\.0"
    ):
        recipe.load(tmp_path / "r.toml", [] if in_file else lines)


WITH_EFFECT = [
    "data={unlabelled='x'}",
    "data={source='folder', path='x'}",
    "input={fit='crop', crop_fraction=0.9}",
    "augment={elastic_alpha=34.0, elastic_sigma=2.0}",
    "distillation={task_loss_weight=0.0, kd_temperature=2.0, losses={dkd=1.0}}",
    "distillation={distill_loss_weight=0.0, store=false}",  # the quantization-aware stage reads the store too
    "training={schedule='plateau', plateau_patience=2, plateau_factor=0.5}",
    "training={epochs=4, early_stopping_patience=2}",
    "training={label_smoothing=0.2, class_weights=false, mixup_alpha=0.2, head_learning_rate_factor=2.0}",
    f"training={{plateau_factor=0.5, plateau_patience=1, stages=[{HEAD}, {TOP}]}}",  # read in the second
    f"training={{schedule='plateau', plateau_factor=0.5, early_stopping_patience=1, stages=[{HEAD}, {TOP}]}}",
    "qat={taught_by='teacher', training={label_smoothing=0.2, class_weights=false}}",
    "qat={training={epochs=2}, frozen_epochs=2}",
    "qat={enabled=false, training={epochs=9}}",  # switched off, and kept for when it is switched on
    "teacher={bundle='b', training={precision='bf16'}}",
    "teacher={checkpoint='c', network='vit_tiny_patch16_224', options={depth=2}}",
]


@pytest.mark.parametrize("line", WITH_EFFECT)
def test_a_setting_with_effect_is_none(line):
    assert recipe.load(None, [line]) != recipe.load()


def test_defaults_are_silent():
    assert len(list(idle.settings(recipe.load()))) > 5
    assert recipe.load() == recipe.Recipe.model_validate(recipe.DEFAULT)


def test_all_are_listed_at_once():
    with pytest.raises(EdgekdError, match="2 problems") as caught:
        recipe.load(None, ["training.plateau_patience=2", "input.crop_fraction=1.0"])
    assert "training.plateau_patience" in str(caught.value)
    assert "input.crop_fraction" in str(caught.value)


FILE = """
[teacher]
network = "vit_tiny_patch16_224"
weights = "w.safetensors"
training = { epochs = 3, plateau_factor = 0.5, schedule = "plateau", precision = "bf16" }
[training]
schedule = "plateau"
plateau_patience = 7
"""


def test_what_an_override_leaves_idle_in_a_file_is_left_out(tmp_path):
    (tmp_path / "r.toml").write_text(FILE)
    found = recipe.load(tmp_path / "r.toml", ["teacher.bundle=b", "training.schedule=cosine"])
    assert found.teacher == recipe.TeacherRecipe(bundle="b", training=recipe.TrainingRecipe(precision="bf16"))
    assert found.training == recipe.TrainingRecipe()


MEMBERS = "[[teacher.members]]\nnetwork = 'a'\n[[teacher.members]]\nnetwork = 'b'\n"


@pytest.mark.parametrize("name", ["bundle", "checkpoint"])
def test_a_finished_teacher_takes_the_place_of_a_committee_and_a_committee_its(tmp_path, name):
    (tmp_path / "r.toml").write_text(MEMBERS)
    found = recipe.load(tmp_path / "r.toml", [f"teacher.{name}=b"])
    assert found.teacher == recipe.TeacherRecipe(**{name: "b"})
    (tmp_path / "r.toml").write_text(f"[teacher]\n{name} = 'b'\n")
    found = recipe.load(tmp_path / "r.toml", ["teacher.members=[{network='a'}, {network='b'}]"])
    assert [getattr(found.teacher, name), len(found.teacher.members)] == ["", 2]
    (tmp_path / "r.toml").write_text(f"[teacher]\n{name} = 'b'\n{MEMBERS}")
    with pytest.raises(EdgekdError, match=rf"teacher\.members has no effect, as teacher\.{name} = 'b'"):
        recipe.load(tmp_path / "r.toml")


def test_an_override_that_a_file_leaves_idle_is_an_error(tmp_path):
    (tmp_path / "r.toml").write_text("[teacher]\nbundle = 'b'")
    with pytest.raises(EdgekdError, match=r"teacher\.weights has no effect, as teacher\.bundle = 'b'"):
        recipe.load(tmp_path / "r.toml", ["teacher.weights=w"])


@pytest.mark.parametrize(
    ("name", "instead"),
    [("mixup_alpha=0.2", "qat.mixup_alpha"), ("head_learning_rate_factor=2.0", "qat.range_learning_rate_factor")],
)
def test_what_only_the_float_stage_has_is_looked_for_in_vain_in_the_other(name, instead):
    with pytest.raises(EdgekdError, match=f"qat.training.{name.partition('=')[0]}: .*set {instead}"):
        recipe.load(None, [f"qat.training.{name}"])
