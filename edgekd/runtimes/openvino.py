"""OpenVINO, for Intel's processors and others: an .xml file with the structure, and a .bin file with the weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Graph
from edgekd.quantization.heatmap import OUTPUT
from edgekd.runtimes import FileFacts, Format, cpu
from edgekd.runtimes.sessions import AGAIN, Ends, check_format, need_packages

PACKAGES = ("onnx", "openvino")
FORMATS = (
    Format(
        "openvino", "OpenVINO, float32 with float16 weights", (".xml", ".bin"), "fp16", PACKAGES, takes_heatmap=True
    ),
    Format("openvino-int8", "OpenVINO, int8", (".xml", ".bin"), "static_wi8_ai8", PACKAGES, takes_heatmap=True),
)


def write(graph: Graph, format: Format, facts: FileFacts, path: Path) -> None:
    """Write the graph as `path` (.xml) and its .bin; the same graph and facts give the same bytes.

    Raises: EdgekdError for a graph of the other kind, or a place that cannot be written.
    """
    from edgekd.runtimes import openvino_model

    check_format(graph, format, facts)
    openvino_model.save(openvino_model.build(graph, facts), Path(path), fp16=not format.is_int8)


def load(path: Path, threads: int) -> OpenvinoSession:
    """A session on OpenVINO files that edgekd wrote.

    Raises: EdgekdError for files that are missing, damaged or foreign.
    """
    need_packages(FORMATS[0], str(path))
    return OpenvinoSession(Path(path), threads)


def lint(graph: Graph, format: Format, facts: FileFacts, path: Path) -> list[str]:
    """What is wrong with files that should hold this graph, in words; see `openvino_lint`."""
    from edgekd.runtimes.openvino_lint import problems

    return problems(graph, facts, Path(path))


class OpenvinoSession:
    """OpenVINO's CPU plugin, one image at a time, as fixed shapes run up to twice as fast.

    `cure`: what keeps int8 sums from saturating here, "" if nothing has to.
    """

    def __init__(self, path: Path, threads: int) -> None:
        import openvino

        from edgekd.runtimes.openvino_model import properties

        self.cure = "LP_TRANSFORMS_MODE=NO" if cpu.saturates() else ""
        core = openvino.Core()
        try:
            model = core.read_model(path)
            self.ends = Ends.of(properties(model), path)
            size = self.ends.facts.input.size
            if self.ends.heatmap and OUTPUT not in {name for output in model.outputs for name in output.names}:
                raise ValueError(f"no output {OUTPUT!r}, which its metadata tell of")
            model.reshape([1, size, size, 3])
            self.request = core.compile_model(model, "CPU", self._settings(threads)).create_infer_request()
        except (RuntimeError, OSError, ValueError) as e:
            raise EdgekdError(str(path), "an OpenVINO file", _reason(e), AGAIN) from None
        self.facts, self.threads = self.ends.facts, threads

    def _settings(self, threads: int) -> dict[str, object]:
        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "f32",  # newer processors would otherwise calculate in bfloat16
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,  # other processes may have work on the same core
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,  # int8 is what the file says, nothing else
        }
        if self.cure:
            name, value = self.cure.split("=")
            settings[name] = value
        return settings

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
        outputs = self._run(pixels, 0)
        if not outputs:
            return np.zeros((0, len(self.facts.label_names)), np.float32)
        return self.ends.probs(np.concatenate(outputs))

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB.

        Raises: EdgekdError for a file without one.
        """
        self.ends.need_heatmap()
        return np.concatenate(self._run(pixels, OUTPUT))

    def _run(self, pixels: np.ndarray, output: int | str) -> list[np.ndarray]:
        return [self.request.infer({0: image[None]})[output].copy() for image in self.ends.feed(pixels)]

    def describe(self) -> dict[str, object]:
        """What ran: runtime, version, threads, the processor's int8 features."""
        import openvino

        return {
            "runtime": "OpenVINO",
            "version": openvino.__version__,
            "threads": self.threads,
            "cpu_features": cpu.features(),
            "cure": self.cure,
        }


def _reason(error: Exception) -> str:
    """The last line of OpenVINO's errors says what happened; those before it say where in its source."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1][:200] if lines else type(error).__name__
