"""The embed command: the assets are the bundle's, verified, whole, and those in the repository are up to date."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file

from edgekd import embed
from edgekd.android import archive, assets
from edgekd.android.app_model import AppModel
from edgekd.bundle import Bundle, ConformalRecord
from edgekd.bundle import write as write_bundle
from edgekd.errors import EdgekdError
from edgekd.files import sha256_bytes, sha256_file
from edgekd.measures.calibration import softmax
from edgekd.preprocess import decode, to_pixels
from edgekd.section import validate

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models/mri4p-mobilenetv2"
TFLITE = "artefacts/tflite-int8.tflite"
VAL = "evaluation/val.safetensors"


@pytest.fixture
def bundle(tmp_path):
    """A copy of the reference bundle, to be damaged."""
    return Path(shutil.copytree(MODEL, tmp_path / "bundle"))


@pytest.fixture
def app(tmp_path):
    """An Android project with the assets of an older model and a file of its own."""
    folder = tmp_path / "app"
    for name in ("model.tflite", "model.json", "golden/9.png", "samples/old.jpg", "fonts/own.ttf", "golden.txt"):
        path = folder / assets.ASSETS / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"old {name}")
    return folder


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def run(bundle, app, *more):
    embed.main([str(bundle), "--app", str(app), *more])


def resealed(bundle, name):
    """The manifest with a new hash for a file that a test changed: what only the content can tell."""
    manifest = Bundle.open(MODEL).manifest
    write_bundle(bundle, manifest, [*manifest.files, name])
    return bundle


def test_the_assets_in_the_repository_are_those_of_the_reference_bundle():
    _, files = embed.contents(Bundle.open(MODEL), "tflite-int8")
    assert tree(ROOT / "android_demo" / assets.ASSETS) == files, "python -m edgekd.embed models/mri4p-mobilenetv2"


def test_the_assets_are_the_bundles(app, capsys):
    run(MODEL, app)
    found = tree(app / assets.ASSETS)
    (mapped,) = Bundle.open(MODEL).manifest.artefacts["tflite-int8"].heatmap.other_files.values()
    assert sha256_bytes(found["model.tflite"]) == mapped.sha256  # the file that was verified with a heat map too
    assert found.pop("fonts/own.ttf") == b"old fonts/own.ttf"
    assert found.pop("golden.txt") == b"old golden.txt"
    assert set(found) == {"model.tflite", "model.json", *(f"golden/{i}.png" for i in range(4))}
    shown = capsys.readouterr().out
    assert "2.71 MB" in shown
    assert "with its own heat map" in shown
    assert set(tree(app)) == {f"{assets.ASSETS}/{name}" for name in [*found, "fonts/own.ttf", "golden.txt"]}


def test_the_description_says_what_the_bundle_says(app):
    run(MODEL, app)
    folder, manifest = app / assets.ASSETS, Bundle.open(MODEL).manifest
    text = (folder / "model.json").read_text(encoding="utf-8")
    model = validate(AppModel, json.loads(text), "model.json", from_json=True)
    record = manifest.artefacts["tflite-int8"]
    assert (model.name, model.label_names, model.input) == (manifest.name, manifest.label_names, manifest.input)
    assert (model.io, model.calibration_temperature) == (record.io, record.calibration_temperature)
    assert model.model.sha256 == record.heatmap.other_files["tflite-int8.tflite"].sha256
    assert (model.heatmap.height, model.heatmap.width) == (7, 7)
    assert model.display_names == ("glioma", "meningioma", "no tumour", "pituitary")
    assert (model.conformal.alpha, model.conformal.quantile) == (record.conformal.alpha, record.conformal.quantile)
    assert model.licence == manifest.licence
    assert "not a medical device" in model.notice
    assert [s.label for s in model.samples] == ["glioma", "meningioma", "notumor", "pituitary"]
    assert model.golden.tolerance == 0.1
    report = json.loads((MODEL / "artefacts/tflite-int8.json").read_text())
    np.testing.assert_array_equal(model.golden.probs, report["golden_probs"])
    pixels = load_file(MODEL / "golden/vectors.safetensors")["pixels"]
    for i, name in enumerate(model.golden.images):
        content = (folder / name).read_bytes()
        assert sha256_bytes(content) == model.golden.images_sha256[i]
        assert sha256_bytes(decode(content).tobytes()) == model.golden.decoded_sha256[i]
        assert sha256_bytes(to_pixels(decode(content), model.input).tobytes()) == model.golden.pixels_sha256[i]
        assert sha256_bytes(pixels[i].tobytes()) == model.golden.pixels_sha256[i]
    assert str(ROOT) not in text


def test_unsure_is_what_is_often_wrong_on_validation():
    found, stored = embed.unsure_below(Bundle.open(MODEL)), load_file(MODEL / VAL)
    probs = softmax(stored["logits"], Bundle.open(MODEL).manifest.temperature)
    is_right, is_sure = probs.argmax(1) == stored["labels"], probs.max(1) >= found.confidence
    assert found.images == len(is_right) == 481
    assert found.share == (~is_sure).mean()
    assert found.accuracy_above == is_right[is_sure].mean() > 0.98
    assert found.accuracy_below == is_right[~is_sure].mean() < 0.6


def changed_file(bundle):
    with (bundle / TFLITE).open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"!")


def changed_artefact(bundle):
    """Another file, and a manifest that lists it; the artefact's record still has the hash that was verified."""
    changed_file(bundle)
    resealed(bundle, TFLITE)


