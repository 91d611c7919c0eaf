"""Writers other than the graph's own: generic converters and nncf. What they make passes the same verification."""

from __future__ import annotations

from pathlib import Path

from edgekd.artefacts.making import Writer
from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Array, Graph
from edgekd.runtimes import FileFacts, Format

TFLITE = ("tflite", "tflite-int8")


def from_torch(format: Format, bundle: Bundle, pixels: Array) -> Writer:
    """The bundle's torch network through litert-torch; pixels [N, S, S, 3] uint8 are the representative set."""
    from edgekd.conversion import convert_network
    from edgekd.networks import from_bundle

    _check(format, TFLITE, "--via litert-torch")
    network = from_bundle(bundle)

    def write(facts: FileFacts, path: Path) -> None:
        convert_network(network, facts, format.scheme, pixels, path)

    return write


def from_onnx(format: Format, source: Path, pixels: Array) -> Writer:
    """An ONNX file through onnx2tf."""
    from edgekd.conversion import convert_onnx

    _check(format, TFLITE, "--onnx")

    def write(facts: FileFacts, path: Path) -> None:
        convert_onnx(source, facts, format.scheme, pixels, path)

    return write


def by_nncf(format: Format, graph: Graph, pixels: Array) -> Writer:
    """The float graph quantized by nncf."""
    from edgekd.quantization import nncf_ptq

    _check(format, ("openvino-int8",), "--ptq nncf")

    def write(facts: FileFacts, path: Path) -> None:
        nncf_ptq.write(graph, facts, pixels, path)

    return write


def _check(format: Format, possible: tuple[str, ...], option: str) -> None:
    if format.name not in possible:
        raise EdgekdError(f"{option} --format {format.name}", f"a format of {', '.join(possible)}", format.name)
