"""The explain command and the same from Python: answers, overlays, one page, and a row for what cannot be read."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import edgekd
from edgekd import evaluate, explain
from edgekd.artefacts.float_file import float_session
from edgekd.bundle import Bundle, ConformalRecord
from edgekd.classifier import session_of
from edgekd.data.phantom import phantom
from edgekd.errors import EdgekdError
from edgekd.explainers import gradcam, lrp
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.similarity import rank_correlation
from edgekd.recipe import recorded
from edgekd.reports import heatmap
from edgekd.reports.explanation import possible

MODEL = Path(__file__).parents[1] / "models/mri4p-mobilenetv2"
GOLDEN = MODEL / "golden/1.png"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    shutil.copy(GOLDEN, tmp_path / "in" / "sub" / "one.png")
    (tmp_path / "in" / "broken.png").write_bytes(b"\x89PNG broken")
    Image.new("1", (11000, 11000)).save(tmp_path / "in" / "large.png")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    return tmp_path


def test_a_folder_gives_answers_overlays_and_a_page(folder, capsys):
    explain.main([str(MODEL), str(folder / "in"), str(folder / "gone.png"), "--out", str(folder / "out"), "--no-float"])
    found = json.loads((folder / "out" / "explanations.json").read_text())
    assert found["schema"] == "edgekd.explanations/1"
    rows = {Path(row["picture"]).name: row for row in found["rows"]}
    assert set(rows) == {"one.png", "broken.png", "large.png", "gone.png"}
    assert "damaged" in rows["broken.png"]["reason"]
    assert "120 million pixels" in rows["large.png"]["reason"]
    assert "no such file" in rows["gone.png"]["reason"]
    answer = rows["one.png"]["answers"]["tflite-int8"]
    with edgekd.load(MODEL, "tflite-int8") as classifier:
        expected = classifier.classify(GOLDEN)
    assert answer == {"label_name": expected.label_name, "probs": expected.probs, "possible": list(expected.possible)}
    (overlay,) = (folder / "out").glob("*.occlusion.tflite-int8.png")
    with Image.open(overlay) as opened:
        assert opened.size == (224, 224)
    assert overlay.with_name(overlay.name.split(".")[0] + ".png").exists()  # all maps in one picture
    page = (folder / "out" / "explanations.html").read_text()
    assert page.count("<figure>") == 2
    assert "120 million" in page
    assert "http" not in page.replace("http-equiv", "")
    assert "120 million" in capsys.readouterr().out


def test_without_a_picture_it_is_one_of_its_own_with_the_true_region(tmp_path, capsys):
    shutil.copytree(MODEL, tmp_path / "bundle")
    manifest = json.loads((tmp_path / "bundle/manifest.json").read_text())
    options = {"train": 8, "val": 4, "test": 8, "size": 96}
    manifest["recipe"]["data"] = {"source": "phantom", "options": options}
    manifest["recipe"]["split_seed"] = 0
    (tmp_path / "bundle/manifest.json").write_text(json.dumps(manifest))
    explain.main([str(tmp_path / "bundle"), "--out", str(tmp_path / "out"), "--no-float"])
    bundle = Bundle.open(tmp_path / "bundle")
    with edgekd.load(tmp_path / "bundle", "tflite-int8") as classifier:
        subject = explain.of_its_own(bundle, recorded(bundle.manifest.recipe, ""), classifier)
    row = json.loads((tmp_path / "out/explanations.json").read_text())["rows"][0]
    assert row["picture"] == subject.name
    region = row["maps"][0]["region"]
    assert region["share"] == subject.mask.mean() > 0
    with edgekd.load(tmp_path / "bundle", "tflite-int8") as classifier:
        relevance = classifier.explain(subject.open()).relevance
    assert region["mass"] == pytest.approx(relevance.clip(0)[subject.mask].sum() / relevance.clip(0).sum(), rel=1e-4)
    told = f"{100 * region['mass']:.0f} % of what speaks for the answer lies in the true region"
    assert told in capsys.readouterr().out.replace("\n", " ")
    assert told in (tmp_path / "out/explanations.html").read_text()


def test_a_region_is_outlined_in_white_on_black():
    mask = np.zeros((9, 9), bool)
    mask[4, 4] = True
    drawn = np.asarray(heatmap.outlined(Image.new("RGB", (9, 9), (128, 128, 128)), mask))[..., 0]
    assert drawn[4].tolist() == [128, 128, 0, 255, 128, 255, 0, 128, 128]
    assert (drawn != 128).sum() == 4 + 8


def test_the_page_escapes_what_strangers_name(tmp_path):
    name = tmp_path / "<img src=x>.png"
    name.write_text("no picture")
    explain.main([str(MODEL), str(name), "--out", str(tmp_path / "out"), "--no-float"])
    page = (tmp_path / "out" / "explanations.html").read_text()
    assert "<img src=x>" not in page
    assert "&lt;img src=x&gt;" in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--method", "oclusion"], "did you mean 'occlusion'"),
        (["--format", "tflite-int9"], "did you mean 'tflite-int8'"),
        (["--format", "tflite-fp16"], r"edgekd\.export"),
    ],
)
def test_what_is_wrong_is_said_before_any_work(arguments, message, tmp_path):
    with pytest.raises(EdgekdError, match=message):
        explain.main([str(MODEL), str(GOLDEN), "--out", str(tmp_path / "out"), *arguments])
    assert not (tmp_path / "out").exists()


def test_an_empty_folder_is_an_error(tmp_path):
    with pytest.raises(EdgekdError, match="without pictures"):
        explain.main([str(MODEL), str(tmp_path)])


def test_an_explainer_of_the_network_names_the_extra_without_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "edgekd.explainers.gradcam")
    monkeypatch.setattr("edgekd.extras.find_spec", lambda name: None if name == "torch" else object())
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(EdgekdError, match=r"torch[\s\S]*edgekd\[train\]"):
        edgekd.load(MODEL, "tflite-int8").explain(GOLDEN, "gradcam")


@pytest.fixture(scope="module")
def classifier():
    with edgekd.load(MODEL, "tflite-int8") as opened:
        yield opened


def test_python_explains_any_class_by_any_method(classifier):
    grey = phantom(3, 1, 96).image
    one, two = classifier.explain([grey, GOLDEN], "rise", "glioma", masks=8)
    assert (one.label_name, one.method, one.relevance.shape) == ("glioma", "rise", (224, 224))
    assert two.answer.label_name == classifier.classify(GOLDEN).label_name
    assert classifier.explain([]) == []
    for method in (gradcam, lrp):
        name = method.__name__.rpartition(".")[2]
        found = classifier.explain(GOLDEN, name)
        assert found.relevance.shape == (224, 224)
        assert np.ptp(found.relevance) > 0
        assert found.overlay().size == (224, 224)
    with pytest.raises(EdgekdError, match="did you mean 'glioma'"):
        classifier.explain(GOLDEN, label_name="gliom")
    with pytest.raises(EdgekdError, match="did you mean 'masks'"):
        classifier.explain(GOLDEN, "rise", mask=8)


def test_the_float_network_answers_the_same_with_and_without_torch(classifier):
    pixels = np.stack([classifier._pixels(MODEL / f"golden/{i}.png") for i in range(4)])
    with float_session(classifier.bundle) as light, session_of(classifier.bundle, None) as torch:
        assert light.probs(pixels) == pytest.approx(torch.probs(pixels), abs=1e-4)


def test_what_an_answer_may_be_is_read_from_the_files_record(tmp_path, capsys):
    bundle = Bundle.open(shutil.copytree(MODEL, tmp_path / "bundle"))
    with edgekd.load(bundle.folder, "tflite-int8") as opened:
        probs = opened.classify(GOLDEN).probs
    ranked = sorted(probs, key=lambda name: -probs[name])
    for quantile, expected in (
        (1 - probs[ranked[1]], {*ranked[:2]}),
        (0.0, set()),
        (1.0, {*ranked}),
    ):
        record = bundle.manifest.artefacts["tflite-int8"]
        conformal = ConformalRecord(alpha=0.1, quantile=quantile, drawn=9, by_group=True)
        changed = record.model_copy(update={"conformal": conformal})
        bundle = bundle.enriched(artefacts=bundle.manifest.artefacts | {"tflite-int8": changed})
        with edgekd.load(bundle.folder, "tflite-int8") as opened:
            answer = opened.classify(GOLDEN)
        assert set(answer.possible) == expected
        assert possible(answer) == (" or ".join(answer.possible) if len(expected) == 2 else "not sure")
    assert possible(replace(answer, possible=None)) == "–"
    picture = tmp_path / "images" / ranked[0] / "1.png"
    picture.parent.mkdir(parents=True)
    shutil.copy(GOLDEN, picture)
    line = [
        str(bundle.folder),
        "--data",
        str(tmp_path / "images"),
        "--format",
        "tflite-int8",
        "--out",
        str(tmp_path / "out"),
    ]
    evaluate.main(line)
    found = Evaluation.load(tmp_path / "out" / "evaluation.json")
    assert found.sets.sizes == (0, 0, 0, 0, 1)
    assert "sets of possible classes" in capsys.readouterr().out


def test_colours_run_to_both_sides_of_zero():
    signed = np.linspace(-0.5, 1, 16).reshape(4, 4)
    scale = heatmap.Scale.of(signed)
    assert scale.low == -scale.high
    assert scale.strength(np.array([0.0, scale.high])).tolist() == [0, 1]
    assert heatmap.Scale.of(np.full((4, 4), 3.0)).strength(np.full((2, 2), 3.0)).tolist() == [[0, 0], [0, 0]]
    assert heatmap.Scale.of(signed + 1).low == 0.5
    white = np.full((1, 2, 3), 255, np.uint8)
    against, favour = np.asarray(heatmap.overlay(white, np.array([[-1.0, 1.0]])))[0].astype(int)
    assert against[2] > against[0]
    assert favour[0] > favour[2]


def test_rank_correlation_is_spearmans():
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[10.0, 30], [20, 40]])
    assert rank_correlation(a, b) == pytest.approx(1 - 6 * 2 / (4 * 15))  # 1 - 6 Σd² / (n (n² - 1))
    assert rank_correlation(a, np.exp(a)) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    assert rank_correlation(a, np.ones((2, 2))) is None
    with pytest.raises(ValueError, match="one shape"):
        rank_correlation(a, a[:1])


@pytest.fixture(scope="module")
def mapped(tmp_path_factory):
    """The bundle as cloned, its phone file exported with a heat map."""
    from edgekd import export

    folder = shutil.copytree(MODEL, tmp_path_factory.mktemp("mapped") / "bundle")
    assert export.main([str(folder), "--heatmap"]) == 0
    return folder


def test_the_files_own_map_explains_it_by_default(mapped, tmp_path):
    explain.main([str(mapped), str(GOLDEN), "--out", str(tmp_path / "out")])
    (row,) = json.loads((tmp_path / "out" / "explanations.json").read_text())["rows"]
    assert [(m["method"], m["network"]) for m in row["maps"]] == [
        ("heatmap", "tflite-int8"),
        ("heatmap", "float"),
        ("occlusion", "tflite-int8"),
        ("occlusion", "float"),
    ]
    assert row["rank_correlation"]["heatmap"] > 0.9
    assert len(list((tmp_path / "out").glob("*.heatmap.*.png"))) == 2


def test_its_map_is_the_float_networks_cam_before_its_rectification(mapped):
    import torch

    from edgekd.networks import from_bundle
    from edgekd.runtimes.torch import TorchSession

    with edgekd.load(mapped) as classifier:
        found = classifier.explain(GOLDEN, "heatmap", "glioma")
    network, k = from_bundle(Bundle.open(mapped)), classifier.bundle.manifest.label_names.index("glioma")
    view = torch.from_numpy(found.pixels.copy()).permute(2, 0, 1)[None].float()
    small = gradcam.gradcam(network, view, torch.tensor([k]), rectify=False).detach() * 49  # the map over its positions
    expected = torch.nn.functional.interpolate(small[None], found.relevance.shape, mode="bilinear")[0, 0].numpy()
    assert np.ptp(expected) > 1
    assert found.relevance == pytest.approx(expected, abs=2e-3)
    (of_torch,) = TorchSession(network, 1.0).heatmap(found.pixels[None])
    assert of_torch[..., k] == pytest.approx(small[0].numpy(), abs=2e-3)


def test_python_takes_the_files_own_map_where_there_is_one(mapped):
    with edgekd.load(mapped, "tflite-int8") as classifier:
        found = classifier.explain(GOLDEN)
        named = classifier.explain(GOLDEN, "occlusion")
    assert (found.method, named.method) == ("heatmap", "occlusion")
    assert found.label_name == found.answer.label_name
    with edgekd.load(MODEL, "tflite-int8") as classifier:
        assert classifier.default_method == "occlusion"
        with pytest.raises(EdgekdError, match="--format tflite-int8 --heatmap"):
            classifier.explain(GOLDEN, "heatmap")


@pytest.mark.parametrize("command", ["explain", "evaluate"])
def test_a_file_without_a_map_is_refused_before_any_work(command, tmp_path):
    arguments = [
        str(MODEL),
        *([str(GOLDEN)] if command == "explain" else ["--faithfulness", "--format", "tflite-int8"]),
    ]
    with pytest.raises(EdgekdError, match="a file with a heat map"):
        {"explain": explain, "evaluate": evaluate}[command].main(
            [*arguments, "--method", "heatmap", "--out", str(tmp_path / "out")]
        )
    assert not (tmp_path / "out").exists()