def missing_file(bundle):
    (bundle / TFLITE).unlink()


def no_report(bundle):
    manifest = Bundle.open(bundle).manifest
    write_bundle(bundle, manifest, [n for n in manifest.files if n != "artefacts/tflite-int8.json"])


def other_probabilities(bundle):
    path = bundle / "artefacts/tflite-int8.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"golden_probs": [[0.25] * 4] * 4}))
    resealed(bundle, "artefacts/tflite-int8.json")


def other_shape(bundle):
    path = bundle / "artefacts/tflite-int8.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"golden_probs": [[0.5, 0.5]] * 4}))
    resealed(bundle, "artefacts/tflite-int8.json")


def other_picture(bundle):
    Image.new("RGB", (256, 240), (9, 9, 9)).save(bundle / "golden/2.png")
    resealed(bundle, "golden/2.png")


def no_validation(bundle):
    manifest = Bundle.open(bundle).manifest
    write_bundle(bundle, manifest, [n for n in manifest.files if n != VAL])


def other_validation(bundle):
    stored = load_file(bundle / VAL)
    save_file(stored | {"labels": stored["labels"] + 9}, bundle / VAL)
    resealed(bundle, VAL)


BAD = {
    changed_file: "the file was changed",
    missing_file: "missing",
    no_report: "the report of its verification",
    other_probabilities: "its golden probabilities within 0.1",
    other_shape: "finite golden_probs",
    other_picture: "the input tensor that the bundle holds",
    no_validation: f"a file '{VAL}' in the bundle",
    other_validation: "answers of the validation split",
}


@pytest.mark.parametrize("damage", BAD, ids=lambda damage: damage.__name__)
def test_what_is_not_verified_is_refused_and_the_old_assets_stay(bundle, app, damage):
    before = tree(app)
    damage(bundle)
    with pytest.raises(EdgekdError) as error:
        run(bundle, app)
    assert BAD[damage] in str(error.value)
    assert tree(app) == before


@pytest.mark.parametrize(
    ("format", "message"),
    [
        ("onnx-int8", "a file for TensorFlow Lite"),
        ("tflite-int9", "did you mean 'tflite-int8'"),
    ],
)
def test_other_formats_are_refused(app, format, message):
    before = tree(app)
    with pytest.raises(EdgekdError) as error:
        run(MODEL, app, "--format", format)
    assert message in str(error.value)
    assert tree(app) == before


def test_a_file_that_did_not_travel_is_written_again(bundle, app):
    changed_artefact(bundle)
    for format in ("tflite-fp16", "tflite-int8"):
        run(bundle, app, "--format", format)
        record = Bundle.open(bundle).manifest.artefacts[format]
        files = record.heatmap.other_files if record.heatmap else record.files
        assert sha256_file(app / assets.ASSETS / "model.tflite") == files[f"{format}.tflite"].sha256
        assert bool(record.heatmap) == (format == "tflite-int8")


