"""Files are whole or not there; paths of a manifest stay inside their folder."""

import hashlib
from pathlib import Path

import pytest

from edgekd.errors import EdgekdError
from edgekd.files import held, inside, sha256_bytes, sha256_file, write_atomic


def test_writes_text_as_utf8_and_bytes_as_they_are(tmp_path):
    write_atomic(tmp_path / "new" / "text", "Größe\r\n")
    write_atomic(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "new" / "text").read_bytes() == "Größe\r\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert {p.name for p in tmp_path.rglob("*")} == {"new", "text", "bytes"}  # no temporary file is left


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(EdgekdError, match="disk full"):
        write_atomic(tmp_path / "a", "new")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    assert (tmp_path / "a").read_text() == "old"


def test_the_new_file_appears_only_when_it_is_whole(tmp_path, monkeypatch):
    write_atomic(tmp_path / "a", "old")
    seen = []
    real = Path.replace
    monkeypatch.setattr(
        Path, "replace", lambda a, b: (seen.append((a.read_text(), Path(b).read_text())), real(a, b))[1]
    )
    write_atomic(tmp_path / "a", "new")
    assert seen == [("new", "old")]
    assert (tmp_path / "a").read_text() == "new"


@pytest.mark.parametrize("name", ["file/below", "x" * 300])
def test_a_place_that_cannot_be_written_is_our_error(tmp_path, name):
    (tmp_path / "file").write_text("")
    with pytest.raises(EdgekdError, match="a place that can be written"):
        write_atomic(tmp_path / name, "x")


def test_hashes_are_sha256(tmp_path):
    content = bytes(range(256)) * 9000  # larger than one piece
    (tmp_path / "a").write_bytes(content)
    assert sha256_file(tmp_path / "a") == sha256_bytes(content) == hashlib.sha256(content).hexdigest()
    assert sha256_bytes(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("name", ["a", "a/b.png", "a/./b", "..a", "a..b/ü"])
def test_paths_inside_are_joined(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


@pytest.mark.parametrize("name", ["", "/etc/passwd", "..", "../x", "a/../../x", "a/../b", "a\\..\\b", "a\0b", "\ud800"])
def test_paths_outside_are_refused(tmp_path, name):
    with pytest.raises(EdgekdError, match="stays inside the folder"):
        inside(tmp_path, name)


def test_links_may_not_leave_the_folder(tmp_path):
    folder, outside = tmp_path / "folder", tmp_path / "folder-b"  # a sibling whose name begins the same
    folder.mkdir(), outside.mkdir()
    (folder / "out").symlink_to(outside)
    (folder / "here").symlink_to(folder)
    (folder / "loop").symlink_to(folder / "loop")
    assert inside(folder, "here/a") == folder / "here" / "a"
    for name in ("out", "out/a", "loop", "loop/a"):
        with pytest.raises(EdgekdError, match="stays inside the folder"):
            inside(folder, name)


def test_a_folder_that_is_itself_a_link_is_fine(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert inside(tmp_path / "link", "a") == tmp_path / "link" / "a"


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path = tmp_path / "new" / ".lock"
    with held(path) as first, held(path, wait=False) as second:
        assert (first, second) == (True, False)
    with held(path, wait=False) as again:
        assert again
    assert path.exists()
