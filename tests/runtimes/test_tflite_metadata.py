"""The metadata flatbuffer and the packed label file, read back by a reader of its own."""

from __future__ import annotations

import dataclasses
import io
import struct
import zipfile

import pytest

pytest.importorskip("flatbuffers")
from flatbuffers.number_types import Float32Flags, Int8Flags, Uint8Flags, Uint32Flags
from flatbuffers.table import Table

from edgekd.errors import EdgekdError
from edgekd.preprocess import InputContract
from edgekd.runtimes import FileFacts
from edgekd.runtimes.tflite_metadata import LABEL_FILE, metadata_buffer, pack_labels

FACTS = FileFacts(
    "mri", "Four kinds of slices", ("glioma", "Übergröße"), InputContract(size=96), 0.8, licence="Apache-2.0"
)


class Reader:
    """A table of a flatbuffer whose fields are asked for by number."""

    def __init__(self, content: bytes, place: int) -> None:
        self.table = Table(content, place)

    def place(self, slot: int) -> int:
        offset = self.table.Offset(4 + 2 * slot)
        return offset and offset + self.table.Pos

    def has(self, slot: int) -> bool:
        return bool(self.place(slot))

    def text(self, slot: int) -> str:
        return self.table.String(self.place(slot)).decode()

    def scalar(self, slot: int, flags: type) -> int:
        return self.table.Get(flags, self.place(slot))

    def child(self, slot: int) -> Reader:
        return Reader(self.table.Bytes, self.table.Indirect(self.place(slot)))

    def length(self, slot: int) -> int:
        return self.table.VectorLen(self.place(slot) - self.table.Pos)

    def only(self, slot: int) -> Reader:
        """The table in a vector of one table."""
        assert self.length(slot) == 1
        start = self.table.Vector(self.place(slot) - self.table.Pos)
        return Reader(self.table.Bytes, self.table.Indirect(start))

    def floats(self, slot: int) -> list[float]:
        start = self.table.Vector(self.place(slot) - self.table.Pos)
        return [self.table.Get(Float32Flags, start + 4 * i) for i in range(self.length(slot))]


def read(facts: FileFacts) -> Reader:
    content = metadata_buffer(facts)
    assert content[4:8] == b"M001"
    return Reader(content, struct.unpack_from("<I", content)[0])


def test_the_model_is_described() -> None:
    model = read(FACTS)
    assert [model.text(slot) for slot in (0, 1, 5, 7)] == ["mri", "Four kinds of slices", "Apache-2.0", "1.0.0"]
    assert not model.has(2)  # an empty version is left out
    assert read(dataclasses.replace(FACTS, version="0.2")).text(2) == "0.2"


def test_the_input_is_an_rgb_image_of_bare_pixels() -> None:
    image = read(FACTS).only(3).only(2)
    content, process = image.child(3), image.only(4)
    assert content.scalar(0, Uint8Flags) == 2
    assert content.child(1).scalar(0, Int8Flags) == 1
    size = content.child(1).child(1)
    assert [size.scalar(slot, Uint32Flags) for slot in (0, 1)] == [96, 96]
    assert process.scalar(0, Uint8Flags) == 1
    assert [process.child(1).floats(slot) for slot in (0, 1)] == [[0.0], [1.0]]
    assert [image.child(5).floats(slot) for slot in (0, 1)] == [[255.0], [0.0]]


def test_the_output_names_its_label_file() -> None:
    classes = read(FACTS).only(3).only(3)
    file = classes.only(6)
    assert classes.text(0) == "probability"
    assert file.text(0) == LABEL_FILE
    assert file.scalar(2, Int8Flags) == 2
    assert [classes.child(5).floats(slot) for slot in (0, 1)] == [[1.0], [0.0]]


def test_int8_artefacts_give_logits() -> None:
    subgraph = read(dataclasses.replace(FACTS, io="int8")).only(3)
    assert subgraph.only(2).text(1) == "RGB pixels 0 to 255, less 128"
    assert subgraph.only(3).text(0) == "logits"
    assert not subgraph.only(3).has(5)


def test_labels_lie_uncompressed_behind_the_untouched_model() -> None:
    model = bytes(range(256)) * 3
    packed = pack_labels(model, FACTS.label_names)
    assert packed.startswith(model)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        (info,) = archive.infolist()
        assert (info.filename, info.compress_type) == (LABEL_FILE, zipfile.ZIP_STORED)
        assert info.header_offset == len(model)  # counted from the start of the file, as MediaPipe reads it
        assert archive.read(info).decode() == "glioma\nÜbergröße\n"


def test_equal_input_gives_equal_bytes() -> None:
    assert pack_labels(b"model", ["a", "b"]) == pack_labels(b"model", ["a", "b"])
    assert metadata_buffer(FACTS) == metadata_buffer(dataclasses.replace(FACTS))


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "two\rlines", "line\n", "a\u2028b"])
def test_a_label_that_is_not_one_line_is_refused(name: str) -> None:
    with pytest.raises(EdgekdError, match="one line"):
        pack_labels(b"", ["glioma", name])
