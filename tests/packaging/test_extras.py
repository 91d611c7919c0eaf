"""Every command with every extra, outside the repository: it works, or says before any work which extra is missing."""

import gzip
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image

from edgekd.data import phantom

ROOT = Path(__file__).parents[2]
MODEL = ROOT / "models" / "mri4p-mobilenetv2"
REPORT = ROOT / "benchmarks" / "results" / "mri4p-mobilenetv2.report.json.gz"
TINY = [
    "data.options={train=64, val=0, test=32, size=48}",
    "data.validation_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=16, warmup_epochs=0}",
    "student.width=0.35",
    "training={epochs=1, batch_size=16, warmup_epochs=0}",
    "qat.training={epochs=2}",
]
SETTINGS = tuple(part for setting in TINY for part in ("--set", setting))
QUICK = ("--rounds", "1", "--runs", "3", "--seconds", "1", "--threads", "1")


@dataclass(frozen=True)
class Case:
    """A command line of `edgekd`, the extras it needs, and another that does as well, or does for some bundles."""

    name: str
    line: tuple[str, ...]
    needs: frozenset[str]
    instead: str = ""


def case(name, line, *needs, instead=""):
    return Case(name, tuple(line), frozenset(needs), instead)


FILE = ("--format", "tflite-int8")
CASES = [
    case("audit", ("audit", "images"), "audit"),
    case("audit of phantoms by a recipe", ("audit", "images", "--recipe", "own.toml"), "audit"),
    case("audit of .mat files", ("audit", "mat"), "audit", "medical"),
    case("audit of NIfTI volumes", ("audit", "nii"), "audit", "medical"),
    case("train", ("train", *SETTINGS, "--out", "run"), "train"),
    case("distill", ("distill", *SETTINGS, "--out", "run"), "train"),
    case("evaluate the network", ("evaluate", "bundle", "--data", "images"), "train", instead="export"),
    case("evaluate a file", ("evaluate", "bundle", *FILE, "--data", "images"), "export"),
    case("evaluate on NIfTI volumes", ("evaluate", "bundle", *FILE, "--data", "nii"), "export", "medical"),
    case("export --list", ("export", "--list")),
    case("export", ("export", "bundle"), "export"),
    case(
        "export the float network",
        ("export", "bundle", "--format", "onnx"),
        "export",
        "train",
        instead="export",
    ),
    case("export by nncf", ("export", "bundle", "--format", "openvino-int8", "--ptq", "nncf"), "nncf", "train"),
    case("export by another converter", ("export", "bundle", "--via", "litert-torch"), "convert"),
    case("benchmark", ("benchmark", "bundle", *FILE, "--data", "images", *QUICK), "export"),
    case("benchmark compare", ("benchmark", "compare", "report.json", "report.json"), "export", instead="train"),
    case("explain", ("explain", "bundle", "bundle/golden/1.png"), "export"),
    case(
        "explain by superpixels", ("explain", "bundle", "bundle/golden/1.png", "--method", "lime"), "export", "explain"
    ),
    case("embed", ("embed", "bundle", "--app", "app"), "export"),
]
BRINGS = {"export": {"audit"}, "explain": {"audit", "export"}, "train": {"audit"}}


@pytest.fixture
def place(tmp_path):
    """A folder with all that the commands read: a bundle, images, a report, an app."""
    shutil.copytree(MODEL, tmp_path / "bundle")
    (tmp_path / "app" / "app" / "src" / "main").mkdir(parents=True)
    (tmp_path / "report.json").write_bytes(gzip.decompress(REPORT.read_bytes()))
    (tmp_path / "own.toml").write_text("audit.similar = 0.85\n")
    (tmp_path / "mat").mkdir()
    for i in range(16):
        label, pixels = phantom.LABEL_NAMES[i % 4], phantom.phantom(1, i, 64).image
        for folder in ("images", "nii"):
            (tmp_path / folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "images" / label / f"{i}.png")
        volume = np.repeat(pixels[..., None], 3, axis=2).astype(np.int16)
        nibabel.save(nibabel.Nifti1Image(volume, np.eye(4)), tmp_path / "nii" / label / f"{i}.nii.gz")
        with h5py.File(tmp_path / "mat" / f"{i}.mat", "w") as file:
            file["cjdata/image"], file["cjdata/label"] = pixels.astype(np.int16), [[1.0 + i % 3]]
            file["cjdata/PID"] = np.array([[ord(c)] for c in f"{i:06d}"], np.uint16)
    return tmp_path


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def check(environment, extras, case, place):
    """The command works where it can, or names an extra that is missing and leaves everything as it was."""
    present = set(filter(None, extras.split(",")))
    present |= set().union(*(BRINGS.get(extra, set()) for extra in present))
    before = content(place)
    done = environment(extras).run("edgekd", *case.line, cwd=place)
    assert "Traceback" not in done.stderr + done.stdout
    assert "internal error" not in done.stderr
    missing = case.needs - present
    may_work = case.instead in present
    if not missing or (may_work and not done.returncode):
        assert done.returncode == 0, done.stderr + done.stdout
        return
    assert done.returncode == 2, done.stderr + done.stdout
    assert done.stderr.startswith("error: ")
    found = re.search(r'pip install "edgekd\[(.+)\]"', done.stderr)
    assert found, done.stderr
    assert set(found[1].split(",")) <= missing
    assert content(place) == before


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
@pytest.mark.parametrize("extras", ["", "audit", "audit,medical", "export"])
def test_a_command_works_or_says_what_is_missing(environment, extras, case, place):
    check(environment, extras, case, place)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_command_works_with_train_alone_or_says_what_is_missing(environment, case, place):
    check(environment, "train", case, place)
