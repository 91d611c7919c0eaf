"""A run's folder: a new run takes away what runs write and nothing that its recipe reads."""

import pytest

from edgekd import distill, recipe, train
from edgekd.errors import EdgekdError
from edgekd.training import folders


def test_clear_removes_what_runs_write_and_nothing_else(tmp_path):
    for name in ("manifest.json", "training/last.safetensors", "teacher/manifest.json", "mine.txt", "photos/1.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    folders.clear(tmp_path, folders.of_run(recipe.load(), tmp_path))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine.txt", "photos"]


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("x")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "teacher").symlink_to(tmp_path / "elsewhere")
    folders.clear(tmp_path / "run", folders.of_run(recipe.load(), tmp_path / "run"))
    assert not list((tmp_path / "run").iterdir())
    assert (tmp_path / "elsewhere" / "file").exists()


@pytest.mark.parametrize("bundle", ["run/teacher", "run/../run/teacher", "link"])
def test_a_teacher_in_the_folder_that_is_read_stays(tmp_path, monkeypatch, bundle):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "run" / "teacher")
    given, folder = recipe.load(None, [f"teacher.bundle={bundle}"]), tmp_path / "run"
    assert set(folders.of_run(recipe.load(), folder)) - set(folders.of_run(given, folder)) == {"teacher"}
    elsewhere = recipe.load(None, ["teacher.bundle=other/teacher"])
    assert "teacher" in folders.of_run(elsewhere, folder)


READ = [
    "teacher.checkpoint={out}/teacher/weights.safetensors",
    "teacher.weights={out}/control/weights.safetensors",
    "teacher.bundle={out}",
    "teacher.bundle={out}/control",
    "student.weights={out}/weights.safetensors",
    "data={{source='folder', path='{out}/training'}}",
    "data={{source='folder', path='{out}'}}",
    "data={{unlabelled='{out}/training'}}",
    "data={{source='csv', path='{out}/list.csv'}}",  # its images lie beside it
    "data={{source='csv', path='list.csv', options={{root='{out}/golden'}}}}",
]


@pytest.mark.parametrize("setting", READ)
@pytest.mark.parametrize("flag", ["--overwrite", "--resume"])
def test_what_the_recipe_reads_is_neither_removed_nor_written_over(tmp_path, setting, flag):
    out = tmp_path / "run"
    for name in ("teacher/weights.safetensors", "control/weights.safetensors", "weights.safetensors", "training/1.png"):
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_text("mine")
    before = sorted(out.rglob("*"))
    with pytest.raises(EdgekdError, match="without losing what it reads") as caught:
        distill.main(["--out", str(out), flag, "--set", setting.format(out=out)])
    assert setting.partition("=")[0] in str(caught.value)
    assert "--out" in caught.value.todo
    assert sorted(out.rglob("*")) == before


def test_a_teacher_is_not_trained_into_what_it_starts_from(tmp_path):
    weights = tmp_path / "teacher" / "weights.safetensors"
    weights.parent.mkdir()
    weights.write_text("mine")
    with pytest.raises(EdgekdError, match=r"teacher\.weights"):
        train.main(["--out", str(tmp_path), "--overwrite", "--set", f"teacher.weights={weights}"])
    assert weights.read_text() == "mine"


def test_a_teacher_that_is_read_is_not_trained(tmp_path):
    with pytest.raises(EdgekdError, match="a recipe with a teacher to train"):
        train.main(["--out", str(tmp_path / "run"), "--set", "teacher.bundle=somewhere"])
    assert not (tmp_path / "run").exists()