def test_what_is_recorded_of_sets_reaches_the_app_and_a_bundle_without_a_map_says_how_to_make_it(bundle, app, capsys):
    manifest = Bundle.open(bundle).manifest
    found = ConformalRecord(alpha=0.1, quantile=0.75, drawn=100, by_group=True)
    record = manifest.artefacts["tflite-int8"].model_copy(update={"conformal": found, "heatmap": None})
    changed = manifest.model_copy(update={"artefacts": manifest.artefacts | {"tflite-int8": record}})
    write_bundle(bundle, changed, manifest.files)
    run(bundle, app)
    described = json.loads((app / assets.ASSETS / "model.json").read_text(encoding="utf-8"))
    assert described["conformal"] == {"alpha": 0.1, "quantile": 0.75}
    assert described["heatmap"] is None
    shown = capsys.readouterr().out
    assert "not sure where no class or every class is possible, at 90% coverage" in shown
    assert f"python -m edgekd.export {bundle} --format tflite-int8 --heatmap" in shown


def test_a_zip_holds_what_the_assets_would_and_is_the_same_each_time(app, tmp_path, capsys):
    before = tree(app)
    for name in ("a.zip", "b.zip"):
        embed.main([str(MODEL), "--zip", str(tmp_path / name)])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert f"2.71 MB in {tmp_path / 'a.zip'}" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        assert packed.testzip() is None
        found = {name: packed.read(name) for name in packed.namelist()}
    assert found == tree(ROOT / "android_demo" / assets.ASSETS)
    assert tree(app) == before
    with pytest.raises(EdgekdError, match="one of them"):
        run(MODEL, app, "--zip", str(tmp_path / "c.zip"))


def test_a_zip_that_the_app_would_refuse_or_that_cannot_be_written_is_not_there(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(EdgekdError, match="a place that can be written"):
        archive.write(tmp_path / "file" / "a.zip", {"x": b""})
    monkeypatch.setattr(archive, "MAX_BYTES", 10)
    with pytest.raises(EdgekdError, match="at most 10 bytes"):
        archive.write(tmp_path / "a.zip", {"x": b"123456", "y": b"12345"})
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_no_android_project(tmp_path):
    with pytest.raises(EdgekdError, match="an Android project with"):
        run(MODEL, tmp_path)
    (tmp_path / assets.ASSETS.parent).mkdir(parents=True)
    (tmp_path / assets.ASSETS).symlink_to(tmp_path)
    with pytest.raises(EdgekdError, match="something else"):
        run(MODEL, tmp_path)


# --- The exchange of the folders ---

FILES = {"model.tflite": b"new", "model.json": b"{}", "golden/0.png": b"png"}


def kept(app):
    return {name: content for name, content in tree(app).items() if "own" in name or name.endswith("golden.txt")}


def test_a_first_embed_needs_no_old_assets(tmp_path):
    assets.replace(tmp_path / "assets", FILES)
    assert tree(tmp_path / "assets") == FILES
    assert [p.name for p in tmp_path.iterdir()] == ["assets"]


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_written_changes_nothing(app, monkeypatch, name):
    before = tree(app)

    def refuse(path, content):
        if path.name == Path(name).name:
            raise EdgekdError(str(path), "a place that can be written", "No space left on device")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    monkeypatch.setattr(assets, "write_atomic", refuse)
    with pytest.raises(EdgekdError, match="No space left"):
        assets.replace(app / assets.ASSETS, FILES)
    assert tree(app) == before
    assert len(list((app / assets.ASSETS).parent.iterdir())) == 1


@pytest.mark.parametrize("error", [OSError("renaming failed"), KeyboardInterrupt()])
def test_an_exchange_that_fails_is_undone(app, monkeypatch, error):
    before, rename = tree(app), Path.rename

    def refuse(path, target):
        if ".new." in path.name:
            raise error
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises((EdgekdError, KeyboardInterrupt)):
        assets.replace(app / assets.ASSETS, FILES)
    assert tree(app) == before


def test_after_a_kill_between_the_renames_the_old_folder_comes_back_first(app):
    folder = app / assets.ASSETS
    own = kept(app)
    folder.rename(folder.with_name(".assets.old.tmp"))
    (folder.with_name(".assets.new.tmp") / "golden").mkdir(parents=True)
    assets.replace(folder, FILES)
    assert {n.removeprefix(f"{assets.ASSETS}/") for n in tree(app)} == {*FILES, "fonts/own.ttf", "golden.txt"}
    assert kept(app) == own


def test_names_stay_inside_the_assets(app):
    before = tree(app)
    with pytest.raises(EdgekdError, match="stays inside"):
        assets.replace(app / assets.ASSETS, {"../AndroidManifest.xml": b""})
    assert tree(app) == before
