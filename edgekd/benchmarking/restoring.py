"""Files that did not travel with their bundle, written again: bytes are a function of the graph, and hashes tell."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from edgekd.bundle import ARTEFACTS, ArtefactRecord, Bundle, FileRecord
from edgekd.errors import EdgekdError, missing_package
from edgekd.files import inside, sha256_file
from edgekd.quantization.graph import Graph


class Restorer:
    """The files of a bundle's verified artefacts; what is missing is written into `folder`, never into the bundle."""

    def __init__(self, bundle: Bundle, folder: Path, step: Callable[[str], None]) -> None:
        self.bundle, self.folder, self.step = bundle, folder, step
        self.graphs: dict[str, Graph] = {}  # by the source that records name

    def files(self, name: str) -> dict[str, Path]:
        """The files of an artefact by name, the first being the one to load: the bundle's own, or written again.

        Raises: EdgekdError, with what would make them, where they cannot be written here, or come out with other bytes.
        """
        record = self.bundle.manifest.artefacts[name]
        for place in (self.bundle.folder / ARTEFACTS, self.folder):
            paths = {file: inside(place, file) for file in record.files}
            if all(_is_verified(path, record.files[file]) for file, path in paths.items()):
                return paths
        self.step(f"{name}: writing its file again, which did not travel with the bundle")
        self._write(name, record)
        return {file: self.folder / file for file in record.files}

    def _write(self, name: str, record: ArtefactRecord) -> None:
        from edgekd.artefacts import heatmaps
        from edgekd.artefacts.making import ExportPlan
        from edgekd.artefacts.validation import golden
        from edgekd.artefacts.verification import ReferenceLogits
        from edgekd.runtimes import find

        format, module = find(name)
        if format.missing:
            raise missing_package(format.missing[0].replace("_", "-"), format.extra, f"writing {name!r}")
        logits = golden(self.bundle)["logits"]
        reference = ReferenceLogits(logits, logits[:0])  # no validation: hashes tell
        graph = self._graph(name, record)
        mapped = heatmaps.graph_of(graph, record)
        plan = ExportPlan(self.bundle, format, module, graph, record.source, reference, record.io)
        plan.heatmap = heatmaps.Wanted(mapped) if mapped else None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=self.folder) as temporary:
                path = plan.make(record.calibration_temperature, Path(temporary))
                if plan.hashes(path) != {file: r.sha256 for file, r in record.files.items()}:
                    packages = " and ".join(format.packages)
                    raise self._problem(
                        name, "the bytes that were verified", f"others, by another version of {packages}"
                    )
                for file in reversed(record.files):  # the one to load appears last
                    path.with_name(file).replace(self.folder / file)
        except OSError as e:
            raise EdgekdError(str(self.folder), "a place that can be written", str(e)) from None

    def _graph(self, name: str, record: ArtefactRecord) -> Graph:
        """The graph that the artefact is a writing of."""
        if record.source not in self.graphs:
            try:
                self.graphs[record.source] = self._read(name, record.source)
            except ModuleNotFoundError as e:  # an older bundle, whose float graph is made from its network
                raise missing_package(
                    e.name or "torch", "train", f"writing {name!r} from the bundle's network"
                ) from None
        return self.graphs[record.source]

    def _read(self, name: str, source: str) -> Graph:
        from edgekd.artefacts import graphs

        quantization = self.bundle.manifest.quantization
        if source == "float":
            return graphs.float_graph(self.bundle)
        if quantization and source == quantization.method:
            return graphs.int8_graph(self.bundle)
        control = (
            graphs.control_graph(self.bundle) if quantization and source == f"ptq-{quantization.control}" else None
        )
        if control is None:
            raise self._problem(name, "a graph in the bundle that it was written from", f"none for {source!r}")
        return control

    def _problem(self, name: str, expected: str, found: str) -> EdgekdError:
        folder = self.bundle.folder
        again = f"python -m edgekd.export {folder} --format {name} --data PATH of the images that it was made from"
        return EdgekdError(f"format {name!r} of {folder}", expected, found, again)


def _is_verified(path: Path, record: FileRecord) -> bool:
    return path.is_file() and path.stat().st_size == record.size_bytes and sha256_file(path) == record.sha256
