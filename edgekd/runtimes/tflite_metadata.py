"""TFLite Metadata: what a `.tflite` says of itself, so that clients such as MediaPipe's ImageClassifier just take it.

Two parts: a flatbuffer (schema 1.5.0, identifier M001) that the model holds as its metadata entry `NAME`, and a zip with
the label file, appended to the model's bytes. MediaPipe requires: pixels [1, H, W, 3] uint8 or float32 (float32 only with
normalization), RGB, one label per class, and a zip without compression whose offsets count from the start of the file.

A table is given here as {field number: value}; a value is an offset (a string, vector or table made before) or a scalar.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.quantization.heatmap import OUTPUT
from edgekd.runtimes import FileFacts

if TYPE_CHECKING:
    from flatbuffers import Builder

NAME = "TFLITE_METADATA"  # of the entry in Model.metadata
IDENTIFIER = b"M001"
LABEL_FILE = "labels.txt"
PARSER_VERSION = "1.0.0"  # the oldest schema that has all fields used here
RGB, TENSOR_AXIS_LABELS = 1, 2  # enum values of the schema
IMAGE_PROPERTIES, NORMALIZATION_OPTIONS = 2, 1  # union types of the schema
EARLIEST = (1980, 1, 1, 0, 0, 0)  # a zip knows no earlier time; fixed, so that equal models are equal files


def metadata_buffer(facts: FileFacts, has_heatmap: bool = False) -> bytes:
    """The metadata flatbuffer of a classifier with one image input and one output [1, K], and perhaps a heat map."""
    from flatbuffers import Builder

    builder = Builder(2048)
    image, outputs = _image_input(builder, facts), [_classes_output(builder, facts)]
    if has_heatmap:
        words = "what each place adds to each class, in logits: the mean plus the bias is the logit"
        outputs.append(_table(builder, {0: builder.CreateString(OUTPUT), 1: builder.CreateString(words)}))
    subgraph = _table(builder, {2: _offsets(builder, [image]), 3: _offsets(builder, outputs)})
    text = {0: facts.name, 1: facts.description, 2: facts.version, 5: facts.licence, 7: PARSER_VERSION}
    fields = {slot: builder.CreateString(value) for slot, value in text.items() if value}
    builder.Finish(_table(builder, {**fields, 3: _offsets(builder, [subgraph])}), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def pack_labels(model: bytes, label_names: Sequence[str]) -> bytes:
    """`model` with a zip appended that holds LABEL_FILE, one name per line; equal input gives equal bytes.

    Raises: EdgekdError for a name that is empty or not one line.
    """
    if wrong := [name for name in label_names if name.splitlines() != [name] or not name.strip()]:
        raise EdgekdError("label names", "one line of text for each", repr(wrong[0]))
    info = zipfile.ZipInfo(LABEL_FILE, EARLIEST)
    info.create_system = 3  # whatever system writes it
    info.external_attr = 0o644 << 16
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_STORED) as archive:  # "a" counts offsets from the start of the model
        archive.writestr(info, "".join(f"{name}\n" for name in label_names).encode())
    return file.getvalue()


def _image_input(builder: Builder, facts: FileFacts) -> int:
    size = _table(builder, {0: _uint(facts.input.size), 1: _uint(facts.input.size)})
    properties = _table(builder, {0: _byte(RGB), 1: size})
    content = _table(builder, {0: _ubyte(IMAGE_PROPERTIES), 1: properties})
    identity = _table(builder, {0: _floats(builder, [0.0]), 1: _floats(builder, [1.0])})  # mean, std: bare pixels
    process = _table(builder, {0: _ubyte(NORMALIZATION_OPTIONS), 1: identity})
    stats = _table(builder, {0: _floats(builder, [255.0]), 1: _floats(builder, [0.0])})  # max, min
    words = "RGB pixels 0 to 255" + (", less 128" if facts.io == "int8" else "")
    fields = {0: builder.CreateString("image"), 1: builder.CreateString(words)}
    return _table(builder, {**fields, 3: content, 4: _offsets(builder, [process]), 5: stats})


def _classes_output(builder: Builder, facts: FileFacts) -> int:
    is_logits = facts.io == "int8"
    words = "logits of the classes" if is_logits else "calibrated probability of each class"
    labels = {0: builder.CreateString(LABEL_FILE), 1: builder.CreateString("names of the classes")}
    file = _table(builder, {**labels, 2: _byte(TENSOR_AXIS_LABELS)})
    fields = {0: builder.CreateString("logits" if is_logits else "probability"), 1: builder.CreateString(words)}
    if not is_logits:
        fields[5] = _table(builder, {0: _floats(builder, [1.0]), 1: _floats(builder, [0.0])})
    return _table(builder, {**fields, 6: _offsets(builder, [file])})


Scalar = Callable[[Any, int], None]  # writes itself into a builder's open table at a field number


def _table(builder: Builder, fields: dict[int, int | Scalar]) -> int:
    builder.StartObject(max(fields) + 1)
    for slot, value in fields.items():
        if callable(value):
            value(builder, slot)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
    return builder.EndObject()


def _byte(value: int) -> Scalar:
    return lambda builder, slot: builder.PrependInt8Slot(slot, value, 0)


def _ubyte(value: int) -> Scalar:
    return lambda builder, slot: builder.PrependUint8Slot(slot, value, 0)


def _uint(value: int) -> Scalar:
    return lambda builder, slot: builder.PrependUint32Slot(slot, value, 0)


def _floats(builder: Builder, values: list[float]) -> int:
    return builder.CreateNumpyVector(np.array(values, np.float32))


def _offsets(builder: Builder, offsets: list[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return builder.EndVector()
