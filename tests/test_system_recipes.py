"""The recipes of the published systems, tiny, on phantoms, from the command to bundles: their own losses, schedules, stages."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from edgekd import distill
from edgekd.bundle import Bundle
from edgekd.measures.evaluation import Evaluation

RECIPES = Path(__file__).parents[1] / "models" / "recipes"
PHANTOMS = {"train": 48, "val": 0, "test": 24, "size": 48}
VIT = ("network=vit_tiny_patch16_224", "options={patch_size=8, embed_dim=24, depth=4, num_heads=2}")
HYBRID = ("options={backbone='mobilenetv2_035', vit='vit_tiny_patch16_224'}",)
WIDE = ("options={depth=2, dim=32, heads=2, head_dim=32, mlp_ratio=0.5}",)
DUALPOOL = ("network=dualpool", "options={backbone='mobilenetv2_035', hidden=16}")
SHORT = "[{train='head', epochs=1, learning_rate=1e-3}, {train='top', epochs=1, learning_rate=1e-4},"
STAGES = (f"training.stages={SHORT} {{train='all', epochs=1, learning_rate=5e-5}}]",)
ONE = ("training.epochs=1",)
BALANCED = (*ONE, "training.images_per_class=16")
OPTIONS = ", ".join(f"{name}={count}" for name, count in PHANTOMS.items())
UNION = f"{{source='phantom', options={{{OPTIONS}}}, name="
PARTS = f"data.options.parts=[{UNION}'a'}}, {UNION}'b', split='train'}}]"

# recipe -> the teacher's settings, others
SMALL = {
    "neurotriad-mobilenetv2": ((*VIT, *ONE), ()),
    "neurotriad-efficientnet-lite0": ((*VIT, *ONE), ()),
    "neurotriad-vit-wide": ((*WIDE, *ONE), ()),
    "neurotriad-hybrid": ((*HYBRID, *ONE), ()),
    "neurotriad-union": (
        (*VIT, *BALANCED),
        (PARTS, "data.options.shared_groups=false", "training.images_per_class=16"),
    ),
    "efficientnetv2s-stages": ((*DUALPOOL, *STAGES), ()),
    "cross-architecture-figshare": ((*VIT, *ONE), ()),
    "lrp-cosine": ((*VIT, *ONE), ()),
    "gradcam-l2": ((*VIT, *ONE), ()),
}
BY_DEFAULT = "neurotriad-union"  # the others in `pytest -m slow`
CASES = [name if name == BY_DEFAULT else pytest.param(name, marks=pytest.mark.slow) for name in SMALL]


def settings(name, folder):
    """The `--set` values that make a recipe tiny, and leave the rest of it as it is."""
    teacher, others = SMALL[name]
    found = [f"teacher.{setting}" for setting in (*teacher, "pretrained=false", "weights=", "training.batch_size=16")]
    found += ["student.weights=", "student.width=0.2", "training.epochs=1", "training.batch_size=16", "input.size=32"]
    return [*found, *others, "data.note=", "qat.enabled=false", f"cache={folder / 'cache'}"]


@pytest.mark.parametrize("name", CASES)
def test_it_runs_from_end_to_end_on_phantoms(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = settings(name, tmp_path)
    arguments = ["--recipe", str(RECIPES / f"{name}.toml"), "--out", "run"]
    if name != "neurotriad-union":
        arguments += ["--data", "phantom"]
        made += [f"data.options.{name}={count}" for name, count in PHANTOMS.items()]
    distill.main([*arguments, *(word for setting in made for word in ("--set", setting))])
    teacher, student = Bundle.open("run/teacher"), Bundle.open("run")
    recipe = student.manifest.recipe
    assert sum(c.images for c in Evaluation.load(student.file("evaluation/test.json")).classes) == 24
    with student.file("log.csv").open() as file:
        columns = set(next(csv.reader(file)))
    assert {"loss_task", *(f"loss_{loss}" for loss in recipe["distillation"]["losses"])} <= columns
    assert student.manifest.teacher.weights_sha256 == teacher.manifest.files["weights.safetensors"].sha256
    with teacher.file("log.csv").open() as file:
        rows = list(csv.DictReader(file))
    if name == "efficientnetv2s-stages":
        assert [float(row["stage"]) for row in rows] == [1, 2, 3]
    if name == "neurotriad-union":
        parts = recipe["data"]["options"]["parts"]
        assert [part["name"] for part in parts] == ["a", "b"]
        assert recipe["training"]["images_per_class"] == recipe["teacher"]["training"]["images_per_class"] == 16
    if name.startswith("neurotriad"):
        assert recipe["training"]["schedule"] == recipe["teacher"]["training"]["schedule"] == "plateau"
        assert recipe["augment"]["elastic_alpha"] == 34.0
