"""Running studies: what is there is kept, a failure is a row, and no teacher of a fold has seen its test patients."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors import safe_open

from edgekd import study as command
from edgekd.bundle import Bundle
from edgekd.data.chosen import choose
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.recipe import recorded
from edgekd.studies import result as results
from edgekd.studies import running
from edgekd.training import teachers

FEW = "data.labelled_fraction = 0.5\n"
MANIFESTS = "*/*/manifest.json"


def part_of(found: results.Result, folds: tuple[int, ...]) -> set[int]:
    return {i for run in found.runs if run.fold in folds for i in run.images}


def times(out: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in out.glob(MANIFESTS)}


def test_only_what_is_missing_runs_and_a_failure_is_a_row(write_study, run_study, tmp_path, capsys):
    first = run_study(write_study())
    assert [(r.variant, r.fold, r.seed, r.reason) for r in first.runs] == [
        (v, f, 0, "") for f in (0, 1) for v in ("control", "kd")
    ]
    answered = [i for run in first.runs if run.variant == "kd" for i in run.images]
    assert sorted(answered) == list(range(len(first.images))) == list(range(48))
    made = times(tmp_path / "out")
    assert len(made) == 4 + 2  # a teacher for each fold
    capsys.readouterr()

    broken = "[variants.broken]\noverrides = { training.learning_rate = 1e30, training.gradient_clip = 0.0 }\n"
    second = run_study(write_study("[0, 1]", broken))
    told = capsys.readouterr().out
    assert "failed: broken, fold 1, seed 1" in told
    later = times(tmp_path / "out")
    assert {path: later[path] for path in made} == made
    assert len(later) == 8 + 2  # the teachers are those of all seeds
    rows = {row.variant: row for row in second.table}
    assert (rows["control"].runs, rows["kd"].runs, rows["broken"].runs) == (4, 4, 0)
    assert rows["kd"].gain.answers == 96
    assert all("finite" in run.reason for run in second.runs if run.variant == "broken")
    kept = {(r.variant, r.fold, r.seed): r for r in second.runs}
    assert all(kept[r.variant, r.fold, r.seed] == r for r in first.runs)

    read = run_study(write_study("[0, 1, 2]"), trains=False)
    assert [r.reason for r in read.runs if r.seed == 2] == ["not run yet"] * 4
    assert times(tmp_path / "out") == later
    check_a_bundle(tmp_path / "out", second)


def test_images_without_labels_in_one_fold_are_answered_in_another(write_study, run_study, tmp_path):
    """Each fold takes the labels of other patients away; all have theirs where they are tested."""
    path = write_study()
    path.write_text(path.read_text().replace("folds = 2", "folds = 3").replace("[variants.kd]", FEW + "[variants.kd]"))
    found = run_study(path)
    assert [run.reason for run in found.runs] == [""] * 6
    assert len(found.images) == 48
    for variant in ("control", "kd"):
        assert sorted(i for run in found.runs if run.variant == variant for i in run.images) == list(range(48))
    for run in found.runs:
        with safe_open(tmp_path / "out" / run.folder / "evaluation/test.safetensors", framework="np") as file:
            names, labels = json.loads(file.metadata()["names"]), file.get_tensor("labels")
        assert names == [found.images[i].name for i in run.images]
        assert labels.tolist() == [found.images[i].label for i in run.images]
    (tmp_path / "new").mkdir()
    (tmp_path / "out" / results.NAME).rename(tmp_path / "new" / results.NAME)
    assert run_study(path, "new", trains=False).runs == found.runs
    path.write_text(path.read_text().replace("folds = 3", "folds = 3\nonly_folds = [0, 2]"))
    part = run_study(path, "new", trains=False)  # of images it counts those that it answers
    assert [i.name for i in part.images] == [found.images[i].name for i in sorted(part_of(found, (0, 2)))]


def test_answers_in_study_json_count_though_the_bundles_are_gone(write_study, run_study, tmp_path, capsys):
    """On a new machine only what is missing runs, teachers included; another set of images asks anew."""
    first = run_study(write_study())
    (tmp_path / "new").mkdir()
    (tmp_path / "out" / results.NAME).rename(tmp_path / "new" / results.NAME)
    hot = "[variants.hot]\noverrides = { training.label_smoothing = 0.3 }\n"
    second = run_study(write_study(more=hot + "teacher = false\n", cache="other"), "new")
    kept = [run for run in second.runs if run.variant != "hot"]
    assert kept == list(first.runs)
    assert len(times(tmp_path / "new")) == 2  # of hot in two folds; no teacher
    path = write_study()
    path.write_text(path.read_text().replace("train = 40", "train = 44"))
    assert {r.reason for r in run_study(path, "new", trains=False).runs} == {"not run yet"}


def check_a_bundle(out: Path, found: results.Result) -> None:
    """A run is a normal bundle: evaluated anew it answers the images of its fold."""
    run = next(r for r in found.runs if r.variant == "kd" and r.fold == 1)
    bundle = Bundle.open(out / run.folder)
    recipe = recorded(bundle.manifest.recipe, "it")
    names = [s.name for s in choose(recipe, bundle, None, own_data=True).samples]
    assert names == [found.images[i].name for i in run.images]
    assert bundle.manifest.teacher.weights_sha256 == sha256_file(out / run.teacher / "weights.safetensors")


def test_a_teacher_that_fails_fails_once_for_all_whom_it_teaches(write_study, run_study, monkeypatch):
    calls = []

    def fail(*_):
        calls.append(1)
        raise MemoryError("no room")

    monkeypatch.setattr(teachers, "teacher", fail)
    found = run_study(write_study("[0, 1]"))
    assert len(calls) == 2  # one for each fold
    reasons = {run.reason for run in found.runs if run.variant == "kd"}
    assert reasons == {"its teacher: MemoryError: no room"}
    assert [row.runs for row in found.table] == [4, 0]


def test_seeds_of_variants_share_what_teachers_say(write_study, run_study, tmp_path, monkeypatch):
    """Two variants of one seed and fold ask the teacher once."""
    from edgekd.distillation.teacher_outputs import TeacherOutputs

    calls, original = [], TeacherOutputs._run
    monkeypatch.setattr(TeacherOutputs, "_run", lambda *a: calls.append(1) or original(*a))
    run_study(write_study())
    asked = len(calls)
    run_study(write_study(more="[variants.cold]\noverrides = { distillation.kd_temperature = 2.0 }\n"))
    assert len(calls) == asked > 0


def test_a_network_of_several_committees_is_trained_once(write_study, run_study, tmp_path):
    of = 'network = "{}", training = {{ epochs = 1, batch_size = 8 }}'
    one, other = (f"{{ {of.format(name)} }}" for name in ("mobilenetv2_035", "mobilenetv2_050"))
    more = f"""
