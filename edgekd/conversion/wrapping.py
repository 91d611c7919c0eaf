"""A converter's `.tflite` made into an artefact: pixels in, calibrated probabilities out, metadata and labels with it.

A converter gives a body: normalized float32 or int8 [1, S, S, 3] in, logits [1, K] float32 or int8 out. Put around it,
in float32: DEQUANTIZE of the bytes, normalization, QUANTIZE where the body is int8; behind it DEQUANTIZE, 1 / temperature,
SOFTMAX. So no converter rounds a probability, and the file is used like any other artefact.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.runtimes import FileFacts
from edgekd.runtimes.sessions import KEY
from edgekd.runtimes.tflite_metadata import NAME, metadata_buffer, pack_labels

if TYPE_CHECKING:
    from ai_edge_litert.schema_py_generated import ModelT

PLAIN_END = 127  # operator codes up to here are also in the field of old readers
VERSIONS = {"MUL": 1, "SUB": 1, "QUANTIZE": 1, "DEQUANTIZE": 2, "SOFTMAX": 1}


def wrap(body: bytes, facts: FileFacts) -> bytes:
    """The artefact around a body.

    Raises: EdgekdError for a body of other shapes or types.
    """
    from ai_edge_litert import schema_py_generated as schema

    from edgekd.runtimes.tflite_model import bytes_of

    model = schema.ModelT.InitFromPackedBuf(body, 0)
    _inline(model, body)
    _check(model, facts)
    ends = _Ends(model)
    ends.prepend_normalization(facts)
    ends.append_softmax(facts)
    model.signatureDefs, model.description = None, facts.name.encode()  # signatures name the old ends
    _add_metadata(model, NAME, metadata_buffer(facts))
    _add_metadata(model, KEY, json.dumps(facts.as_json()).encode())
    return pack_labels(bytes_of(model), facts.label_names)


def _inline(model: ModelT, content: bytes) -> None:
    """Move weights that lie behind the flatbuffer into it."""
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0


def _check(model: ModelT, facts: FileFacts) -> None:
    from ai_edge_litert.schema_py_generated import TensorType

    graph, size = model.subgraphs[0], facts.input.size
    expected = ([1, size, size, 3], [1, len(facts.label_names)])
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise EdgekdError("converted network", "one input and one output", f"{len(graph.inputs)}, {len(graph.outputs)}")
    for words, index, shape in zip(("input", "output"), (graph.inputs[0], graph.outputs[0]), expected, strict=True):
        tensor = graph.tensors[index]
        if list(tensor.shape) != shape or tensor.type not in (TensorType.FLOAT32, TensorType.INT8):
            found = f"shape {[int(n) for n in tensor.shape]}, type {tensor.type}"
            raise EdgekdError(f"converted network: {words}", f"shape {shape}, float32 or int8", found)


def _add_metadata(model: ModelT, name: str, content: bytes) -> None:
    from ai_edge_litert.schema_py_generated import BufferT, MetadataT

    entry, buffer = MetadataT(), BufferT()
    buffer.data = np.frombuffer(content, np.uint8)
    entry.name, entry.buffer = name.encode(), len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]


class _Ends:
    """The operators put before and behind a model's only subgraph."""

    def __init__(self, model: ModelT) -> None:
        from ai_edge_litert import schema_py_generated

        self.schema, self.model, self.graph = schema_py_generated, model, model.subgraphs[0]
        self.types = schema_py_generated.TensorType

    def prepend_normalization(self, facts: FileFacts) -> None:
        """uint8 pixels -> (pixel / 255 - mean) / std, as the body takes it."""
        entry, body = int(self.graph.inputs[0]), list(self.graph.operators)
        self.graph.operators = []
        shape, std = self.graph.tensors[entry].shape, 255 * np.array(facts.input.std)
        pixels = self.tensor("image", shape, self.types.UINT8)
        self.graph.tensors[pixels].quantization = self.schema.QuantizationParametersT()
        self.graph.tensors[pixels].quantization.scale = np.array([1.0], np.float32)
        self.graph.tensors[pixels].quantization.zeroPoint = np.array([0], np.int64)
        real = self.result("DEQUANTIZE", [pixels], shape)
        scaled = self.result("MUL", [real, self.constant("std", 1 / std)], shape)
        offset = self.constant("mean", np.array(facts.input.mean) / np.array(facts.input.std))
        if self.graph.tensors[entry].type == self.types.INT8:
            normalized = self.result("SUB", [scaled, offset], shape)
            self.operator("QUANTIZE", [normalized], entry)
        else:
            self.operator("SUB", [scaled, offset], entry)
        self.graph.inputs = [pixels]
        self.graph.operators += body

    def append_softmax(self, facts: FileFacts) -> None:
        """Logits of the body -> softmax(logits / temperature)."""
        logits = int(self.graph.outputs[0])
        shape = self.graph.tensors[logits].shape
        if self.graph.tensors[logits].type == self.types.INT8:
            logits = self.result("DEQUANTIZE", [logits], shape)
        factor = self.constant("temperature", np.array([1 / facts.calibration_temperature]))
        scaled = self.result("MUL", [logits, factor], shape)
        self.graph.outputs = [self.result("SOFTMAX", [scaled], shape, "probability")]

    def result(self, kind: str, inputs: list[int], shape: Any, name: str = "") -> int:
        """The float32 output of a new operator."""
        output = self.tensor(name or f"edgekd/{kind.lower()}{len(self.graph.tensors)}", shape, self.types.FLOAT32)
        self.operator(kind, inputs, output)
        return output

    def operator(self, kind: str, inputs: list[int], output: int) -> None:
        """Append an operator."""
        operator = self.schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self.code(kind), inputs, [output]
        table = {"MUL": "Mul", "SUB": "Sub", "SOFTMAX": "Softmax"}.get(kind)
        if table:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, f"{table}Options")
            operator.builtinOptions = getattr(self.schema, f"{table}OptionsT")()
        if kind == "SOFTMAX":
            operator.builtinOptions.beta = 1.0
        self.graph.operators.append(operator)

    def code(self, kind: str) -> int:
        """The index of a new operator code; a model may list one code many times."""
        code = self.schema.OperatorCodeT()
        code.builtinCode = getattr(self.schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode, code.version = min(code.builtinCode, PLAIN_END), VERSIONS[kind]
        self.model.operatorCodes.append(code)
        return len(self.model.operatorCodes) - 1

    def constant(self, name: str, values: np.ndarray) -> int:
        """A new float32 constant."""
        buffer = self.schema.BufferT()
        buffer.data = np.frombuffer(values.astype(np.float32).tobytes(), np.uint8)
        self.model.buffers.append(buffer)
        return self.tensor(f"edgekd/{name}", values.shape, self.types.FLOAT32, len(self.model.buffers) - 1)

    def tensor(self, name: str, shape: Any, type: int, buffer: int = 0) -> int:
        """A new tensor; its index."""
        tensor = self.schema.TensorT()
        tensor.name, tensor.shape, tensor.type, tensor.buffer = name.encode(), [int(n) for n in shape], type, buffer
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1
