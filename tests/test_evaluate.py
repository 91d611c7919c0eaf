"""The evaluate command on a tiny trained bundle and on image folders."""

import contextlib
import json
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from edgekd import distill, evaluate
from edgekd.bundle import Bundle
from edgekd.data.phantom import LABEL_NAMES, phantom
from edgekd.errors import EdgekdError
from edgekd.measures.evaluation import Evaluation

pytestmark = pytest.mark.pictures

TINY = [
    "data.options={train=32, val=0, test=16, size=48}",
    "data.validation_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=8}",
    "student.width=0.35",
    "training={epochs=1, batch_size=8}",
]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    arguments = ["--out", str(folder / "run"), "--control", "--set", f"cache={folder / 'cache'}"]
    for setting in TINY:
        arguments += ["--set", setting]
    distill.main(arguments)
    return folder


def test_the_run_ends_with_a_paired_comparison(run):
    found = json.loads((run / "run" / "comparison.json").read_text())
    assert set(found["networks"]) == {"teacher", "control", "student"}
    assert found["networks"]["student"]["images"] == 16
    assert 0 < found["gain"]["mcnemar_p"] <= 1
    assert (run / "run" / "comparison.png").stat().st_size > 5000


def test_own_test_split_gives_what_the_training_measured(run):
    evaluate.main([str(run / "run"), "--out", str(run / "own")])
    again = Evaluation.load(run / "own" / "evaluation.json")
    first = Evaluation.load(run / "run" / "evaluation" / "test.json")
    assert again.confusion == first.confusion
    assert again.nll == pytest.approx(first.nll, abs=1e-5)
    labels = json.loads((run / "own" / "class_labels.json").read_text())
    assert labels == {str(i): name for i, name in enumerate(LABEL_NAMES)}
    for picture in ("confusion.png", "reliability.png", "predictions.png"):
        with Image.open(run / "own" / picture) as opened:
            assert opened.width > 300


@pytest.fixture
def folder(tmp_path):
    for index in range(8):
        path = tmp_path / "images" / LABEL_NAMES[index % 4] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom(5, index, 64).image).save(path)
    return tmp_path / "images"


def test_a_folder_without_splits_is_evaluated_whole_with_tta(run, folder, tmp_path):
    evaluate.main([str(run / "run"), "--data", str(folder), "--tta", "--out", str(tmp_path / "out")])
    assert Evaluation.load(tmp_path / "out" / "evaluation.json").images == 8


def test_fewer_classes_are_matched_by_name(run, folder, tmp_path):
    for name in ("glioma", "notumor"):
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    evaluate.main([str(run / "run"), "--data", str(folder), "--out", str(tmp_path / "out")])
    found = Evaluation.load(tmp_path / "out" / "evaluation.json")
    assert [c.images for c in found.classes] == [0, 2, 0, 2]
    assert found.classes[0].auc is None


def test_an_unknown_class_names_the_nearest(run, folder):
    (folder / "gliom").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(folder / "gliom" / "x.png")
    with pytest.raises(EdgekdError, match="did you mean 'glioma'"):
        evaluate.main([str(run / "run"), "--data", str(folder)])


def test_a_changed_byte_stops_the_command_without_traceback(run, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(run / "run", copy)
    weights = copy / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = subprocess.run(
        [sys.executable, "-m", "edgekd.evaluate", str(copy)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 2
    assert "weights.safetensors" in found.stderr
    assert "Traceback" not in found.stderr
    Bundle.open(run / "run")  # the original is untouched


def test_too_many_corrupt_images_stop_and_few_are_counted(run, folder, tmp_path, capsys):
    (folder / "glioma" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    with pytest.raises(EdgekdError, match=r"torn\.png"):
        evaluate.main([str(run / "run"), "--data", str(folder), "--out", str(tmp_path / "out")])
    bundle = Bundle.open(run / "run")
    recipe = bundle.manifest.recipe
    recipe["data"]["max_corrupt"] = 0.5
    bundle.enriched(recipe=recipe)
    evaluate.main([str(run / "run"), "--data", str(folder), "--out", str(tmp_path / "out")])
    assert "torn.png" in capsys.readouterr().out
    assert Evaluation.load(tmp_path / "out" / "evaluation.json").images == 8


def test_an_artefact_with_other_classes_is_one_clear_error(run, folder, tmp_path, monkeypatch):
    thirds = SimpleNamespace(probs=lambda pixels: np.full((len(pixels), 3), 1 / 3, np.float32))
    monkeypatch.setattr(evaluate, "session_of", lambda *_: contextlib.nullcontext(thirds))
    with pytest.raises(EdgekdError, match="4 probabilities for an image"):
        evaluate.main([str(run / "run"), "--data", str(folder), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()
