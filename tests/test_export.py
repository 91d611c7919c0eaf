"""The export command on a tiny distilled run: what ships, what is rejected, what is refused, and what is left behind."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
from PIL import Image

from edgekd import distill, export
from edgekd.artefacts import graphs, making, validation, verification
from edgekd.bundle import Bundle
from edgekd.data.phantom import LABEL_NAMES, phantom
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file
from edgekd.measures.calibration import softmax
from edgekd.quantization import heatmap, integers
from edgekd.quantization.graph import Graph
from edgekd.runtimes import Format, find, formats
from edgekd.runtimes import tflite as tflite_runtime

TINY = (
    "data.validation_fraction=0.25",
    "data.test_fraction=0.25",
    "input.size=32",
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16}',
    "teacher.training={epochs=1, batch_size=8}",
    "student.width=0.35",
    "training={epochs=1, batch_size=8}",
    "qat.training={epochs=1, batch_size=8}",
    "qat.representative_images=16",
    "qat.observed_batches=2",
)
OPEN = ("--max-drop-pp", "100", "--max-class-drop-pp", "100")  # a network that learnt nothing flips at any rounding
TFLITE = "artefacts/tflite-int8.tflite"
# Its kernels are the processor's own. The logits of a network that learnt nothing lie as near each other as these round, so on
# some processors the gate refuses the trained graph, and on some the control too.
OF_THE_PROCESSOR = "openvino-int8"


def draw(folder, seed=5):
    for index in range(64):
        path = folder / LABEL_NAMES[index % 4] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom(seed, index, 48).image).save(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """`images`, and in `run` the student that was made from them; nothing is exported yet."""
    folder = tmp_path_factory.mktemp("export")
    draw(folder / "images")
    arguments = ["--data", str(folder / "images"), "--out", str(folder / "run")]
    for setting in (*TINY, f"cache={folder / 'cache'}"):
        arguments += ["--set", setting]
    distill.main(arguments)
    return folder


@pytest.fixture(scope="module")
def shipped(folder):
    """The run with all its artefacts, and the exit code of the command that wrote them."""
    target = shutil.copytree(folder / "run", folder / "shipped")
    return target, export.main([str(target), "--format", "all", *OPEN])


@pytest.fixture
def run(folder, tmp_path):
    """A run of its own, without artefacts."""
    return shutil.copytree(folder / "run", tmp_path / "run")


@pytest.fixture
def exported(shipped, tmp_path):
    """A run of its own, with all artefacts."""
    return shutil.copytree(shipped[0], tmp_path / "exported")


def without_data(run):
    """The bundle as on a machine that has none of its images."""
    bundle = Bundle.open(run)
    recipe = bundle.manifest.recipe
    recipe["data"]["path"] = "no-such-folder"
    bundle.enriched(recipe=recipe)


def files(run):
    return sorted(p.name for p in (run / "artefacts").iterdir()) if (run / "artefacts").exists() else []


def code_of(run, asked=None):
    """The exit code that `export` of all formats, or of `asked`, has to give for what is in the manifest now."""
    refused = set(asked or formats()) - set(Bundle.open(run).manifest.artefacts)
    assert refused <= {OF_THE_PROCESSOR}
    for name in refused:
        report = json.loads((run / f"artefacts/{name}.rejected.json").read_text())
        assert set(report["instead_of"]) == {"qat"}
        for problems in (report["problems"], report["instead_of"]["qat"]):
            assert problems
            assert all("steps" in problem for problem in problems)  # of the output's grid: that is rounding
    return export.REJECTED if refused else 0


def assert_nothing_temporary(run):
    assert not [p for p in run.rglob("*") if p.name.endswith(".tmp")]


def test_all_formats_ship_with_record_and_report(shipped):
    run, code = shipped
    assert code == code_of(run)
    assert len(formats()) == 7
    m = Bundle.open(run).manifest
    for name, record in m.artefacts.items():
        format = find(name)[0]
        assert list(record.files) == [f"{name}{suffix}" for suffix in format.suffixes]
        for file, facts in record.files.items():
            assert m.files[f"artefacts/{file}"] == facts
        assert record.report in m.files
        report = json.loads((run / record.report).read_text())
        expected = "qat" if format.is_int8 else "float"
        if name == OF_THE_PROCESSOR and "qat" in report["instead_of"]:
            assert report["instead_of"]["qat"]
            expected = "ptq-percentile"
        assert record.source == expected
        assert (report["format"], report["source"]) == (name, record.source)
        assert report["drift"]["images"] == record.val_images
        assert len(report["drift"]["flips"]) == record.flips
        assert np.sum(report["golden_probs"], axis=1) == pytest.approx(1, abs=1e-4)
    assert_nothing_temporary(run)


def test_an_ece_of_the_images_that_the_temperature_was_fitted_on_is_called_so(run, capsys):
    assert export.main([str(run), "--format", "tflite"]) == 0
    shown = capsys.readouterr().out
    assert "ECE val," in shown
    assert "fitted" in shown
    assert f"of the test split: python -m edgekd.benchmark {run}\n" in shown
    assert "| ECE val, fitted |" in (run / "README.md").read_text()


def test_every_operator_of_the_int8_file_was_recomputed(shipped):
    report = json.loads((shipped[0] / "artefacts/tflite-int8.json").read_text())
    record = Bundle.open(shipped[0]).manifest.quantization
    assert report["operators"]["operators"] == len(Graph.load(shipped[0] / record.graph).nodes) - 1
    assert report["operators"]["largest"] <= 1


def test_the_temperature_is_in_the_file(shipped):
    bundle = Bundle.open(shipped[0])
    record = bundle.manifest.artefacts["tflite-int8"]
    pixels = validation.golden(bundle)["pixels"]
    logits = integers.logits(Graph.load(bundle.file(bundle.manifest.quantization.graph)), pixels)
    found = tflite_runtime.load(bundle.file(TFLITE)).probs(pixels)
    assert record.calibration_temperature != 1.0
    limit = 2 * np.abs(softmax(logits) - softmax(logits, 1.01)).max() + 1e-3
    assert found == pytest.approx(softmax(logits, record.calibration_temperature), abs=limit)


def test_the_list_shows_every_format_and_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert export.main(["--list"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in formats())
    assert not list(tmp_path.iterdir())


def test_a_wrong_name_is_refused_before_any_work(run):
    with pytest.raises(EdgekdError, match="did you mean 'tflite-int8'"):
        export.main([str(run), "--format", "onnx,tflite-int9"])
    assert files(run) == []


@pytest.mark.parametrize("limit", ["nan", "inf"])
def test_a_limit_is_a_number(limit, run):
    with pytest.raises(EdgekdError, match="max_drop_pp"):
        export.main([str(run), "--max-drop-pp", limit])
    assert files(run) == []


def test_names_are_taken_once_and_in_order():
    assert export.chosen(["onnx, tflite", "onnx"]) == ["onnx", "tflite"]
    assert export.chosen(["openvino", "all"])[0] == "openvino"
    assert sorted(export.chosen(["openvino", "all"])) == sorted(formats())


def test_a_missing_package_names_its_install_command_and_the_others_come(run, monkeypatch, capsys):
    monkeypatch.setattr(Format, "missing", property(lambda f: ("onnxruntime",) if f.name == "onnx" else ()))
    assert export.main([str(run), "--format", "onnx,tflite", *OPEN]) == export.FAILED
    shown = capsys.readouterr().out
    assert 'pip install "edgekd[export]"' in shown
    assert "onnx failed" in shown
    assert list(Bundle.open(run).manifest.artefacts) == ["tflite"]
    assert_nothing_temporary(run)


def test_the_default_is_int8_and_the_same_bytes_come_again(run):
    assert export.main([str(run), *OPEN]) == 0
    first = {name: sha256_file(run / "artefacts" / name) for name in files(run)}
    assert list(first) == ["tflite-int8.json", "tflite-int8.tflite"]
    assert export.main([str(run), *OPEN]) == 0
    assert sha256_file(run / TFLITE) == first["tflite-int8.tflite"]
    assert files(run) == list(first)
    Bundle.open(run)


def test_int8_ends_and_another_method_replace_what_was_there(exported):
    assert export.main([str(exported), "--io", "int8", "--ptq", "mse", *OPEN]) == 0
    bundle = Bundle.open(exported)
    record = bundle.manifest.artefacts["tflite-int8"]
    assert (record.io, record.source) == ("int8", "ptq-mse")
    session = tflite_runtime.load(bundle.file(TFLITE))
    assert session.interpreter.get_input_details()[0]["dtype"] == np.int8
    assert session.interpreter.get_output_details()[0]["dtype"] == np.int8
    assert session.probs(validation.golden(bundle)["pixels"]).sum(1) == pytest.approx(1, abs=1e-5)


def test_a_rejected_file_is_kept_apart_with_its_reasons(exported, capsys):
    good = sha256_file(exported / TFLITE)
    assert export.main([str(exported), "--ptq", "minmax", "--max-drop-pp", "-200"]) == export.REJECTED
    bundle = Bundle.open(exported)
    assert bundle.manifest.artefacts["tflite-int8"].source == "qat"
    assert sha256_file(exported / TFLITE) == good  # what shipped before is untouched
    report = json.loads((exported / "artefacts/tflite-int8.rejected.json").read_text())
    assert any("accuracy falls" in problem for problem in report["problems"])
    assert len(report["worst_layers_db"]) == 5
    assert "tflite-int8 rejected" in capsys.readouterr().out
    assert (exported / (TFLITE + ".rejected")).is_file()
    assert not [name for name in bundle.manifest.files if "rejected" in name]
    assert_nothing_temporary(exported)


FALL = "accuracy falls by 9 pp"


@pytest.fixture
def fussy(monkeypatch):
    """The gate, which rejects the trained graph's file of one format whatever it does."""
    gate, make = verification.gate, making.make

    def reject(format, sources=("qat",)):
        def make_fussily(plan, *arguments):
            with monkeypatch.context() as patch:
                if plan.format.name == format and plan.source in sources:
                    patch.setattr(verification, "gate", lambda *given: (gate(*given)[0], [FALL]))
                return make(plan, *arguments)

        monkeypatch.setattr(making, "make", make_fussily)

    return reject


