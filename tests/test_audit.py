"""python -m edgekd.audit: three files, exit codes, one-line errors, and a next command that works."""

from __future__ import annotations

import shlex
import sys

import pytest
from PIL import Image, ImageOps

from edgekd import audit, extras, recipe
from edgekd.auditing.report import Audit
from edgekd.data import sources
from edgekd.data.phantom import phantom
from edgekd.errors import EdgekdError


@pytest.fixture(scope="module")
def slices():
    return [Image.fromarray(phantom(5, index, 64).image) for index in range(0, 24, 2)]


@pytest.fixture
def folder(tmp_path, slices):
    """Two classes in two splits; one test image mirrors a training image, one file is empty."""
    data = tmp_path / "my data"
    for index, image in enumerate(slices):
        path = data / ("Testing" if index % 4 == 0 else "Training") / "ab"[index // 2 % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    ImageOps.mirror(slices[1]).save(data / "Testing" / "a" / "mirrored.png")
    (data / "Training" / "a" / "empty.png").write_bytes(b"")
    return data


def test_a_folder_is_audited_and_the_clean_split_can_be_trained_on(folder, slices, tmp_path, capsys):
    before = sorted(folder.rglob("*"))
    assert audit.main([str(folder), "--out", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    found = Audit.load(tmp_path / "out" / "audit.json")
    assert sorted(folder.rglob("*")) == before
    assert "25.0 % of the test images are copies of train images" in shown
    assert [(t.kind, t.path) for t in found.troubles] == [("empty", "Training/a/empty.png")]
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"audit.json", "audit.html", "split.csv"}
    command = shlex.split(shown.splitlines()[-1].removeprefix("next: "))
    assert command[:3] == ["python", "-m", "edgekd.distill"]
    data = sources.read(recipe.load(None, command[4::2]).data)
    assert len(data.samples) == sum(c.images for c in found.clean.kept) == len(slices)
    assert all(data.open_image(sample).size == (64, 64) for sample in data.samples)


def test_strict_fails_on_a_leak_and_passes_the_clean_split(folder, tmp_path):
    out = tmp_path / "out"
    assert audit.main([str(folder), "--out", str(out), "--strict"]) == audit.LEAKS == 1
    settings = ["--set", f"data.options.root={folder}", "--set", "data.source=csv"]
    assert audit.main([str(out / "split.csv"), "--out", str(tmp_path / "again"), "--strict", *settings]) == 0
    again = Audit.load(tmp_path / "again" / "audit.json")
    assert not again.leaks
    assert not again.clean.removed
    assert again.counts.readable == again.counts.pictures


def test_the_screen_says_what_no_audit_can_know(folder, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out"), "--set", "audit.similar=0.3", "--set", "audit.neighbours=64"]
    audit.main([str(folder), *out])
    shown = capsys.readouterr().out.splitlines()
    assert any("whether a patient lies in two splits is unknown" in line for line in shown)
    assert any(line.startswith("No groups are estimated: one chain of alike images would hold") for line in shown)
    assert ",,test" in (tmp_path / "out" / "split.csv").read_text()
    audit.main([str(folder), *out, "--estimate-groups"])
    assert any("An estimated group is no patient." in line for line in capsys.readouterr().out.splitlines())
    assert "estimated-0001" in (tmp_path / "out" / "split.csv").read_text()


def test_another_list_is_looked_for_in_its_own_folder(tmp_path, slices):
    (tmp_path / "list.csv").write_text("path,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(4)))
    for i in range(4):
        slices[i].save(tmp_path / f"{i}.png")
    (tmp_path / "r.toml").write_text('data = { source = "csv", path = "old.csv", options = { root = "/nowhere" } }')
    arguments = ["--recipe", str(tmp_path / "r.toml"), "--out", str(tmp_path / "out")]
    audit.main([str(tmp_path / "list.csv"), *arguments])
    assert Audit.load(tmp_path / "out" / "audit.json").counts.readable == 4


def test_an_audit_can_be_repeated_in_place_but_overwrites_no_other_split(folder, tmp_path):
    out = tmp_path / "out"
    for _ in range(2):
        audit.main([str(folder), "--out", str(out)])
    (out / "audit.json").unlink()
    with pytest.raises(EdgekdError, match=r"split\.csv"):
        audit.main([str(folder), "--out", str(out)])


def test_thresholds_and_data_come_from_a_recipe(tmp_path):
    path = tmp_path / "phantom.toml"
    path.write_text("[audit]\nduplicate = 0.97\n[data.options]\ntrain = 16\nval = 0\ntest = 8\nsize = 64\n")
    audit.main(["--recipe", str(path), "--out", str(tmp_path / "out"), "--set", "audit.similar=0.9"])
    found = Audit.load(tmp_path / "out" / "audit.json")
    assert (found.settings.duplicate, found.settings.similar) == (0.97, 0.9)
    assert (found.data, found.counts.readable) == ("phantom", 24)
    assert not (tmp_path / "out" / "split.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "nothing there"),
        (["empty"], "none"),
        (["notes.txt"], "none of them"),
        (["broken.csv"], "a column for the path"),
        (["empty", "--set", "audit.duplicat=0.9"], "did you mean 'duplicate'"),
        (["empty", "--set", "audit.duplicate=1.5"], "audit.duplicate"),
        (["empty", "--set", "audit.duplicate=0.7"], "audit.similar must not be above"),
    ],
)
def test_bad_input_is_one_error(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "broken.csv").write_text("a,b\n1,2\n")
    with pytest.raises(EdgekdError, match=message):
        audit.main(arguments)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("package", ["scipy", "jinja2"])
def test_a_missing_package_is_said_before_anything_is_read(folder, monkeypatch, package):
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name == package else sys)
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[audit\]"'):
        audit.main([str(folder)])
