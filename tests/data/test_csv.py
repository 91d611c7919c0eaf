"""The CSV source: columns by name, paths that stay in their folder, all problems at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from edgekd.data import sources
from edgekd.data.dataset import Dataset
from edgekd.errors import CorruptImage, EdgekdError
from edgekd.recipe import DataRecipe


def image(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", (4, 3), value).save(path)
    return path


def read(source: str, path: Path | str, /, **options) -> Dataset:
    return sources.read(DataRecipe(source=source, path=str(path), options=options))


def listing(data: Dataset) -> list[tuple[str, str, str]]:
    return [(s.name, data.label_names[s.label], s.split) for s in data.samples]


def table(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "header",
    ["path,label,group,split", "File,Class,Patient,SPLIT", "IMAGE,label,patient_id,split", "filename,class,PID,set"],
)
def test_columns_by_their_usual_names(tmp_path, header):
    image(tmp_path / "i/1.png", 50)
    path = table(tmp_path / "list.csv", f"{header},extra\ni/1.png,b,p1,Training,9\ni/2.png, a ,,val,9\n")
    data = read("csv", path)
    assert listing(data) == [("i/1.png", "b", "train"), ("i/2.png", "a", "val")]
    assert [s.group for s in data.samples] == ["p1", None]
    assert data.open_image(data.samples[0]).getpixel((0, 0)) == (50, 50, 50)
    with pytest.raises(CorruptImage, match="no such file"):
        data.open_image(data.samples[1])


def test_columns_by_option_and_another_root(tmp_path):
    image(tmp_path / "images/1.png", 50)
    path = table(tmp_path / "lists/x.csv", "\ufeffwhere,label,diagnosis\n1.png,wrong,right\n")
    data = read("csv", path, path="where", label="diagnosis", root=str(tmp_path / "images"))
    assert data.label_names == ("right",)
    assert data.open_image(data.samples[0]).size == (4, 3)
    with pytest.raises(EdgekdError, match="did you mean 'diagnosis'"):
        read("csv", path, path="where", label="diagnosys")
    with pytest.raises(EdgekdError, match="did you mean 'root'"):
        read("csv", path, roots="x")


@pytest.mark.parametrize(
    "bad",
    ["/etc/passwd", "../secret.png", "a/../../secret.png", "a\\\\..\\\\b.png", "link/secret.png", "link.png"],
)
def test_paths_that_leave_the_folder_are_refused(tmp_path, bad):
    secret = image(tmp_path / "secret.png")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/link").symlink_to(tmp_path)
    (tmp_path / "set/link.png").symlink_to(secret)
    path = table(tmp_path / "set/list.csv", f'path,label\n"{bad}",a\n')
    with pytest.raises(EdgekdError, match=r"line 2: .* is not a relative path inside"):
        read("csv", path)


def test_all_problems_at_once_with_their_lines(tmp_path):
    rows = [
        "1.png,a,train",
        ",a,train",
        "2.png,,test",
        "3.png,a,holdout",
        "./1.png,a,train",
        "/4.png,b,",
        "5.png,a,,6.png",
    ]
    path = table(tmp_path / "x.csv", "path,label,split\n" + "\n".join(rows) + "\n")
    with pytest.raises(EdgekdError) as raised:
        read("csv", path)
    lines = str(raised.value).splitlines()
    assert lines[0].endswith("x.csv: 6 problems")
    assert [line.split(":")[0].strip() for line in lines[1:]] == [f"- line {n}" for n in range(3, 9)]
    assert "'1.png' is listed in line 2 already" in lines[4]
    assert "holdout" in lines[3]


def test_problems_are_capped(tmp_path):
    path = table(tmp_path / "x.csv", "path,label\n" + "x.png,\n" * 1000)
    with pytest.raises(EdgekdError) as raised:
        read("csv", path)
    assert len(str(raised.value).splitlines()) == 12
    assert "… and" in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "column for the path"),
        (b"path,label\n", "at least one row"),
        (b"name,label\n1.png,a\n", "column for the path"),
        (b"path,name\n1.png,a\n", "column for the label"),
        (b"path,label\n\xff\xfe.png,a\n", "UTF-8"),
        (b'path,label\n"1.png,a\n', "CSV"),
        (b"path,label\n1\0.png,a\n", "x.csv"),
        (b"path,label\n" + b"x" * 200_000 + b",a\n", "CSV"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, message):
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(EdgekdError, match=message):
        read("csv", tmp_path / "x.csv")


def test_a_missing_table(tmp_path):
    with pytest.raises(EdgekdError, match="no such file"):
        read("csv", tmp_path / "x.csv")
