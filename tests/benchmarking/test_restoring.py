"""A bundle as cloned: what did not travel is written again, hashes checked, and the bundle is left as it was."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from edgekd import benchmark, runtimes
from edgekd.benchmarking import subject
from edgekd.benchmarking.restoring import Restorer
from edgekd.benchmarking.schema import read_report
from edgekd.bundle import Bundle
from edgekd.data.phantom import LABEL_NAMES, phantom
from edgekd.errors import EdgekdError
from edgekd.files import sha256_file

MODEL = Path(__file__).parents[2] / "models" / "mri4p-mobilenetv2"
INT8 = {"onnx-int8", "openvino-int8", "tflite-int8"}
QUICK = ("--rounds", "1", "--runs", "3", "--seconds", "1", "--threads", "1")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Two pictures of each class, in class folders."""
    folder = tmp_path_factory.mktemp("drawn")
    for index in range(8):
        path = folder / LABEL_NAMES[index % 4] / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(phantom(3, index, 64).image).save(path)
    return folder


@pytest.fixture
def cloned(tmp_path):
    """The committed bundle, read-only, with none of its files but what a clone has."""
    folder = shutil.copytree(MODEL, tmp_path / "cloned")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)


@pytest.fixture
def steps():
    return []


@pytest.fixture
def restorer(tmp_path, steps):
    return Restorer(Bundle.open(MODEL), tmp_path / "made", steps.append)


def state(folder):
    return {p: (p.stat().st_mtime_ns, p.is_file() and sha256_file(p)) for p in folder.rglob("*")}


def test_as_cloned_every_artefact_is_measured_and_the_bundle_stays_as_it_was(cloned, drawn, tmp_path, capsys):
    before, records = state(cloned), Bundle.open(cloned).manifest.artefacts
    travels = {name for name, r in records.items() if all((cloned / "artefacts" / f).is_file() for f in r.files)}
    assert travels == {"tflite-int8"}
    out = tmp_path / "out"
    arguments = [str(cloned), "--data", str(drawn), "--out", str(out), *QUICK]
    assert benchmark.main(arguments) == 0
    report = read_report(out)
    assert {row.format for row in report.rows} == set(records)
    assert (report.failed, report.left_out) == ((), ())
    assert report.data.images == 8
    made = {path.name: sha256_file(path) for path in (out / "artefacts").iterdir()}
    expected = {f: r.sha256 for name in set(records) - travels for f, r in records[name].files.items()}
    assert made == expected
    assert state(cloned) == before
    assert "onnx: writing its file again" in capsys.readouterr().out
    assert benchmark.main([*arguments, "--resume"]) == 0
    assert "writing its file again" not in capsys.readouterr().out


