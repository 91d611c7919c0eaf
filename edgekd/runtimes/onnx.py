"""ONNX, run by ONNX Runtime: one file, for desktops, servers and boards."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.quantization.graph import Graph
from edgekd.quantization.heatmap import OUTPUT
from edgekd.runtimes import FileFacts, Format, cpu
from edgekd.runtimes.sessions import AGAIN, Ends, batches, check_format, need_packages

FORMATS = (
    Format("onnx", "ONNX, float32", (".onnx",), "fp32", ("onnx", "onnxruntime"), takes_heatmap=True),
    Format("onnx-int8", "ONNX, int8 (QDQ)", (".onnx",), "static_wi8_ai8", ("onnx", "onnxruntime"), takes_heatmap=True),
)
SEVERITY = 3  # errors only: ONNX Runtime writes its warnings to stderr
PROVIDERS = ["CPUExecutionProvider"]


def write(graph: Graph, format: Format, facts: FileFacts, path: Path) -> None:
    """Write the graph as an ONNX file; the same graph and facts give the same bytes.

    Raises: EdgekdError for a graph of the other kind, or a place that cannot be written.
    """
    from edgekd.runtimes.onnx_model import build

    check_format(graph, format, facts)
    write_atomic(path, build(graph, facts).SerializeToString(deterministic=True))


def load(path: Path, threads: int) -> OnnxSession:
    """A session on an ONNX file that edgekd wrote.

    Raises: EdgekdError for a file that is missing, damaged or foreign.
    """
    need_packages(FORMATS[0], str(path))
    return OnnxSession(Path(path), threads)


def lint(graph: Graph, format: Format, facts: FileFacts, path: Path) -> list[str]:
    """What is wrong with a file that should hold this graph, in words; see `onnx_lint`."""
    from edgekd.runtimes.onnx_lint import problems

    return problems(graph, facts, Path(path))


class OnnxSession:
    """ONNX Runtime on the CPU. `cure`: what keeps int8 sums from saturating here, "" if nothing has to."""

    def __init__(self, path: Path, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = SEVERITY
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self.cure = "session.x64quantprecision=1" if cpu.saturates() else ""
        if self.cure:
            options.add_session_config_entry(*self.cure.split("="))
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=PROVIDERS)
            found = self.session.get_modelmeta().custom_metadata_map
        except Exception as e:  # its errors have no class of their own
            raise EdgekdError(str(path), "an ONNX file", str(e).splitlines()[0][:200], AGAIN) from None
        self.ends = Ends.of(found, path)
        self._output, *more = (output.name for output in self.session.get_outputs())
        if self.ends.heatmap and OUTPUT not in more:
            raise EdgekdError(str(path), f"an output {OUTPUT!r}, which its metadata tell of", "none", AGAIN)
        self.facts, self.threads = self.ends.facts, threads

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
        return self.ends.probs(self._run(pixels, self._output))

    def heatmap(self, pixels: np.ndarray) -> np.ndarray:
        """Maps [B, H, W, K] float32 in logits of pixels [B, S, S, 3] uint8 RGB.

        Raises: EdgekdError for a file without one.
        """
        self.ends.need_heatmap()
        return self._run(pixels, OUTPUT)

    def _run(self, pixels: np.ndarray, output: str) -> np.ndarray:
        name, feed = self.session.get_inputs()[0].name, self.ends.feed(pixels)
        return np.concatenate([self.session.run([output], {name: batch})[0] for batch in batches(feed)])

    def describe(self) -> dict[str, object]:
        """What ran: runtime, version, threads, the processor's int8 features."""
        import onnxruntime

        return {
            "runtime": "ONNX Runtime",
            "version": onnxruntime.__version__,
            "threads": self.threads,
            "cpu_features": cpu.features(),
            "cure": self.cure,
        }
