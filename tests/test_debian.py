"""Debian packages: what is not pinned is refused, the archive is the one that the machine or its user names."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from edgekd import debian
from edgekd.errors import EdgekdError


@dataclass(frozen=True)
class Package:
    source: str = "bookworm"
    name: str = "libc6:arm64"
    version: str = "2:1"
    sha256: str = "0" * 64


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path):
    (tmp_path / "libc6_2%3a1_arm64.deb").write_bytes(b"something else")
    with pytest.raises(EdgekdError, match="SHA-256") as found:
        debian.fetched(Package(), tmp_path, Path("apt.conf"), "make it")
    assert "make it" in found.value.todo


def test_the_environment_names_debians_archive(monkeypatch):
    monkeypatch.setenv(debian.ARCHIVE, "file:/archive/debian")
    assert debian.archive() == "file:/archive/debian"


def test_without_debians_tools_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EdgekdError, match="Debian's package tools"):
        debian.fetch(tmp_path, [Package()], "")


def test_apt_is_asked_for_the_lists_that_are_needed(tmp_path, monkeypatch):
    monkeypatch.setenv(debian.ARCHIVE, "file:/archive/debian")
    packages = [Package(), Package(name="apksigner:all"), Package(source="trixie", name="qemu-user:amd64")]
    config = debian._private_apt(tmp_path, packages)
    lines = (tmp_path / "etc/sources.list").read_text().splitlines()
    assert len(lines) == 2
    assert "arch=amd64,arm64]" in lines[0]
    assert lines[0].endswith("file:/archive/debian bookworm main")
    assert "arch=amd64]" in lines[1]
    assert lines[1].endswith("file:/archive/debian trixie main")
    assert 'Architectures { "amd64"; "arm64"; };' in config.read_text()