def test_where_the_trained_graph_is_rejected_the_control_has_its_turn(run, fussy, capsys):
    fussy("tflite-int8")
    assert export.main([str(run), *OPEN]) == 0
    bundle = Bundle.open(run)
    record, control = bundle.manifest.artefacts["tflite-int8"], graphs.control_graph(bundle)
    assert record.source == f"ptq-{bundle.manifest.quantization.control}"
    assert record.instead_of == {"qat": (FALL,)}
    assert json.loads(bundle.file(record.report).read_text())["instead_of"] == {"qat": [FALL]}
    probs = tflite_runtime.load(bundle.file(TFLITE)).probs(validation.golden(bundle)["pixels"])
    expected = integers.logits(control, validation.golden(bundle)["pixels"])
    assert np.array_equal(probs.argmax(1), expected.argmax(1))
    shown = " ".join(capsys.readouterr().out.split())
    assert f"tflite-int8 is from {record.source}: of qat it was rejected, {FALL}" in shown
    assert not list((run / "artefacts").glob("*rejected*"))


@pytest.mark.parametrize("order", ["tflite-int8,onnx-int8,tflite", "onnx-int8,tflite,tflite-int8"])
def test_each_format_is_decided_for_itself_whatever_the_order(order, run, fussy, capsys):
    fussy("tflite-int8")
    assert export.main([str(run), "--format", order, *OPEN]) == 0
    artefacts = Bundle.open(run).manifest.artefacts
    control = f"ptq-{Bundle.open(run).manifest.quantization.control}"
    sources = {"tflite-int8": control, "onnx-int8": "qat", "tflite": "float"}
    assert {name: record.source for name, record in artefacts.items()} == sources
    assert [name for name, record in artefacts.items() if record.instead_of] == ["tflite-int8"]
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" ")]
    assert {row[0]: row[1] for row in rows if row and row[0] in sources} == sources  # the table's column "from"


