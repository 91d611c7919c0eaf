"""Every `next:` line that a command prints works as printed, in the place and at the moment in which it is read."""

import importlib
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from edgekd import audit, distill, train
from edgekd.bundle import Bundle
from edgekd.data import phantom
from edgekd.files import sha256_file
from edgekd.training import stages

SMALL = (
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=8}",
    "student.width=0.35",
    "training={epochs=1, batch_size=8}",
    "qat.training={epochs=1, batch_size=8}",
    "qat.frozen_epochs=0",
    "qat.representative_images=16",
)
PHANTOMS = "data.options={train=32, val=0, test=16, size=48}", "data.validation_fraction=0.25"


def settings(*values):
    return [word for value in (*SMALL, *values) for word in ("--set", value)]


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """A folder with a name that a shell would take apart."""
    folder = tmp_path / "a place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def follow(capsys):
    """A function that runs a command, then what it says comes next, and so on; gives the commands' names."""

    def start(main, arguments):
        names = [main.__module__.removeprefix("edgekd.")]
        while True:
            capsys.readouterr()
            assert not main(arguments), names
            lines = re.findall(r"^next: +(.*)$", capsys.readouterr().out, re.MULTILINE)
            if not lines:
                return names
            (line,) = lines
            python, dash_m, module, *arguments = shlex.split(line)
            assert (python, dash_m) == ("python", "-m")
            main = importlib.import_module(module).main
            names.append(module.removeprefix("edgekd."))

    return start


def images(folder):
    """Two copies of one picture, so that there is a clean split to train on."""
    for index in range(64):
        file = folder / phantom.LABEL_NAMES[index % 4] / f"{index}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom.phantom(0, index % 60, 64).image).save(file)
    return folder


def test_the_commands_that_print_such_lines_are_those_that_are_followed_here():
    package = Path(audit.__file__).parent
    found = {
        p.relative_to(package).as_posix() for p in package.rglob("*.py") if re.search(r"[\"']next:", p.read_text())
    }
    assert found == {"audit.py", "train.py", "distill.py"}


def test_from_the_audit_of_phantoms(follow):
    assert follow(audit.main, settings(*PHANTOMS)) == ["audit", "distill", "export"]


@pytest.mark.parametrize("out", [[], ["--out", "my images"]], ids=["elsewhere", "beside the images"])
def test_from_the_audit_of_a_folder(follow, out):
    images(Path("my images"))
    names = follow(audit.main, ["my images", *out, *settings("qat.enabled=false")])
    assert names == ["audit", "distill", "evaluate"]
    recipe = Bundle.open("runs/default").manifest.recipe
    assert recipe["data"]["path"].endswith("split.csv")


def test_from_a_teacher_on(follow, monkeypatch):
    images(Path("my images"))
    arguments = ["--data", "my images", "--out", "my runs/one", *settings("qat.enabled=false")]
    assert follow(train.main, arguments) == ["train", "distill", "evaluate"]
    first = Bundle.open("my runs/one").manifest

    # Another teacher in the same place: the student starts anew, and this teacher is the one that is read.
    trained, fit = [], stages.Trainer.fit
    monkeypatch.setattr(stages.Trainer, "fit", lambda self, watcher: trained.append(self.folder) or fit(self, watcher))
    again = [*arguments, "--set", "seed=1", "--overwrite"]
    assert follow(train.main, again) == ["train", "distill", "evaluate"]
    assert trained == [Path("my runs/one/teacher/training"), Path("my runs/one/training")]
    second = Bundle.open("my runs/one").manifest
    assert second.teacher.weights_sha256 == sha256_file("my runs/one/teacher/weights.safetensors")
    assert second.teacher.weights_sha256 != first.teacher.weights_sha256


def test_a_teacher_can_be_trained_before_the_students_first_weights_are_there(place):
    train.main(settings(*PHANTOMS, "student.weights=not there.safetensors"))
    with pytest.raises(Exception, match=r"not there\.safetensors"):
        distill.main(["--resume", *settings(*PHANTOMS, "student.weights=not there.safetensors")])


def test_from_a_student_that_cannot_be_lowered(follow):
    other = "student.network=mobilenetv3_small_050", "student.width=1.0", "qat.enabled=false"
    assert follow(distill.main, ["--out", "my run", *settings(*PHANTOMS, *other)]) == ["distill", "evaluate"]
