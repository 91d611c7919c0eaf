"""What is asked of ELF libraries: how their segments are aligned, which libraries they need, which symbols they want.

Source of the layout: System V ABI, chapters 4 and 5; symbol versions: Linux Standard Base, chapter 10.7.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from edgekd.errors import EdgekdError

LOAD, DYNAMIC, DYNAMIC_SYMBOLS, VERSIONS, VERSIONS_NEEDED = 1, 6, 11, 0x6FFFFFFF, 0x6FFFFFFE
NEEDED = 1


class Elf:
    """A little-endian ELF file of 32 or 64 bits.

    Raises: EdgekdError for anything else.
    """

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        if self.data[:4] != b"\x7fELF" or self.data[5] != 1:
            raise EdgekdError(str(path), "a little-endian ELF file", "something else")
        self.is_64 = self.data[4] == 2
        head = struct.unpack_from("<QQQIHHHHHH" if self.is_64 else "<IIIIHHHHHH", self.data, 24)
        _, self.segments_at, self.sections_at, _, _, self.segment_size, self.segment_count, *rest = head
        self.section_size, self.section_count = rest[0], rest[1]

    def load_alignments(self) -> list[int]:
        """Alignment in bytes of each segment that is loaded."""
        found = []
        for i in range(self.segment_count):
            at = self.segments_at + i * self.segment_size
            (kind,) = struct.unpack_from("<I", self.data, at)
            if kind == LOAD:
                found.append(
                    struct.unpack_from("<Q" if self.is_64 else "<I", self.data, at + (48 if self.is_64 else 28))[0]
                )
        return found

    def needed(self) -> list[str]:
        """Names of the libraries that it depends on itself."""
        step, place = (16, "<qQ") if self.is_64 else (8, "<iI")
        for kind, at, size, link in map(self._section, range(self.section_count)):
            if kind == DYNAMIC:
                strings = self._section(link)[1]
                entries = [struct.unpack_from(place, self.data, at + i) for i in range(0, size, step)]
                return [self._text(strings + value) for tag, value in entries if tag == NEEDED]
        return []

    def wanted(self, version: str) -> list[str]:
        """Names of undefined dynamic symbols of a version, sorted."""
        sections = [self._section(i) for i in range(self.section_count)]
        by_kind = {kind: (at, size, link) for kind, at, size, link in sections}
        at, size, link = by_kind[DYNAMIC_SYMBOLS]
        strings = sections[link][1]
        numbers = {number for number, name in self._versions(by_kind[VERSIONS_NEEDED], strings) if name == version}
        step, places = (24, "<IBBH") if self.is_64 else (16, "<III BBH")
        found = set()
        for i in range(size // step):
            fields = struct.unpack_from(places, self.data, at + i * step)
            (number,) = struct.unpack_from("<H", self.data, by_kind[VERSIONS][0] + 2 * i)
            if fields[-1] == 0 and number & 0x7FFF in numbers:
                found.add(self._text(strings + fields[0]))
        return sorted(found)

    def _section(self, index: int) -> tuple[int, int, int, int]:
        """Kind, offset, size, link."""
        at = self.sections_at + index * self.section_size
        values = struct.unpack_from("<IIQQQQII" if self.is_64 else "<IIIIIIII", self.data, at)
        return values[1], values[4], values[5], values[6]

    def _versions(self, section: tuple[int, int, int], strings: int) -> Iterator[tuple[int, str]]:
        """Number and name of each version that is wanted of some library."""
        at = section[0]
        while True:
            _, count, _, first, following = struct.unpack_from("<HHIII", self.data, at)
            inner = at + first
            for _ in range(count):
                _, _, number, name, step = struct.unpack_from("<IHHII", self.data, inner)
                yield number & 0x7FFF, self._text(strings + name)
                inner += step
            if not following:
                return
            at += following

    def _text(self, at: int) -> str:
        return self.data[at : self.data.index(b"\0", at)].decode()