def test_a_graph_and_its_reference_are_made_once_for_all_formats(run, fussy, monkeypatch):
    asked, logits = [], integers.logits

    def count(graph, pixels):
        asked.append(graph)
        return logits(graph, pixels)

    monkeypatch.setattr(integers, "logits", count)
    fussy("onnx-int8")
    asked_for = ("onnx-int8", "tflite-int8", OF_THE_PROCESSOR)
    assert export.main([str(run), "--format", ",".join(asked_for), *OPEN]) == code_of(run, asked_for)
    assert len(asked) == len(set(map(id, asked))) == 2  # the trained graph and its control


def test_where_both_are_rejected_both_reasons_are_told(run, fussy, capsys):
    fussy("tflite-int8", ("qat", "ptq-minmax", "ptq-percentile", "ptq-mse"))
    assert export.main([str(run), *OPEN]) == export.REJECTED
    shown = " ".join(capsys.readouterr().out.split())
    assert f"tflite-int8 rejected: {FALL}" in shown
    assert f"of qat it was rejected before: {FALL}" in shown


def test_without_images_the_control_that_shipped_comes_again(run, fussy):
    fussy("tflite-int8")
    export.main([str(run), *OPEN])
    before = Bundle.open(run).manifest.artefacts
    without_data(run)
    (run / TFLITE).unlink()
    bundle_without_files(run, [TFLITE])
    assert export.main([str(run)]) == 0
    assert Bundle.open(run).manifest.artefacts == before


