"""What a heat map inside the file costs: latency and size of files with it (`export --heatmap`) against those without.

    python benchmarks/heatmap_cost.py BUNDLE ... [--rounds 20]

Both files of a format are written from the bundle's graphs. A round is a fresh process for each format, formats in turn: it
loads both files, one thread, and runs them by turns on one picture, RUNS pairs after WARMUP, the order of a pair changing each
time; every run gives all outputs. `ratio` is the median over rounds of the median over pairs of (with / without), with its
95 % interval (rounds resampled). Other work on the machine meets both alike. Where `make arm-root` has built what is emulated,
the instructions of one inference of `tflite-int8` are counted too, which nothing disturbs. Writes results/heatmap_cost.json
and .md.
"""

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
FORMATS = ("tflite", "tflite-int8", "onnx", "onnx-int8", "openvino", "openvino-int8")
KINDS = ("without", "with")
RUNS, WARMUP, RESAMPLES = 100, 10, 2000
CPUS = ("cortex-a53", "cortex-a76")
COUNTED = """
import ctypes, sys
import numpy as np
from ai_edge_litert.interpreter import Interpreter
interpreter = Interpreter(model_path=sys.argv[1], num_threads=1)
interpreter.allocate_tensors()
given, mark = interpreter.get_input_details()[0], ctypes.CDLL(None).syscall
picture = np.random.default_rng(0).integers(0, 256, given["shape"]).astype(np.uint8)
for k in (2, 0):
    mark({mark}, k)
    interpreter.set_tensor(given["index"], picture)
    interpreter.invoke()
    mark({mark}, k + 1)
"""
HEAD = """| network | file | without, ms | with / without [95 %] | size, MB | with / without |
|---|---|---|---|---|---|"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundles", nargs="+", metavar="BUNDLE", help="a student with its int8 graph, or several")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--round", metavar="FORMAT", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.round:
        print(json.dumps(one_round(args.round, Path(args.bundles[0]))))
        return
    path = RESULTS / "heatmap_cost.json"
    results = json.loads(path.read_text()) if path.exists() else {}  # bundles that are not named keep their rows
    for bundle in args.bundles:
        name, found = measure(Path(bundle), args.rounds)
        results[name] = found
        path.write_text(json.dumps(results, indent=1) + "\n")
    table = "\n".join(readme_rows(results))
    (RESULTS / "heatmap_cost.md").write_text(table + "\n")
    print(table)


def measure(bundle, rounds):
    """The name of a bundle, and its rows by format."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        title, sizes = write(bundle, folder)
        medians, load = {form: [] for form in FORMATS}, [os.getloadavg()[0]]
        for _ in range(rounds):
            for form in FORMATS:
                command = [sys.executable, __file__, "--round", form, str(folder)]
                environment = {
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    "PYTHONPATH": str(ROOT),
                    "PYTHONWARNINGS": "ignore",
                }
                done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
                medians[form].append(json.loads(done.stdout.splitlines()[-1]))
            load.append(os.getloadavg()[0])
        counts = instructions(folder)
    from edgekd.devices import runner

    rows = {form: row(medians[form]) | {"size_bytes": sizes[form]} for form in FORMATS}
    facts = {"cpu": runner.cpu_name(), "threads": 1, "rounds": rounds, "pairs": RUNS, "load": load, "rows": rows}
    return title, facts | {"instructions": counts}


def instructions(folder):
    """Of one inference of the `tflite-int8` files, by emulated processor and kind; {} where nothing can count them."""
    from edgekd.devices import arm_root, qemu, runner
    from edgekd.devices.local import run_here
    from edgekd.errors import EdgekdError

    try:
        root = arm_root.find()
    except EdgekdError:
        return {}
    found = {}
    for cpu in CPUS if root.counts else ():
        for kind in KINDS:
            path, out = folder / f"tflite-int8.{kind}.tflite", folder / "counts"
            command, more = root.counting(cpu, out, ["-c", COUNTED.format(mark=runner.MARK), str(path)])
            run_here(command, 900.0, qemu.environment() | more)
            found.setdefault(cpu, {})[kind] = qemu.between_marks(out.read_text(encoding="utf-8"), cpu)["total"]
    return found


def row(rounds):
    """The figures of one format from its rounds."""
    import numpy as np

    ratios = np.array([one["ratio"] for one in rounds])
    drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    median = float(np.median([one["without_ms"] for one in rounds]))
    interval = [float(low), float(high)]
    return {"without_ms": median, "ratio": float(np.median(ratios)), "ratio_interval": interval, "rounds": rounds}


def write(bundle, folder):
    """Both files of every format in `folder`; the bundle's name, and sizes by format."""
    from edgekd.artefacts import graphs
    from edgekd.bundle import Bundle
    from edgekd.quantization.heatmap import with_heatmap
    from edgekd.runtimes import FileFacts, find

    opened, sizes = Bundle.open(bundle), {}
    made = {False: graphs.float_graph(opened), True: graphs.int8_graph(opened)}
    m = opened.manifest
    for form in FORMATS:
        format, module = find(form)
        facts = FileFacts(m.name, "A benchmark", m.label_names, m.input, m.temperature)
        for kind in KINDS:
            graph, path = made[format.is_int8], folder / f"{form}.{kind}{format.suffixes[0]}"
            module.write(with_heatmap(graph) if kind == "with" else graph, format, facts, path)
            size = sum(path.with_suffix(suffix).stat().st_size for suffix in format.suffixes)
            sizes.setdefault(form, {})[kind] = size
    return m.name, sizes


def one_round(form, folder):
    """Median milliseconds of a format's file without a map, and the median ratio of the pairs."""
    import numpy as np

    from edgekd.runtimes import find

    format, module = find(form)
    sessions = [module.load(folder / f"{form}.{kind}{format.suffixes[0]}", 1) for kind in KINDS]
    size = sessions[0].ends.facts.input.size
    picture = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
    actions, times = [runs_whole(session, picture) for session in sessions], []
    for index in range(WARMUP + RUNS):
        pair = [0.0, 0.0]
        for which in (0, 1) if index % 2 else (1, 0):
            begin = time.perf_counter()
            actions[which]()
            pair[which] = (time.perf_counter() - begin) * 1e3
        times.append(pair)
    without, mapped = np.array(times[WARMUP:]).T
    return {"without_ms": float(np.median(without)), "ratio": float(np.median(mapped / without))}


def runs_whole(session, picture):
    """One inference with all outputs; ONNX Runtime is asked for them, the others give them anyway."""
    if hasattr(session, "session"):
        return lambda: session.session.run(None, {session.session.get_inputs()[0].name: picture})
    return lambda: session.probs(picture)


def readme_rows(results):
    """The table of benchmarks/README.md."""
    lines = [HEAD]
    for name, found in results.items():
        for form, one in found["rows"].items():
            (low, high), size = one["ratio_interval"], one["size_bytes"]
            cells = (
                name,
                form,
                f"{one['without_ms']:.2f}",
                f"{one['ratio']:.4f} [{low:.4f}, {high:.4f}]",
                f"{size['without'] / 1e6:.2f}",
                f"{size['with'] / size['without']:.4f}",
            )
            lines.append("| " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
