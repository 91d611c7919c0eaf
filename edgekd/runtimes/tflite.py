"""TFLite: own writer, sessions on LiteRT with XNNPACK, and the lint of what was written."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import EdgekdError, missing_package
from edgekd.files import write_atomic
from edgekd.quantization.graph import Graph
from edgekd.quantization.heatmap import OUTPUT
from edgekd.runtimes import FileFacts, Format, cpu
from edgekd.runtimes.sessions import Ends, check_format

PACKAGES = ("ai_edge_litert", "flatbuffers")
FORMATS = (
    Format("tflite", "TensorFlow Lite, float32", (".tflite",), "fp32", PACKAGES, takes_heatmap=True),
    Format("tflite-fp16", "TensorFlow Lite, float16 weights", (".tflite",), "fp16", PACKAGES),
    Format(
        "tflite-int8", "TensorFlow Lite, int8 throughout", (".tflite",), "static_wi8_ai8", PACKAGES, takes_heatmap=True
    ),
)


def write(graph: Graph, format: Format, facts: FileFacts, path: Path) -> None:
    """Write a graph as `path`.

    Raises: EdgekdError if graph and format do not fit, or a package is missing.
    """
    from edgekd.runtimes import tflite_metadata, tflite_model

    check_format(graph, format, facts)
    _need_packages(f"format {format.name!r}")
    content = tflite_model.bytes_of(tflite_model.model(graph, format, facts))
    write_atomic(path, tflite_metadata.pack_labels(content, facts.label_names))


def load(path: Path, threads: int = 1, keep: bool = False) -> TfliteSession:
    """A session on a file that edgekd wrote; `keep` as in TfliteSession.

    Raises: EdgekdError for a damaged or foreign file. LiteRT is native code: load files of strangers through `isolated`.
    """
    _need_packages(str(path))
    return TfliteSession(path, threads, keep)


def lint(graph: Graph, format: Format, facts: FileFacts, path: Path) -> list[str]:
    """What is wrong with the structure of a file, in words; see `tflite_lint`."""
    from edgekd.runtimes import tflite_lint

    return tflite_lint.lint(graph, format, facts, read(path))


KEEPS_TENSORS = True  # sessions can show the values of all tensors


class TfliteSession:
    """A `.tflite` in LiteRT's interpreter, XNNPACK on. `keep` makes all tensors readable, for `codes`."""

    cure = ""  # LiteRT adds int8 products in 32 bits on every processor

    def __init__(self, path: Path, threads: int = 1, keep: bool = False) -> None:
        from ai_edge_litert.interpreter import Interpreter

        from edgekd.runtimes import tflite_model

        model = read(path)
        self.ends = Ends.of(tflite_model.entries(model), path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that keeping all tensors takes memory
                options = {"num_threads": threads, "experimental_preserve_all_tensors": keep}
                self.interpreter = Interpreter(model_path=str(path), **options)
            self.interpreter.allocate_tensors()
            outputs = self.interpreter.get_output_details()
            self._input, self._output = self.interpreter.get_input_details()[0]["index"], outputs[0]["index"]
            self._outputs = {output["name"]: output["index"] for output in outputs}
            if self.ends.heatmap and OUTPUT not in self._outputs:
                raise ValueError(f"no output {OUTPUT!r}")
        except (RuntimeError, ValueError, IndexError) as e:
            raise EdgekdError(str(path), "a model that LiteRT can run", str(e).splitlines()[0]) from None
        self.threads = threads

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
        outputs = [self._run(image[None], self._output) for image in self.ends.feed(pixels)]
        return self.ends.probs(np.concatenate(outputs))

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB.

        Raises: EdgekdError for a file without one.
        """
        self.ends.need_heatmap()
        return np.concatenate([self._run(image[None], self._outputs[OUTPUT]) for image in self.ends.feed(pixels)])

    def codes(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Values [B, ...] of every tensor by name; needs `keep`."""
        found: dict[str, list[np.ndarray]] = {}
        details = [d for d in self.interpreter.get_tensor_details() if d["name"]]
        for image in self.ends.feed(pixels):
            self._run(image[None], self._output)
            for detail in details:
                try:
                    found.setdefault(detail["name"], []).append(self.interpreter.get_tensor(detail["index"]))
                except ValueError:  # a tensor that the delegate swallowed
                    continue
        return {name: np.concatenate(values) for name, values in found.items() if values[0].ndim}

    def describe(self) -> dict[str, Any]:
        """What ran: runtime, version, threads, the processor's int8 features."""
        from importlib.metadata import version

        facts = {"runtime": "LiteRT", "version": version("ai-edge-litert"), "delegate": "XNNPACK"}
        return facts | {"threads": self.threads, "cpu_features": cpu.features(), "cure": self.cure}

    def _run(self, image: np.ndarray, output: int) -> np.ndarray:
        self.interpreter.set_tensor(self._input, image)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(output)


def read(path: Path) -> Any:
    """The schema's ModelT of a file; parsed in Python, so damage is an error and no crash.

    Raises: EdgekdError.
    """
    from ai_edge_litert import schema_py_generated as schema

    try:
        content = Path(path).read_bytes()
        if not schema.Model.ModelBufferHasIdentifier(content, 0):
            raise ValueError("no TFL3 identifier")
        return schema.ModelT.InitFromPackedBuf(content)
    except OSError as e:
        raise EdgekdError(str(path), "a .tflite file", e.strerror or str(e)) from None
    except Exception as e:  # the generated parser raises whatever the damage leads to
        raise EdgekdError(str(path), "a .tflite file", f"damaged: {type(e).__name__}: {e}") from None


def _need_packages(where: str) -> None:
    for format in FORMATS[:1]:
        if format.missing:
            raise missing_package(format.missing[0].replace("_", "-"), format.extra, where)