[variants.alone]
overrides = {{ teacher.members = [{one}], distillation.losses = {{ attention_transfer = 1.0 }} }}
[variants.both]
overrides = {{ teacher.members = [{one}, {other}] }}
"""
    text = write_study(more=more).read_text().replace("folds = 2", "folds = 2\nonly_folds = [1]")
    study = tmp_path / "committees.toml"
    study.write_text(re.sub(r"(?m)^teacher\.\w+ = .*\n|^\[variants.kd\]\n", "", text))
    found = run_study(study)
    assert [run.reason for run in found.runs] == [""] * len(found.runs)
    members = sorted(path.name.rpartition("-")[0] for path in tmp_path.rglob("teachers/members/*-*") if path.is_dir())
    assert members == ["mobilenetv2_035", "mobilenetv2_050"]
    teachers = {run.teacher for run in found.runs if run.variant != "control"}
    assert len(teachers) == 2


def test_one_process_at_a_time_runs_a_study(tmp_path):
    with running.only_one(tmp_path), pytest.raises(EdgekdError, match="another process"), running.only_one(tmp_path):
        pass


def draw(folder: Path, marked: str | None) -> None:
    """Patients of two or three slices in a CSV; the slices of the marked one are noise."""
    rng, lines = np.random.default_rng(0), ["path,label,patient,split"]
    for patient in range(30):
        for i in range(2 + patient % 2):
            name = f"p{patient}-{i}.png"
            pixels = rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)
            if f"p{patient}" == marked:
                pixels = 255 - pixels
            Image.fromarray(pixels).save(folder / name)
            lines.append(f"{name},{'ab'[patient % 2]},p{patient},{('train', 'val', 'test')[patient % 3]}")
    (folder / "set.csv").write_text("\n".join(lines))


def weights(out: Path, found: results.Result, fold: int) -> dict[str, tuple]:
    """By variant what a fold's networks are: weights, temperature and best epoch of student and teacher."""
    made = {}
    for run in found.runs:
        if run.fold == fold:
            for role, folder in (("student", run.folder), ("teacher", run.teacher)):
                if folder:
                    bundle = Bundle.open(out / folder)
                    m = bundle.manifest
                    log = (bundle.folder / "log.csv").read_text().splitlines()
                    best = [line.split(",")[log[0].split(",").index("val_nll")] for line in log[1:]]
                    made[run.variant, role] = (m.files["weights.safetensors"].sha256, m.temperature, tuple(best))
    return made


