"""python -m edgekd.export: a bundle's student as files for phones and runtimes, each verified before it gets its name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from rich.console import Console

from edgekd import command
from edgekd.artefacts import graphs, making, needs
from edgekd.artefacts.graphs import METHODS
from edgekd.artefacts.making import ExportOutcome, ExportPlan, Writer
from edgekd.artefacts.validation import Validation
from edgekd.artefacts.verification import Limits, ReferenceLogits
from edgekd.bundle import Bundle
from edgekd.errors import EdgekdError
from edgekd.quantization.graph import Array, Graph
from edgekd.reports import screen
from edgekd.runtimes import Format, find, formats
from edgekd.section import validate

FAILED, REJECTED = 2, 3  # exit codes
DEFAULT = "tflite-int8"
NNCF = "nncf"
VIA = "litert-torch"
EXAMPLE = """  python -m edgekd.export                                    # runs/default as tflite-int8
  python -m edgekd.export models/mri4-mobilenetv2 --format tflite-int8,onnx,openvino --data DIR/manifest.csv
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
        self.ptq: str | None = args.ptq

    def make(self, name: str) -> ExportOutcome:
        """One format; where the gate rejects the trained graph, the control of post-training quantization has its turn.

        Raises: EdgekdError.
        """
        plan = self.plan(*find(name))
        outcome = self._make(plan)
        control = graphs.control_graph(self.bundle) if outcome.problems and plan.source == "qat" else None
        if control is None:
            return outcome
        self.ptq, self.int8_graph = self.bundle.manifest.quantization.control, control
        del self.int8_reference  # of the other graph
        return self._make(replace(self.plan(*find(name)), instead_of=tuple(outcome.problems)))

    def _make(self, plan: ExportPlan) -> ExportOutcome:
        name = plan.format.name
        with self.console.status(f"{name} …") as status:
            outcome = making.make(plan, self.validation, lambda step: status.update(f"{name}: {step} …"))
            if outcome.problems:
                self._explain(plan, outcome)
            else:
                self.bundle = making.enter(plan.bundle, outcome)
        return outcome

    def plan(self, format: Format, module: object) -> ExportPlan:
        """What is written from what."""
        io = self.args.io if format.is_int8 else "uint8"
        graph, source, write = self._origin(format)
        reference = self.float_reference if not format.is_int8 or write else self.int8_reference
        return ExportPlan(self.bundle, format, module, graph, source, reference, io, self.limits, write)

    def _origin(self, format: Format) -> tuple[Graph | None, str, Writer | None]:
        """Graph, name of the source, and the writer if it is not the runtime's own."""
        from edgekd.artefacts import generic

        if self.args.onnx:
            return None, "onnx2tf", generic.from_onnx(format, Path(self.args.onnx), self.representative)
        if self.args.via:
            return None, self.args.via, generic.from_torch(format, self.bundle, self.representative)
        if not format.is_int8:
            return self.float_graph, "float", None
        if self.ptq == NNCF:
            return self.float_graph, "ptq-nncf", generic.by_nncf(format, self.float_graph, self.representative)
        source = f"ptq-{self.ptq}" if self.ptq else getattr(self.bundle.manifest.quantization, "method", "")
        return self.int8_graph, source, None

    def _explain(self, plan: ExportPlan, outcome: ExportOutcome) -> None:
        from edgekd.artefacts.rejection import chance, explain

        if plan.is_on_grid and self.validation:
            found = explain(plan.bundle, plan.graph, plan.source, self.validation.pixels)
            found["try"] = chance(outcome.report["drift"]) + found["try"]
            making.amend(outcome, found)

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

    @cached_property
    def float_graph(self) -> Graph:
        """The float student."""
        return graphs.float_graph(self.bundle)

    @cached_property
    def int8_graph(self) -> Graph:
        """The graph on the int8 grid: the trained one, or that of `--ptq`."""
        if self.args.ptq:
            return graphs.post_training_graph(self.bundle, self.args.ptq, self.representative)
        return graphs.int8_graph(self.bundle)

    @cached_property
    def float_reference(self) -> ReferenceLogits:
        """Logits of the float student, as its bundle holds them."""
        from edgekd.artefacts import validation, verification

        count = verification.PARITY_IMAGES
        stored = self.validation.float_logits[:count] if self.validation else None
        return ReferenceLogits(validation.golden(self.bundle)["logits"], stored)

    @cached_property
    def int8_reference(self) -> ReferenceLogits:
        """Logits on the int8 grid: of exact integers on golden images, of fake quantization on validation."""
        from edgekd.artefacts import validation, verification
        from edgekd.quantization import integers

        with self.console.status("computing the reference …"):
            golden = integers.logits(self.int8_graph, validation.golden(self.bundle)["pixels"])
            if self.validation is None:
                return ReferenceLogits(golden, None)
            from edgekd.quantization import reference

            pixels = self.validation.pixels[: verification.PARITY_IMAGES]
            return ReferenceLogits(golden, reference.logits(self.int8_graph, pixels))


if __name__ == "__main__":
    command.run(main)
