"""python -m edgekd.benchmark: every artefact of a bundle on every device, in one report; or two reports compared."""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from edgekd import command
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.reports import screen

if TYPE_CHECKING:
    from edgekd.devices.document import Timing

OVER_LIMIT = 4  # exit code
NEEDED = ("jinja2", "safetensors", "scipy", "sklearn")  # packages, as imported
RUNTIMES = ("ai_edge_litert", "tflite_runtime", "onnxruntime", "openvino")  # one of them, where this machine measures

EXAMPLE = """  python -m edgekd.benchmark                                   # runs/default on this machine
  python -m edgekd.benchmark models/mri4p-mobilenetv2            # as cloned: times and golden vectors, no images needed
  python -m edgekd.benchmark --device local,pi5 --threads 1,2   # edgekd lists them
  python -m edgekd.benchmark compare A/report.json B/report.json --limit accuracy_drop_pp=1 --limit latency_ratio=1.2"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure a bundle and write report.json, or compare two reports."""
    argv = list(sys.argv[1:] if argv is None else argv)
    return _compare(argv[1:]) if argv[:1] == ["compare"] else _measure(argv)


def _compare(argv: list[str]) -> int:
    from edgekd.benchmarking import comparison, limits

    arguments = command.parser("benchmark compare", "What changed from one benchmark to another.", EXAMPLE)
    add = arguments.add_argument
    add("before", metavar="A.json", help="a report, or its folder")
    add("after", metavar="B.json", help="another")
    add(
        "--limit",
        metavar="NAME=NUMBER",
        action="append",
        default=[],
        help=f"exit with {OVER_LIMIT} if a row goes beyond it; once for each of: {', '.join(comparison.NAMES)}",
    )
    add("--out", metavar="FILE", help="write the comparison as JSON")
    args = arguments.parse_args(argv)
    command.need("benchmark compare", "export", packages=("safetensors", "scipy"))
    return compare(args.before, args.after, limits.read(args.limit, comparison.NAMES), screen.console(), args.out)


def compare(
    before: str | Path,
    after: str | Path,
    limits: Mapping[str, float],
    console: Console,
    out: str | Path | None = None,
) -> int:
    """Compare two reports on the screen, and in JSON if `out` is given; OVER_LIMIT if a row goes beyond one of `limits`."""
    from edgekd.benchmarking import comparison
    from edgekd.reports.benchmark_comparison import show

    found = comparison.judge(before, after, limits)
    if out:
        write_atomic(out, found.text(indent=1) + "\n")
    show(found, console)
    return OVER_LIMIT if found.exceeded else 0


def _measure(argv: list[str]) -> int:
    args = _arguments().parse_args(argv)
    command.need("benchmark", "export", packages=NEEDED)
    from edgekd import devices
    from edgekd.benchmarking.report import Wish, benchmark
    from edgekd.benchmarking.schema import REPORT, TIMES, TimesReport
    from edgekd.bundle import Bundle
    from edgekd.devices import local
    from edgekd.reports import benchmark_times
    from edgekd.reports.benchmark import show
    from edgekd.reports.benchmark_page import write_page

    bundle = Bundle.open(args.bundle)
    names = _list("--device", args.device, str)
    places = {name: devices.find(name, Path(args.devices)) for name in names}
    is_here = any(isinstance(p.options, local.Options) and not p.options.python for p in places.values())
    if is_here and not any(map(find_spec, RUNTIMES)):
        command.need("benchmark", "export")
    out = Path(args.out or f"runs/benchmark/{bundle.folder.resolve().name}")
    command.confirm_folder(out, args.resume, args.overwrite)
    if args.overwrite:
        shutil.rmtree(out / "parts", ignore_errors=True)
    wish = Wish(
        formats=_list("--format", args.format, str),
        threads=_list("--threads", args.threads, int),
        rounds=args.rounds,
        timing=_timing(args),
        data=args.data or "",
        images=args.images,
        command=shlex.join(["python", "-m", "edgekd.benchmark", *argv]),
    )
    console = screen.console()

    def step(text: str) -> None:
        console.print(text, style="dim", highlight=False, markup=False)

    report = benchmark(bundle, places, wish, out, step)
    if isinstance(report, TimesReport):
        benchmark_times.show(report, console)
        written = f"{out / TIMES}"
    else:
        show(report, console)
        written = f"{out / REPORT} and {write_page(report, out)}"
    console.print(f"written to {written}", highlight=False, soft_wrap=True)
    return 0


def _arguments() -> argparse.ArgumentParser:
    arguments = command.parser("benchmark", "Measure every artefact of a bundle on every device.", EXAMPLE)
    add = arguments.add_argument
    add("bundle", nargs="?", default="runs/default", help="a bundle with artefacts (default: runs/default)")
    add("--device", metavar="NAME,…", default="local", help="by name; `edgekd` lists devices (default: local)")
    add("--devices", metavar="DIR", default="benchmarks/devices", help="your own (default: benchmarks/devices)")
    add(
        "--data",
        metavar="PATH",
        help="images to answer (default: the test split of the bundle's own; without, times alone)",
    )
    add("--format", metavar="NAME,…", default="", help="default: every artefact")
    add("--threads", metavar="N,…", default="", help="default: 1, 2 and 4 where there are cores")
    add("--rounds", metavar="N", type=_positive, default=3, help="fresh processes per artefact (default: 3)")
    add("--runs", metavar="N", type=_positive, default=200, help="timed runs in each (default: 200, or --seconds)")
    add("--seconds", metavar="S", type=float, default=10.0, help="time for them at most (default: 10)")
    add("--cool", metavar="S", type=float, default=300.0, help="wait at most so long for a warm device (default: 300)")
    add("--sustained", metavar="S", type=float, default=0.0, help="a run of S seconds without pause as well")
    add("--fps", metavar="N,…", default="", help="runs of ten seconds at these rates of a camera as well: 1,10,30")
    add("--images", metavar="N", type=_positive, help="answer so many images, evenly chosen (default: all)")
    add("--out", metavar="DIR", help="where the report goes (default: runs/benchmark/NAME)")
    add("--resume", action="store_true", help="continue an interrupted benchmark; what was measured is kept")
    add("--overwrite", action="store_true", help="start anew although the folder holds a benchmark")
    return arguments


def _timing(args: argparse.Namespace) -> Timing:
    from edgekd.devices.document import Timing
    from edgekd.section import validate

    values = {"min_runs": args.runs, "min_seconds": args.seconds, "sustained_s": args.sustained}
    values |= {"cool_s": args.cool, "fps": _list("--fps", args.fps, float)}
    return validate(Timing, values, "--runs, --seconds, --cool, --sustained and --fps")


def _list(name: str, text: str, kind: type) -> tuple:
    """The values of `a,b,c`, each once."""
    try:
        found = tuple(dict.fromkeys(kind(part.strip()) for part in text.split(",") if part.strip()))
    except ValueError:
        raise EdgekdError(f"{name} {text}", "numbers, like 1,2") from None
    if kind is int and any(value < 1 for value in found):
        raise EdgekdError(f"{name} {text}", "numbers of at least 1")
    return found


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


if __name__ == "__main__":
    command.run(main)
