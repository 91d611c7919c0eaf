"""Generic converters, for networks with operators that `edgekd.quantization.graph` does not have.

The files that come out are used like those of `edgekd.runtimes.tflite`: uint8 pixels in, calibrated probabilities out. What
the converters do to accuracy is their affair: verify before use. The request to a worker, paths in its folder:

    source  program.pt2 or network.onnx      pixels  [N, S, S, 3] uint8
    output  body.tflite                      scheme, size, mean, std
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd.conversion.isolated import run_worker
from edgekd.conversion.wrapping import wrap
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.runtimes import FileFacts, Scheme

if TYPE_CHECKING:
    from edgekd.networks import PixelNetwork

SCHEMES = ("fp32", "static_wi8_ai8")


def convert_network(
    network: PixelNetwork, facts: FileFacts, scheme: Scheme, pixels: np.ndarray, path: Path, python: str | None = None
) -> None:
    """Write a network in eval mode as `.tflite` by litert-torch, int8 by ai-edge-quantizer.

    `pixels` [N, S, S, 3] uint8, the representative set, is used for int8 only. `python` is that of an environment with the
    extra `convert` and the same torch; see `edgekd.conversion.isolated`.
    Raises: EdgekdError.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as name:
        _save_program(network, Path(name, "program.pt2"))
        _convert("litert_torch", "program.pt2", Path(name), facts, scheme, pixels, path, python)


def convert_onnx(
    source: Path, facts: FileFacts, scheme: Scheme, pixels: np.ndarray, path: Path, python: str | None = None
) -> None:
    """Write an ONNX network as `.tflite` by onnx2tf, int8 by TensorFlow.

    The network takes one normalized image, [1, 3, S, S] or [1, S, S, 3] float32, and gives logits [1, K]; else as
    `convert_network`.
    Raises: EdgekdError.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-") as name:
        try:
            shutil.copyfile(source, Path(name, "network.onnx"))  # the converter rewrites its input
        except OSError as e:
            raise EdgekdError(str(source), "an ONNX file", str(e)) from None
        _convert("onnx2tf", "network.onnx", Path(name), facts, scheme, pixels, path, python)


def _convert(
    worker: str,
    source: str,
    folder: Path,
    facts: FileFacts,
    scheme: Scheme,
    pixels: np.ndarray,
    path: Path,
    python: str | None,
) -> None:
    if scheme not in SCHEMES:
        raise EdgekdError(f"conversion by {worker}", f"a scheme of {', '.join(SCHEMES)}", scheme)
    if facts.io != "uint8":
        raise EdgekdError(f"conversion by {worker}", "io = 'uint8'", f"io = {facts.io!r}")
    np.save(folder / "pixels.npy", _full_range(pixels) if scheme != "fp32" else pixels[:0])
    contract = facts.input
    request: dict[str, object] = {"source": source, "pixels": "pixels.npy", "output": "body.tflite", "scheme": scheme}
    request |= {"size": contract.size, "mean": contract.mean, "std": contract.std}
    run_worker(worker, request, folder, python)
    write_atomic(path, wrap((folder / "body.tflite").read_bytes(), facts))


def _full_range(pixels: np.ndarray) -> np.ndarray:
    """The images with one black and one white pixel each, so that the range found for the input clips nothing."""
    if not len(pixels):
        raise EdgekdError("representative set", "at least one image", "none")
    pixels = pixels.copy()
    pixels[:, 0, 0], pixels[:, 0, 1] = 0, 255
    return pixels


def _save_program(network: PixelNetwork, path: Path) -> None:
    """The network behind its normalization as a torch.export program, [1, S, S, 3] normalized -> logits [1, K]."""
    import torch

    class ChannelsLast(torch.nn.Module):
        def __init__(self, body: torch.nn.Module) -> None:
            super().__init__()
            self.body = body

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            return self.body(image.permute(0, 3, 1, 2))

    example = torch.zeros(1, network.size, network.size, 3)
    with torch.inference_mode(False), torch.no_grad():
        torch.export.save(torch.export.export(ChannelsLast(network.body).eval(), (example,)), path)
