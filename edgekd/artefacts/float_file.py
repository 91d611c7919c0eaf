"""The float student without torch: its graph, written as an ONNX file that lives as long as the session on it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgekd import __version__
from edgekd.artefacts import graphs
from edgekd.bundle import Bundle
from edgekd.quantization import heatmap
from edgekd.runtimes import FileFacts, Mapped, onnx
from edgekd.runtimes.isolated import Isolated

FORMAT = onnx.FORMATS[0]


@contextlib.contextmanager
def float_session(bundle: Bundle) -> Iterator[Mapped]:
    """A session on the float graph that the bundle holds, with the float network's temperature, and its heat map if it has one.

    Raises: EdgekdError as `graphs.float_graph` does, or if ONNX Runtime is missing.
    """
    m = bundle.manifest
    facts = FileFacts(m.name, "", m.label_names, m.input, m.temperature, licence=m.licence, version=__version__)
    with tempfile.TemporaryDirectory(prefix="edgekd-") as folder, Isolated() as child:
        path = Path(folder) / f"{FORMAT.name}{FORMAT.suffixes[0]}"
        graph = graphs.float_graph(bundle)
        onnx.write(heatmap.with_heatmap(graph) if heatmap.is_possible(graph) else graph, FORMAT, facts, path)
        yield child.load(FORMAT.name, path)
