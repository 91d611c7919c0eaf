"""evaluate --calibration: what temperatures do, of all networks of a run and its files, on one page."""

import json
import shutil
from pathlib import Path

import pytest

from edgekd import evaluate
from edgekd.data.phantom import phantom
from edgekd.errors import EdgekdError
from edgekd.measures.temperature import Calibration
from edgekd.section import validate

MODELS = Path(__file__).parents[1] / "models"
A, B = MODELS / "mri4p-mobilenetv2", MODELS / "mri4p-efficientnet-lite0"


def test_two_runs_without_their_images(tmp_path, capsys):
    evaluate.main([str(A), "--beside", str(B), "--calibration", "--out", str(tmp_path)])
    told = capsys.readouterr().out
    assert "without files (tflite-int8)" in told
    found = validate(Calibration, json.loads((tmp_path / "calibration.json").read_text()), "it", from_json=True)
    assert [n.network for n in found.networks] == ["mobilenetv2", "efficientnet_lite0"]
    stored = json.loads((A / "evaluation/test.json").read_text())
    assert found.networks[0].after.ece == pytest.approx(stored["ece"])
    assert found.networks[0].after.nll == pytest.approx(stored["nll"])
    (finding,) = found.findings
    assert finding.claim.startswith("MobileNetV2 has a lower ECE")
    assert f"{finding.change.value:+.4f}" in told
    page = (tmp_path / "calibration.html").read_text()
    assert finding.verdict in page
    assert page.count("<tr>") == 1 + 2 + 1 + 1
    assert (tmp_path / "calibration.png").stat().st_size > 10_000


def test_a_run_with_teacher_and_files(tmp_path):
    """The teacher and its student are found beside each other; the file is asked for the test images of the run's data."""
    from PIL import Image

    run, images = tmp_path / "run", tmp_path / "images"
    shutil.copytree(A, run)
    shutil.copytree(A, run / "teacher")
    for folder, role in ((run, "student"), (run / "teacher", "teacher")):
        manifest = json.loads((folder / "manifest.json").read_text())
        names = manifest["label_names"]
        manifest |= {"role": role}
        manifest["recipe"]["data"] = {"source": "folder", "path": str(images)}
        manifest["recipe"]["cache"] = str(tmp_path / "cache")
        (folder / "manifest.json").write_text(json.dumps(manifest))
    for split in ("train", "test"):
        for index, name in enumerate(names):
            path = images / split / name / f"{index}.png"
            path.parent.mkdir(parents=True)
            Image.fromarray(phantom(3, index, 64).image).save(path)
    evaluate.main([str(run), "--calibration", "--out", str(tmp_path / "out")])
    found = json.loads((tmp_path / "out/calibration.json").read_text())
    assert [n["name"] for n in found["networks"]] == ["teacher", "student", "tflite-int8"]
    assert found["networks"][2]["images"] == 4
    assert next(f["claim"] for f in found["findings"]) == "the teacher is over-confident"


def test_what_has_no_effect_is_refused():
    with pytest.raises(EdgekdError, match="--calibration with it"):
        evaluate.main([str(A), "--beside", str(B)])