WITHOUT_TORCH = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "tensorflow"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Block())
from edgekd import benchmark, command
command.run(lambda argv: benchmark.main(sys.argv[1:]))
"""


def without_torch(*arguments):
    command = [sys.executable, "-W", "error", "-c", WITHOUT_TORCH, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def older(folder):
    """A copy of the bundle whose float network exists in torch alone."""
    shutil.copytree(MODEL, folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop("graph.json", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def test_what_cannot_be_made_is_left_out_with_its_reason(drawn, tmp_path):
    folder, out = older(tmp_path / "older"), tmp_path / "out"
    done = without_torch(folder, "--data", drawn, "--out", out, *QUICK)
    assert done.returncode == 0, done.stderr
    report = read_report(out)
    assert {row.format for row in report.rows} == INT8
    assert {one.format for one in report.left_out} == set(report_formats()) - INT8
    assert all('pip install "edgekd[train]"' in one.reason for one in report.left_out)
    page = (out / "report.html").read_text(encoding="utf-8")
    for one in report.left_out:
        assert f"left out {one.format}: " in done.stdout
        assert f"left out</span> {one.format}: " in page


def report_formats():
    return Bundle.open(MODEL).manifest.artefacts


def test_a_format_that_is_named_and_cannot_be_made_is_an_error(drawn, tmp_path):
    folder, out = older(tmp_path / "older"), tmp_path / "out"
    done = without_torch(folder, "--data", drawn, "--out", out, "--format", "tflite-int8,onnx", *QUICK)
    assert done.returncode == 2
    assert 'pip install "edgekd[train]"' in done.stderr
    assert "Traceback" not in done.stderr
    assert not (out / "report.json").exists()


def test_other_bytes_than_those_verified_are_not_measured(restorer, tmp_path, monkeypatch):
    _, module = runtimes.find("onnx-int8")
    write = module.write

    def newer(graph, format, facts, path):
        write(graph, format, facts, path)
        path.write_bytes(path.read_bytes() + b"\0")

    monkeypatch.setattr(module, "write", newer)
    with pytest.raises(EdgekdError, match="the bytes that were verified") as caught:
        restorer.files("onnx-int8")
    assert f"python -m edgekd.export {MODEL} --format onnx-int8 --data PATH" in caught.value.todo
    assert list((tmp_path / "made").iterdir()) == []


def test_a_file_of_the_folder_that_was_changed_is_written_again(restorer, steps):
    [path] = restorer.files("onnx-int8").values()
    record = report_formats()["onnx-int8"].files["onnx-int8.onnx"]
    assert sha256_file(path) == record.sha256
    path.write_bytes(path.read_bytes()[:-1])
    assert restorer.files("onnx-int8") == {path.name: path}
    assert sha256_file(path) == record.sha256
    assert len(steps) == 2


def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, steps):
    missing = property(lambda format: tuple(p for p in format.packages if p == "openvino"))
    monkeypatch.setattr(runtimes.Format, "missing", missing)
    kept = {name: record for name, record in report_formats().items() if name in INT8}
    bundle = Bundle.open(MODEL)
    bundle = Bundle(bundle.folder, bundle.manifest.model_copy(update={"artefacts": kept}))
    found, left_out = subject.artefacts(bundle, (), tmp_path / "made", steps.append)
    assert {artefact.format for artefact in found} == {"onnx-int8", "tflite-int8"}
    [one] = left_out
    assert one.format == "openvino-int8"
    assert 'pip install "edgekd[export]"' in one.reason
    with pytest.raises(EdgekdError, match="openvino"):
        subject.artefacts(bundle, ("openvino-int8",), tmp_path / "made", steps.append)


def changed(source, **quantization):
    """The committed bundle whose onnx-int8 was written from another source."""
    bundle = Bundle.open(MODEL)
    m = bundle.manifest
    record = m.artefacts["onnx-int8"].model_copy(update={"source": source})
    quantized = m.quantization.model_copy(update=quantization)
    update = {"artefacts": {"onnx-int8": record}, "quantization": quantized}
    return Bundle(bundle.folder, m.model_copy(update=update))


def test_the_control_is_written_from_its_own_graph(tmp_path, steps):
    control = changed("ptq-minmax", control="minmax", control_graph="int8/qat.safetensors")
    [path] = Restorer(control, tmp_path, steps.append).files("onnx-int8").values()
    assert sha256_file(path) == report_formats()["onnx-int8"].files[path.name].sha256


@pytest.mark.parametrize("source", ["litert-torch", "ptq-minmax", "ptq-mse", "ptq-nncf"])
def test_what_no_graph_of_the_bundle_is_the_source_of_says_so(tmp_path, steps, source):
    with pytest.raises(EdgekdError, match=f"none for '{source}'"):
        Restorer(changed(source, control="minmax", control_graph=""), tmp_path, steps.append).files("onnx-int8")


def test_where_nothing_can_be_made_all_reasons_are_given(tmp_path, steps):
    with pytest.raises(EdgekdError, match=r"no artefact can be measured here: 1 problem(.|\n)*none for 'litert-torch'"):
        subject.artefacts(changed("litert-torch"), (), tmp_path, steps.append)


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path, steps):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="a place that can be written"):
        Restorer(Bundle.open(MODEL), tmp_path / "file" / "made", steps.append).files("onnx-int8")


def test_a_name_of_a_record_never_leads_out_of_the_folder(tiny, tmp_path, steps):
    record = tiny.manifest.artefacts["onnx"]
    record = record.model_copy(update={"files": {"../x.onnx": next(iter(record.files.values()))}})
    bundle = Bundle(tiny.folder, tiny.manifest.model_copy(update={"artefacts": {"onnx": record}}))
    with pytest.raises(EdgekdError, match="stays inside"):
        Restorer(bundle, tmp_path, steps.append).files("onnx")
