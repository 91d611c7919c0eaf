"""What a staged training leaves beside its bundle: weights that are those of its stages, results that add up, one picture."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file

from edgekd import recipe as recipes
from edgekd import train
from edgekd.bundle import Bundle
from edgekd.data.chosen import choose
from edgekd.data.pixels import Pixels
from edgekd.data.tta import tta_views
from edgekd.errors import EdgekdError
from edgekd.networks import build, from_bundle
from edgekd.networks.prediction import predict
from edgekd.networks.weights import load_weights
from edgekd.recipe import Network
from edgekd.training import folders, results
from edgekd.training.objective import class_weights

NETWORK = {"network": "dualpool", "options": {"backbone": "mobilenetv2_035", "hidden": 16}}
TINY = (
    "data.options={train=48, val=0, test=24, size=48}",
    "data.validation_fraction=0.25",
    "input.size=32",
    "teacher={network='dualpool', options={backbone='mobilenetv2_035', hidden=16}}",
    "teacher.training={batch_size=16, ema_decay=0.9, stages=[{train='head', epochs=2, learning_rate=1e-2},"
    " {train='top', epochs=1, learning_rate=1e-3}, {train='all', epochs=1, learning_rate=5e-4}]}",
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A teacher trained in three stages by the command, results beside it."""
    folder = tmp_path_factory.mktemp("results")
    settings = [word for setting in (*TINY, f"cache={folder / 'cache'}") for word in ("--set", setting)]
    train.main(["--out", str(folder / "run"), "--results", *settings])
    return Bundle.open(folder / "run" / "teacher")


@pytest.fixture
def out(bundle):
    return bundle.folder / "results"


def test_everything_is_there_and_none_of_it_in_the_bundle(bundle, out):
    weights = {"stage1_best", "stage2_best", "best", "final"}
    others = {"class_labels.json", "test_results_final.json", "training_results_final.png"}
    assert {path.name for path in out.iterdir()} == {f"{name}.safetensors" for name in weights} | others
    assert not any(name.startswith("results") for name in bundle.manifest.files)
    labelled = json.loads((out / "class_labels.json").read_text())
    assert labelled == {str(k): name for k, name in enumerate(bundle.manifest.label_names)}
    with Image.open(out / "training_results_final.png") as picture:
        assert picture.width > 1200


def test_weights_are_those_of_the_stages(bundle, out):
    weights = {path.stem: load_file(path) for path in out.glob("*.safetensors")}
    stored = load_file(bundle.file("weights.safetensors"))
    assert all(tensors.keys() == stored.keys() for tensors in weights.values())
    assert all(np.array_equal(stored[name], t.astype(stored[name].dtype)) for name, t in weights["best"].items())
    # Only the head learns in the first stage, and not the stem in the second.
    first, second, final = (weights[name] for name in ("stage1_best", "stage2_best", "final"))
    moved = {name for name in first if not np.array_equal(first[name], second[name])}
    stem = "backbone.conv_stem.weight"
    assert any(name.startswith("backbone.") for name in moved)
    assert stem not in moved
    assert not np.array_equal(second[stem], final[stem])
    network = build(Network(**NETWORK), 4, 32)
    load_weights(network.body, str(out / "stage1_best.safetensors"))  # as `weights` and `checkpoint` of a recipe do
    assert np.array_equal(network.body.state_dict()[stem].numpy(), first[stem])


def test_results_add_up(bundle, out):
    document = json.loads((out / "test_results_final.json").read_text())
    recipe = recipes.recorded(bundle.manifest.recipe, "bundle")
    pixels = Pixels.of(choose(recipe, bundle, None, True), bundle.manifest.input, Path(recipe.cache), 0.0)
    network = from_bundle(bundle)
    views = tta_views(np.ascontiguousarray(pixels.array))
    logits = [predict(network, view, np.arange(len(view)), torch.device("cpu")) for view in views]
    probs = [torch.from_numpy(one / bundle.manifest.temperature).softmax(1).numpy() for one in logits]
    labels = np.array([s.label for s in pixels.dataset.samples])
    assert document["tta"]["views"] == len(probs) == 5
    assert document["tta"]["accuracy"] == pytest.approx((np.mean(probs, axis=0).argmax(1) == labels).mean())
    right = probs[0].argmax(1) == labels
    assert document["plain"]["accuracy"] == pytest.approx(right.mean())
    of_class = {name: right[labels == k].mean() for k, name in enumerate(bundle.manifest.label_names)}
    assert document["plain"]["class_accuracy"] == pytest.approx(of_class)
    change = 100 * (document["tta"]["accuracy"] - document["plain"]["accuracy"])
    assert document["tta_against_plain"]["accuracy_change_pp"] == pytest.approx(change)
    with (bundle.folder / "log.csv").open() as file:
        log = list(csv.DictReader(file))
    best = [min(float(row["val_nll"]) for row in log if float(row["stage"]) == n) for n in (1, 2, 3)]
    assert [stage["val_nll"] for stage in document["stages"]] == pytest.approx(best)
    assert [stage["epochs"] for stage in document["stages"]] == [2, 1, 1]


def test_they_are_refused_before_training_where_there_are_none(bundle, tmp_path):
    with pytest.raises(EdgekdError, match="one teacher that is trained here"):
        train.main(["--out", str(tmp_path), "--results", "--set", "teacher.checkpoint=x.safetensors"])
    members = "teacher.members=[{network='resnet10t'}, {network='resnet10t', seed=1}]"
    with pytest.raises(EdgekdError, match="a committee"):
        train.main(["--out", str(tmp_path), "--results", "--set", members])
    assert "results" in folders.BUNDLE  # --overwrite takes them away


def test_the_formula_for_class_weights_gives_the_sources_table():
    counts = (1321, 1339, 1595, 1457)
    found = class_weights(np.repeat(np.arange(4), counts), 4)
    assert [f"{w:.2f}" for w in found] == ["1.08", "1.07", "0.90", "0.98"]


def test_a_training_without_stages_has_its_best_and_final_weights(tmp_path):
    history = [{"epoch": 1.0, "val_nll": 1.0}]
    state = {"body.weight": torch.ones(2)}
    for name in ("best", "last"):
        tensors = state if name == "best" else {f"network/{key}": t + 1 for key, t in state.items()}
        path = tmp_path / f"{name}.safetensors"
        path.write_bytes(results.safetensors.torch.save(tensors, metadata={"state": "{}"}))
    found = results._weights(tmp_path, history)
    assert {name: tensors["weight"].tolist() for name, tensors in found.items()} == {"best": [1, 1], "final": [2, 2]}
