"""Bundles: hashes are checked, paths stay inside, unknown schemas and keys are refused."""

import json
from pathlib import Path

import pytest

from edgekd import bundle
from edgekd.bundle import Bundle, Manifest, NetworkRecord
from edgekd.errors import EdgekdError
from edgekd.preprocess import InputContract


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "weights.safetensors").write_bytes(b"12345678")
    (tmp_path / "sub" / "a b.txt").write_text("text")
    network = NetworkRecord(network="mobilenetv2", parameters=10, macs=20)
    manifest = Manifest(role="student", name="t", label_names=("å", "b"), input=InputContract(size=32), network=network)
    bundle.write(tmp_path, manifest, ["weights.safetensors", "sub/a b.txt"])
    return tmp_path


def edit(folder, change):
    path = folder / "manifest.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))


def test_round_trip(folder):
    opened = Bundle.open(folder)
    assert opened.manifest.label_names == ("å", "b")
    assert opened.manifest.files["sub/a b.txt"].size_bytes == 4
    assert opened.file("sub/a b.txt").read_text() == "text"
    assert json.loads((folder / "manifest.json").read_text())["schema"] == "edgekd.bundle/1"


def test_a_changed_byte_is_refused_with_the_name(folder):
    (folder / "weights.safetensors").write_bytes(b"12345679")
    with pytest.raises(EdgekdError, match=r"weights\.safetensors[\s\S]*was changed"):
        Bundle.open(folder)


def test_a_missing_file_and_a_shorter_one_are_refused(folder):
    (folder / "weights.safetensors").write_bytes(b"1234")
    with pytest.raises(EdgekdError, match="8 bytes"):
        Bundle.open(folder)
    (folder / "weights.safetensors").unlink()
    with pytest.raises(EdgekdError, match="missing"):
        Bundle.open(folder)


@pytest.mark.parametrize("name", ["../outside", "/etc/passwd", "sub/../../outside", "", "a\0b", "..\\x"])
def test_paths_that_leave_the_folder_are_refused(folder, name):
    (folder.parent / "outside").write_text("x")
    edit(folder, lambda v: v["files"].update({name: {"sha256": "0" * 64, "size_bytes": 1}}))
    with pytest.raises(EdgekdError, match="inside the folder"):
        Bundle.open(folder)


def test_a_symbolic_link_out_of_the_folder_is_refused(folder):
    (folder.parent / "outside").write_text("12345678")
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").symlink_to(folder.parent / "outside")
    with pytest.raises(EdgekdError, match="inside the folder"):
        Bundle.open(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda v: v.update(schema="edgekd.bundle/99"), "schema"),
        (lambda v: v.update(surprise=1), "surprise"),
        (lambda v: v["network"].update(parameters="many"), r"network\.parameters"),
        (lambda v: v.pop("label_names"), "label_names"),
        (lambda v: v["files"]["weights.safetensors"].update(sha256="x"), "sha256"),
    ],
)
def test_wrong_manifests_are_one_error(folder, change, message):
    edit(folder, change)
    with pytest.raises(EdgekdError, match=message):
        Bundle.open(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '"x"', "[" * 100_000, "\ud800".encode("utf-8", "surrogatepass")]
)
def test_manifests_that_are_not_ours(folder, text):
    (folder / "manifest.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(EdgekdError, match=r"manifest\.json"):
        Bundle.open(folder)


def test_no_manifest_and_an_enormous_one(folder):
    (folder / "manifest.json").write_bytes(b" " * (bundle.MAX_MANIFEST_BYTES + 1))
    with pytest.raises(EdgekdError, match="at most"):
        Bundle.open(folder)
    (folder / "manifest.json").unlink()
    with pytest.raises(EdgekdError, match="a bundle"):
        Bundle.open(folder)


def test_enriched_keeps_files_and_fields(folder):
    (folder / "log.csv").write_text("epoch\n")
    richer = Bundle.open(folder).enriched(["log.csv"], calibration_temperature={"torch": 1.5})
    again = Bundle.open(folder)
    assert again.manifest == richer.manifest
    assert set(again.manifest.files) == {"weights.safetensors", "sub/a b.txt", "log.csv"}
    assert again.manifest.calibration_temperature == {"torch": 1.5}


def test_a_file_that_is_not_listed_is_an_error(folder):
    with pytest.raises(EdgekdError, match="not listed"):
        Bundle.open(folder).file("manifest.json")


# --- Names for people ---


def named(*label_names, **display_names):
    network = NetworkRecord(network="mobilenetv2", parameters=1, macs=1)
    facts = {"role": "student", "name": "t", "input": InputContract(size=32), "network": network}
    return Manifest(label_names=label_names, display_names=display_names, **facts)


def test_labels_have_readable_names():
    found = named("notumor", "small_cell-type", "_", "plain", notumor="no tumour")
    assert found.readable_names == ("no tumour", "small cell type", "_", "plain")
    assert found.label_names == ("notumor", "small_cell-type", "_", "plain")


@pytest.mark.parametrize(
    ("names", "message"), [({"notumour": "x"}, "of no label: notumour"), ({"a": ""}, "at least 1")]
)
def test_display_names_that_are_none_are_refused(folder, names, message):
    edit(folder, lambda v: v.update(label_names=["a", "b"], display_names=names))
    with pytest.raises(EdgekdError, match=message):
        Bundle.open(folder)


def test_the_committed_bundles_have_no_tumour():
    for path in sorted((Path(__file__).parents[1] / "models").glob("mri4*/manifest.json")):
        assert "no tumour" in Bundle.open(path.parent).manifest.readable_names