COMMANDS = {"distill": distill.main, "export": export.main}


def commands(text):
    """The commands in a text, each as its name and its arguments."""
    found = re.findall(r"python -m edgekd\.(\w+) ([^;\n]+)", text)
    return [(name, shlex.split(arguments)) for name, arguments in found]


def test_the_advice_of_a_rejection_works_as_printed(run, capsys):
    weights = sha256_file(run / "weights.safetensors")
    assert export.main([str(run), "--max-class-drop-pp", "-200", "--max-drop-pp", "-200"]) == export.REJECTED
    advice = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  try: ")]
    found = commands("\n".join(advice))
    assert [name for name, _ in found] == ["distill", "distill", "export", "export"]
    for name, arguments in found:
        assert COMMANDS[name](arguments) in (None, 0, export.REJECTED)
    bundle = Bundle.open(run)
    assert sha256_file(run / "weights.safetensors") == weights  # the float stage was read and not repeated
    training = bundle.manifest.recipe["qat"]["training"]
    assert training["learning_rate"] == pytest.approx(3e-6)  # of the second command; the first had more epochs
    assert export.main(found[-1][1]) == 0  # the wider gate
    assert commands("\n".join(json.loads((run / "artefacts/tflite-int8.json").read_text()).get("try", []))) == []


def test_what_cannot_be_written_is_one_error_and_leaves_nothing(run, monkeypatch, capsys):
    def write(graph, format, facts, path):
        path.write_bytes(b"half")
        raise EdgekdError(str(path), "room on the disk", "none")

    monkeypatch.setattr(tflite_runtime, "write", write)
    assert export.main([str(run)]) == export.FAILED
    assert "room on the disk" in capsys.readouterr().out
    assert files(run) == []
    assert not Bundle.open(run).manifest.artefacts


def test_a_file_that_its_runtime_cannot_read_does_not_ship(run, monkeypatch, capsys):
    monkeypatch.setattr(tflite_runtime, "write", lambda graph, format, facts, path: path.write_bytes(b"TFL3" * 99))
    assert export.main([str(run)]) == export.FAILED
    assert "a .tflite file" in capsys.readouterr().out
    assert files(run) == []


def test_without_images_the_verified_come_again_and_others_are_refused(exported, capsys):
    without_data(exported)
    before = Bundle.open(exported).manifest.artefacts
    for name in ("tflite-int8.tflite", "onnx.onnx"):
        (exported / "artefacts" / name).unlink()
    bundle_without_files(exported, ["artefacts/tflite-int8.tflite", "artefacts/onnx.onnx"])
    assert export.main([str(exported), "--format", "tflite-int8,onnx"]) == 0
    bundle = Bundle.open(exported)
    assert bundle.manifest.artefacts == before
    assert "artefacts/onnx.onnx" in bundle.manifest.files
    assert export.main([str(exported), "--io", "int8"]) == export.FAILED
    assert "--data PATH" in capsys.readouterr().out
    assert Bundle.open(exported).manifest.artefacts == before


