"""How fast the int8 files of the reference students are beside the float32 file of the first of them.

    python benchmarks/student_latency.py models/mri4p-mobilenetv2 models/mri4p-efficientnet-lite0 models/mri4p-mobilenetv2-small

A round is a fresh process that loads all files, one thread, and runs them in turn on one picture, RUNS times after WARMUP, each
turn beginning with another file. Times are wall times; a turn's ratio is the float file's time over the int8 file's of the same
turn, and what is told is the median over rounds of the median over turns, with its 95 % interval (rounds resampled). Processor
times are kept beside them: where they are shorter, other work had the processor. Writes results/student_latency.json.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"
REFERENCE = "tflite"  # of the first bundle
MEASURED = "tflite-int8"
RUNS, WARMUP, RESAMPLES = 200, 20, 2000


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundles", nargs="+", metavar="BUNDLE", help="students with their int8 graphs")
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.round:
        print(json.dumps(one_round(Path(args.bundles[0]))))
        return
    with tempfile.TemporaryDirectory() as name:
        for number, bundle in enumerate(args.bundles):
            for form in (REFERENCE, MEASURED) if number == 0 else (MEASURED,):
                write(Path(bundle), form, Path(name), number)
        rounds = [fresh_round(Path(name)) for _ in range(args.rounds)]
    results = {"threads": 1, "runs": RUNS, "rounds": rounds, "table": table(rounds)}
    (RESULTS / "student_latency.json").write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results["table"], indent=1))


def write(bundle: Path, form: str, folder: Path, number: int) -> None:
    """The file of a format, from the bundle's graphs, under a name that keeps the order."""
    from edgekd.artefacts import graphs
    from edgekd.bundle import Bundle
    from edgekd.runtimes import FileFacts, find

    opened = Bundle.open(bundle)
    format, module = find(form)
    m = opened.manifest
    graph = graphs.int8_graph(opened) if format.is_int8 else graphs.float_graph(opened)
    facts = FileFacts(m.name, "A benchmark", m.label_names, m.input, m.temperature)
    module.write(graph, format, facts, folder / f"{number}.{m.name}.{form}{format.suffixes[0]}")


def fresh_round(folder: Path) -> dict:
    """A round in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--round", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def one_round(folder: Path) -> dict:
    """By file the median wall and processor milliseconds, and the median of the reference's time over its own."""
    import numpy as np

    from edgekd.devices import runner
    from edgekd.runtimes import find

    paths = sorted(folder.iterdir(), key=lambda path: (path.name.split(".")[-2] != REFERENCE, path.name))
    sessions = [find(path.name.split(".")[-2])[1].load(path, 1) for path in paths]
    rng = np.random.default_rng(0)
    sizes = [session.ends.facts.input.size for session in sessions]
    pictures = [rng.integers(0, 256, (1, size, size, 3)).astype(np.uint8) for size in sizes]
    times = np.zeros((WARMUP + RUNS, len(paths), 2))
    for turn in range(len(times)):
        for which in np.roll(np.arange(len(paths)), turn):
            begin = time.perf_counter(), time.process_time()
            sessions[which].probs(pictures[which])
            times[turn, which] = time.perf_counter() - begin[0], time.process_time() - begin[1]
    times = 1e3 * times[WARMUP:]
    files = {}
    for which, path in enumerate(paths):
        _, name, form, _ = path.name.split(".")
        files[f"{name} {form}"] = {
            "wall_ms": float(np.median(times[:, which, 0])),
            "processor_ms": float(np.median(times[:, which, 1])),
            "times_as_fast": float(np.median(times[:, 0, 0] / times[:, which, 0])),
            "size_bytes": path.stat().st_size,
        }
    return {"cpu": runner.cpu_name(), "load": os.getloadavg()[0], "files": files}


def table(rounds: list[dict]) -> dict[str, dict]:
    """By file the median over rounds, and the interval of the ratio."""
    import numpy as np

    found = {}
    for name, first in rounds[0]["files"].items():
        wall, processor, ratios = (
            np.array([one["files"][name][key] for one in rounds])
            for key in ("wall_ms", "processor_ms", "times_as_fast")
        )
        drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
        found[name] = {
            "wall_ms": float(np.median(wall)),
            "processor_ms": float(np.median(processor)),
            "times_as_fast": float(np.median(ratios)),
            "interval": [float(v) for v in np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))],
            "size_bytes": first["size_bytes"],
        }
    return found


if __name__ == "__main__":
    main()
