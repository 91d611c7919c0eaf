"""The table of NeuroTriad-ViT: real counts beside the stated ones, every line a recipe, and tiny from end to end."""

import importlib
import json
from pathlib import Path

import pytest

from edgekd import named
from edgekd.bundle import Bundle
from edgekd.networks.committee import COMMITTEE
from edgekd.training import check

ROOT = Path(__file__).parents[1]


@pytest.fixture
def script(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    found = importlib.import_module("neurotriad")
    monkeypatch.setattr(found, "RESULTS", tmp_path)
    return found


def test_real_counts_stand_beside_the_stated_ones(script):
    shown = [entry for entry in script.TABLE if not entry.recipe.startswith("committee")]
    found = {entry.name: (entry.parameters, script.full_size(entry)) for entry in shown}
    assert found["ViT"] == ("235 M", 85_801_732)
    assert found["hybrid EfficientNet-B0 + ViT"] == ("90.5 M", 90_335_872)
    assert found["EfficientNet-Lite0, taught"] == ("7.9 M", 3_376_132)
    assert found["MobileNetV2, taught"][1] == 2_228_996
    wide = script.Entry("wide", "neurotriad-vit-wide", "teacher", "")
    assert script.full_size(wide) == pytest.approx(234.6e6, rel=1e-3)


def test_every_line_is_a_recipe_whose_small_form_starts(script):
    for entry in script.TABLE:
        assert entry.recipe in named.names("recipes")
        if not entry.recipe.startswith("committee"):  # their members have to be there first
            made = script.teacher_recipe(entry.recipe)
            assert made.data.source == "phantom"
            assert (made.data.options["train"], made.data.note, made.student.weights) == (640, "", "")
            assert made.training.schedule == made.teacher.training.schedule == "plateau"
            if entry.role == "teacher":
                check.recipe(made)
    vgg = script.member_recipe("vgg16").teacher
    assert (vgg.network, vgg.options) == ("vgg11_bn", {"mlp_ratio": 0.125})


def test_the_table_shows_what_is_there_and_what_is_not(script):
    here = {"accuracy": 0.5, "interval": [0.45, 0.55], "macro_f1": 0.49, "temperature": 1.2, "ece_before": 0.1}
    here |= {"ece": 0.05, "ece_noise_floor": 0.03, "parameters": 2_228_996, "seconds": 9.0}
    rows = [vars(entry) | {"full_size": 85_801_732, "here": None, "control": None} for entry in script.TABLE]
    rows[-1] |= {"here": here, "control": here | {"accuracy": 0.4}}
    lines = script.markdown({"rows": rows}).splitlines()
    assert "| ViT | 94.6 | not run yet |" in lines[2]
    assert "| 235 M | 85.8 M |" in lines[2]
    shown = "| MobileNetV2, taught | ~94 | 50.00 [45.0, 55.0] | 0.490 | 1.20 | 0.100 → 0.050 (0.030) |"
    assert lines[-2].startswith(shown)
    assert "| MobileNetV2, taught (control) |  | 40.00 [" in lines[-1]
    assert len(lines) == 2 + len(script.TABLE) + 1


@pytest.mark.slow
def test_from_end_to_end_and_again(script, monkeypatch, tmp_path):
    tiny = ["data.options={train=48, val=24, test=24, size=48}", "data.note=", "input.size=32", "qat.enabled=false"]
    monkeypatch.setattr(script, "SCALE", tiny)
    one = "{epochs=1, batch_size=16}"
    monkeypatch.setattr(script, "TRAINING", one)
    monkeypatch.setattr(script, "STUDENT", one)
    members = [f"{{network='{name}'}}" for name in ("mobilenetv2_035", "mobilenetv3_small_050", "resnet10t")]
    monkeypatch.setattr(script, "MEMBERS", dict(zip(script.MEMBERS, members, strict=True)))
    small = "{network='hybrid_cnn_vit', options={backbone='mobilenetv2_035', depth=1, dim=32, heads=2, hidden=16}}"
    monkeypatch.setattr(script, "SMALL", dict.fromkeys(script.SMALL, small))
    monkeypatch.setattr(script, "EXPLAINED", 2)
    for _ in range(2):
        for job in (0, 1):
            script.teach(job)
        times = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    script.explain()
    script.table()
    assert times == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("weights.safetensors")}
    document = json.loads((tmp_path / "neurotriad.json").read_text())
    assert all(row["here"] for row in document["rows"])
    for entry in script.TABLE:
        network = Bundle.open(script.folder_of(entry.recipe, entry.role)).manifest.network.network
        assert (network == COMMITTEE) == entry.recipe.startswith("committee")
    assert (script.FOLDER / "explanations" / "faithfulness.json").exists()