def bundle_without_files(run, names):
    """The manifest as in a clone, into which these files did not travel."""
    path = run / "manifest.json"
    values = json.loads(path.read_text())
    for name in names:
        del values["files"][name]
    path.write_text(json.dumps(values))


def test_without_images_other_bytes_do_not_ship(exported, monkeypatch, capsys):
    without_data(exported)
    monkeypatch.setattr(making, "DESCRIPTION", "another version of the writer")
    before = sha256_file(exported / TFLITE)
    assert export.main([str(exported)]) == export.FAILED
    assert "other bytes" in " ".join(capsys.readouterr().out.split())
    assert sha256_file(exported / TFLITE) == before
    Bundle.open(exported)


def test_images_that_moved_are_found_by_data(folder, run):
    without_data(run)
    moved = shutil.copytree(folder / "images", run.parent / "moved")
    assert export.main([str(run), "--format", "tflite", "--data", str(moved), *OPEN]) == 0
    assert list(Bundle.open(run).manifest.artefacts) == ["tflite"]


@pytest.mark.parametrize("change", ["renamed", "repainted"])
def test_changed_validation_images_are_refused(change, folder, run, capsys):
    changed = run.parent / "changed"
    if change == "renamed":
        shutil.copytree(folder / "images", changed)
        for path in sorted(changed.rglob("*.png")):
            path.rename(path.with_name(f"x{path.name}"))
    else:
        draw(changed, seed=6)
    assert export.main([str(run), "--data", str(changed), *OPEN]) == export.FAILED
    assert "--data PATH of the images that the bundle was made from" in " ".join(capsys.readouterr().out.split())
    assert files(run) == []


@pytest.mark.parametrize("place", [(making, "enter"), (Bundle, "enriched")], ids=["file named", "card written"])
def test_a_kill_before_the_manifest_leaves_a_bundle_that_opens(place, exported, monkeypatch):
    def kill(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(*place, kill)
    with pytest.raises(KeyboardInterrupt):
        export.main([str(exported), "--io", "int8", *OPEN])
    m = Bundle.open(exported).manifest
    assert TFLITE not in m.files
    assert set(m.artefacts) >= set(formats()) - {"tflite-int8", OF_THE_PROCESSOR}
    assert (exported / TFLITE).is_file()
    assert_nothing_temporary(exported)


def test_a_bundle_without_the_int8_graph_says_how_to_get_one(run, capsys):
    bundle = Bundle.open(run)
    record = bundle.manifest.quantization
    bundle.without([record.graph, record.control_graph], quantization=None)
    assert export.main([str(run), *OPEN]) == export.FAILED
    found = commands(capsys.readouterr().out)
    assert [name for name, _ in found] == ["distill", "export"]
    for name, arguments in found:
        assert COMMANDS[name]([*arguments, *(OPEN if name == "export" else ())]) in (None, 0)
        assert bool(Bundle.open(run).manifest.quantization)


def test_the_range_of_a_heat_map_is_that_of_training_images_and_comes_again_without_them(run, capsys):
    assert export.main([str(run), "--heatmap", "--format", "tflite-int8,openvino", *OPEN]) == 0
    bundle = Bundle.open(run)
    found = bundle.manifest.artefacts["tflite-int8"].heatmap
    assert (found.range, found.is_in_file) == ("training", True)
    pixels = validation.representative_pixels(bundle)
    assert heatmap.observed(graphs.int8_graph(bundle), pixels).scale == found.scale
    assert "with its heat map; no rank correlation" in capsys.readouterr().out  # 32 px leave a map of one place
    mapped = sha256_file(run / TFLITE)
    assert export.main([str(run), *OPEN]) == 0  # with images again, without the map
    bare = Bundle.open(run).manifest.artefacts["tflite-int8"]
    assert not bare.has_heatmap
    assert bare.heatmap.other_files["tflite-int8.tflite"].sha256 == mapped
    without_data(run)
    assert export.main([str(run), "--heatmap"]) == 0  # the range of training images comes from the record
    assert sha256_file(run / TFLITE) == mapped
    assert Bundle.open(run).manifest.artefacts["tflite-int8"].heatmap == found
