"""python -m edgekd.export: a bundle's student as files for phones and runtimes, each verified before it gets its name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from rich.console import Console

from edgekd import command
from edgekd.artefacts import advice, graphs, heatmaps, making, needs
from edgekd.artefacts.graphs import METHODS
from edgekd.artefacts.making import ExportOutcome, ExportPlan, Writer
from edgekd.artefacts.validation import Validation
from edgekd.artefacts.verification import Limits, ReferenceLogits
from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Array, Graph, Grid
from edgekd.quantization.heatmap import observed, with_heatmap
from edgekd.reports import screen
from edgekd.runtimes import Format, Io, Runtime, find, formats
from edgekd.section import validate

FAILED, REJECTED = 2, 3  # exit codes
DEFAULT = "tflite-int8"
FLOAT = "float"
NNCF = "nncf"
VIA = "litert-torch"
EXAMPLE = """  python -m edgekd.export                                    # runs/default as tflite-int8
  python -m edgekd.export models/mri4p-mobilenetv2 --format tflite-int8,onnx,openvino --data DIR/manifest.csv
  python -m edgekd.export --format tflite-int8 --heatmap      # the file explains its answers itself
  python -m edgekd.export --format all --io int8
  python -m edgekd.export --list"""


def main(argv: Sequence[str] | None = None) -> int:
    """Export; 0 if all files ship, 3 if one was rejected, 2 if one could not be made."""
    arguments = command.parser(
        "export", "Write a bundle's student as files that were verified in their runtime.", EXAMPLE
    )
    _add_arguments(arguments)
    args = arguments.parse_args(argv)
    console = screen.console()
    from edgekd.reports import export as report

    if args.list:
        report.show_formats([f for f, _ in formats().values()], console)
        return 0
    names = chosen(args.format or [DEFAULT])
    needs.confirm(names, args.ptq, args.via, args.onnx)  # before any work, as a wrong name
    if args.heatmap:
        other = "--onnx" if args.onnx else f"--via {args.via}" if args.via else ""
        heatmaps.refuse_others(names, args.io, other or ("--ptq nncf" if args.ptq == NNCF else ""))
    bundle = Bundle.open(args.bundle)
    export = Export(bundle, args, console)
    outcomes: list[ExportOutcome] = []
    failed: dict[str, EdgekdError] = {}
    for name in names:
        try:
            outcome = export.make(name)
        except EdgekdError as e:
            failed[name] = e
            continue
        outcomes.append(outcome)
    report.show(outcomes, failed, export.bundle, console)
    if any(o.problems for o in outcomes):
        return REJECTED
    return FAILED if failed else 0


def _add_arguments(arguments: argparse.ArgumentParser) -> None:
    add = arguments.add_argument
    add("bundle", nargs="?", default="runs/default", help="a student's bundle (default: runs/default)")
    add("--format", action="append", metavar="NAME[,NAME…]", help=f"formats, or all; see --list (default: {DEFAULT})")
    add("--list", action="store_true", help="show the formats, what each needs, and whether that is installed")
    add("--io", choices=("uint8", "int8"), default="uint8", help="int8: codes in, int8 logits out, for accelerators")
    add("--data", metavar="PATH", default="", help="the images of the bundle's recipe, if they moved")
    add(
        "--ptq", choices=(*METHODS, NNCF), help="quantize the float student after training instead of the trained graph"
    )
    add("--via", choices=(VIA,), help="a generic converter, for networks that the own writer cannot hold")
    add("--onnx", metavar="FILE", help="your own ONNX network for this bundle's classes, through onnx2tf")
    add(
        "--heatmap",
        action="store_true",
        help="a second output: what each place adds to each class, in logits; MediaPipe takes files without it only",
    )
    add("--max-drop-pp", type=float, default=1.0, help="largest fall of accuracy on validation (default: 1.0)")
    add("--max-class-drop-pp", type=float, default=3.0, help="largest fall of one class's recall (default: 3.0)")


def chosen(values: list[str]) -> list[str]:
    """The formats of `--format` values, in order, once each; `all` stands for every one."""
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    names = [n for name in names for n in (formats() if name == "all" else [name])]
    return list(dict.fromkeys(names))


class Export:
    """One run of the command: what its formats share is computed once, when the first of them needs it."""

    def __init__(self, bundle: Bundle, args: argparse.Namespace, console: Console) -> None:
        self.bundle, self.args, self.console = bundle, args, console
        limits = {"max_drop_pp": args.max_drop_pp, "max_class_drop_pp": args.max_class_drop_pp}
        self.limits = validate(Limits, limits, "limits of the drift gate")
        self._graphs: dict[str, Graph] = {}
        self._grids: dict[str, Grid] = {}  # of heat maps, by source
        self._references: dict[str, ReferenceLogits] = {}

    def make(self, name: str) -> ExportOutcome:
        """One format, of the first of its sources whose file passes.

        Raises: EdgekdError.
        """
        format, module = find(name)
        rejected: dict[str, tuple[str, ...]] = {}
        for source in self.sources(format):
            plan = replace(self.plan(format, module, source), instead_of=rejected)
            outcome = self._make(plan)
            if not outcome.problems:
                return outcome
            rejected = rejected | {source: tuple(outcome.problems)}
        self._explain(plan, outcome)
        return outcome

    def sources(self, format: Format) -> list[str]:
        """What a format can be written of, in the order of trying; each format decides for itself.

        Raises: EdgekdError for int8 of a bundle without a graph on the int8 grid.
        """
        if self.args.onnx or self.args.via:
            return ["onnx2tf" if self.args.onnx else self.args.via]
        if not format.is_int8:
            return [FLOAT]
        if self.args.ptq:
            return [f"ptq-{self.args.ptq}"]
        record, before = self.bundle.manifest.quantization, self.bundle.manifest.artefacts.get(format.name)
        if record is None:
            todo = advice.without_int8(self.bundle, format.name, self.args.data)
            raise EdgekdError(f"bundle {self.bundle.folder}", "a graph on the int8 grid", "it was made without", todo)
        found = [record.method, *([f"ptq-{record.control}"] if record.control_graph else [])]
        if self.validation is None and before and before.source in found:
            return [before.source]  # without images only what was verified comes again
        return found

    def plan(self, format: Format, module: Runtime, source: str) -> ExportPlan:
        """How a format is written of a source."""
        io: Io = self.args.io if format.is_int8 else "uint8"
        write = self._writer(format)
        graph = None if self.args.onnx or self.args.via else self.graph(FLOAT if write else source)
        reference = self.reference(FLOAT if write else source)
        wanted = self.heatmap(format, graph, source) if self.args.heatmap and graph else None
        return ExportPlan(self.bundle, format, module, graph, source, reference, io, self.limits, write, heatmap=wanted)

    def heatmap(self, format: Format, graph: Graph, source: str) -> heatmaps.Wanted:
        """The graph with its map. The range of int8 codes is that of training images where there are images.

        Raises: EdgekdError for a network that has no such map.
        """
        if not graph.is_quantized:
            return heatmaps.Wanted(with_heatmap(graph), maps=self.float_maps)
        record = self.bundle.manifest.artefacts.get(format.name)
        if self.validation is not None:
            if source not in self._grids:
                with self.console.status("the range of the heat map …"):
                    self._grids[source] = observed(graph, self.representative)
            return heatmaps.Wanted(with_heatmap(graph, self._grids[source]), "training", self.float_maps)
        if record and record.source == source and record.heatmap and record.heatmap.range == "training":
            return heatmaps.Wanted(with_heatmap(graph, heatmaps.grid_of(record)), "training")
        return heatmaps.Wanted(with_heatmap(graph), "bounds")

    @cached_property
    def float_maps(self) -> heatmaps.FloatMaps | None:
        """The float network's maps on validation; None without images."""
        if self.validation is None:
            return None
        with self.console.status("the float network's heat maps …"):
            return heatmaps.float_maps(self.graph(FLOAT), self.validation.pixels, self.validation.float_logits)

    def _make(self, plan: ExportPlan) -> ExportOutcome:
        name = plan.format.name
        with self.console.status(f"{name} …") as status:
            outcome = making.make(plan, self.validation, lambda step: status.update(f"{name}: {step} …"))
            if not outcome.problems:
                self.bundle = making.enter(plan.bundle, outcome)
        return outcome

    def _writer(self, format: Format) -> Writer | None:
        """The writer if it is not the runtime's own."""
        from edgekd.artefacts import generic

        if self.args.onnx:
            return generic.from_onnx(format, Path(self.args.onnx), self.representative)
        if self.args.via:
            return generic.from_torch(format, self.bundle, self.representative)
        if self.args.ptq == NNCF and format.is_int8:
            return generic.by_nncf(format, self.graph(FLOAT), self.representative)
        return None

    def _explain(self, plan: ExportPlan, outcome: ExportOutcome) -> None:
        from edgekd.artefacts.rejection import chance, worst_layers

        if self.validation and (graph := plan.int8_graph) is not None:
            layers = worst_layers(plan.bundle, graph, self.validation.pixels)
            drift = outcome.report["drift"]
            found = advice.after(plan, drift, self.args.data)
            making.amend(outcome, {"worst_layers_db": layers, "try": [*chance(drift), *found] if found else []})

    @cached_property
    def validation(self) -> Validation | None:
        """The validation split, None where its images are not at hand."""
        from edgekd.artefacts import validation

        try:
            with self.console.status("reading the validation split …"):
                return validation.load(self.bundle, self.args.data)
        except EdgekdError as e:
            if self.args.data:
                raise
            self.console.print(
                f"[yellow]no validation images[/] ({e.where}): only what was verified before can be made"
            )
            return None

    @cached_property
    def representative(self) -> Array:
        """Pixels of the representative set."""
        from edgekd.artefacts import validation

        return validation.representative_pixels(self.bundle, self.args.data)

    def graph(self, source: str) -> Graph:
        """The graph of a source."""
        if source not in self._graphs:
            self._graphs[source] = self._make_graph(source)
        return self._graphs[source]

    def _make_graph(self, source: str) -> Graph:
        if source == FLOAT:
            return graphs.float_graph(self.bundle)
        if self.args.ptq:
            return graphs.post_training_graph(self.bundle, self.args.ptq, self.representative)
        if not source.startswith("ptq-"):
            return graphs.int8_graph(self.bundle)
        control = graphs.control_graph(self.bundle)
        assert control is not None  # `sources` names it only where there is one
        return control

    def reference(self, source: str) -> ReferenceLogits:
        """What files of a source have to reproduce."""
        if source not in self._references:
            of_graph = self._float_reference if source == FLOAT else self._int8_reference
            self._references[source] = of_graph(source)
        return self._references[source]

    def _float_reference(self, source: str) -> ReferenceLogits:
        """Logits of the float student, as its bundle holds them."""
        from edgekd.artefacts import validation, verification

        count = verification.PARITY_IMAGES
        stored = self.validation.float_logits[:count] if self.validation else None
        return ReferenceLogits(validation.golden(self.bundle)["logits"], stored)

    def _int8_reference(self, source: str) -> ReferenceLogits:
        """Logits on the int8 grid: of exact integers on golden images, of fake quantization on validation."""
        from edgekd.artefacts import validation, verification
        from edgekd.quantization import integers

        graph = self.graph(source)
        with self.console.status("computing the reference …"):
            golden = integers.logits(graph, validation.golden(self.bundle)["pixels"])
            if self.validation is None:
                return ReferenceLogits(golden, None)
            from edgekd.quantization import reference

            pixels = self.validation.pixels[: verification.PARITY_IMAGES]
            return ReferenceLogits(golden, reference.logits(graph, pixels))


if __name__ == "__main__":
    command.run(main)