def test_a_folds_test_patients_decide_nothing_of_its_networks(write_study, run_study, tmp_path):
    """Other pixels of one patient: the fold that tests it ends with the same bits, the fold that trains on it does not."""
    found = {}
    for name, marked in (("plain", None), ("marked", "p7")):
        (tmp_path / name).mkdir()
        draw(tmp_path / name, marked)
        path = write_study()
        text = path.read_text()
        begin, end = text.index("data.options"), text.index("data.validation_fraction")
        data = f'data.source = "csv"\ndata.path = "{tmp_path / name / "set.csv"}"\n'
        path.write_text(text[:begin] + data + text[end:])
        found[name] = run_study(path, out=f"out-{name}")
    where = [
        next(run.fold for run in found[name].runs if any(found[name].images[i].name == "p7-0.png" for i in run.images))
        for name in found
    ]
    assert where[0] == where[1]
    fold = where[0]
    plain = [weights(tmp_path / "out-plain", found["plain"], f) for f in (fold, 1 - fold)]
    marked = [weights(tmp_path / "out-marked", found["marked"], f) for f in (fold, 1 - fold)]
    assert len(plain[0]) == 3  # control, student and its teacher
    assert plain[0] == marked[0]
    assert all(plain[1][key] != marked[1][key] for key in plain[1])


MOMENTS = [
    ("edgekd.training.checkpoint.save", 4),  # in the teacher of the first fold, after the control and one epoch
    ("edgekd.training.checkpoint.save", 3),  # in the second epoch of the student that it teaches
    ("edgekd.studies.running.record", 2),  # between two runs
    ("edgekd.studies.result.write_atomic", 1),  # a run is finished, and study.json does not have it yet
    ("edgekd.reports.study_page.write_atomic", 2),  # between the table and the page
]


def test_killed_studies_end_with_the_same_bits(study_killed_at, write_study, tmp_path):
    path = write_study(cache="whole-cache")
    whole = study_killed_at("never", 0, str(path), "--out", str(tmp_path / "whole"))
    assert whole.returncode == 0, whole.stderr
    path = write_study(cache="killed-cache")
    arguments = (str(path), "--out", str(tmp_path / "killed"))
    told = []
    for place, calls in MOMENTS:
        killed = study_killed_at(place, calls, *arguments)
        assert killed.returncode == -9, f"{place}: not reached\n{killed.stderr}"
        told.append([not run.reason for run in results.load(tmp_path / "killed").runs])
    # A run that ends is in study.json at once, so that the study goes on where only that is brought along.
    assert told == [[True, False, False, False]] * 2 + [[True, True, False, False]] * 2 + [[True] * 4]
    finished = study_killed_at("never", 0, *arguments)
    assert finished.returncode == 0, finished.stderr
    found = [untimed(tmp_path / name) for name in ("whole", "killed")]
    assert found[0] == found[1]
    names = [
        {
            path.parent.relative_to(tmp_path / name): sha256_file(path)
            for path in (tmp_path / name).glob("*/*/weights.*")
        }
        for name in ("whole", "killed")
    ]
    assert names[0] == names[1]
    assert len(names[0]) == 6
    assert sha256_file(tmp_path / "whole/forest.png") == sha256_file(tmp_path / "killed/forest.png")
    assert not list((tmp_path / "killed").rglob("*.tmp"))


def untimed(folder: Path) -> str:
    """study.json without the seconds and the cache's place."""
    values = json.loads((folder / results.NAME).read_text())
    for row in (*values["runs"], *values["table"]):
        del row["seconds"]
    del values["study"]["overrides"]["cache"]
    return json.dumps(values)


def test_the_command_compares_and_refuses(write_study, run_study, tmp_path, capsys):
    run_study(write_study(), "a", trains=False)
    with pytest.raises(EdgekdError, match="runs of one variant"):
        command.main(["compare", str(tmp_path / "a"), str(tmp_path / "a")])
    with pytest.raises(EdgekdError, match="no such file"):
        command.main([str(tmp_path / "none.toml")])
    with pytest.raises(EdgekdError, match="the result of a study"):
        command.main(["compare", str(tmp_path), str(tmp_path)])
