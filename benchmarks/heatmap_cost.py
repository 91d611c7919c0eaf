"""What a heat map inside the file costs: latency and size of files with it (`export --heatmap`) against those without.

    python benchmarks/heatmap_cost.py BUNDLE ... [--rounds 20]

Both files of a format are written from the bundle's graphs. A round is a fresh process for each bundle, in turn: of one format
after the other it loads both files, one thread, and runs them by turns on one picture, RUNS pairs after WARMUP, the order of a
pair changing each time; every run gives all outputs. Times are of the processor, which other work on the machine takes away
from no one; on a machine without other work they are the latency. `ratio` is the median over rounds of the median over pairs
of (with / without), with its 95 % interval (rounds resampled). Rounds that are stored count, and a later run adds to them.
Where `make arm-root` has built what is emulated, the instructions of one inference of `tflite-int8` are counted too. Writes
results/heatmap_cost.json and .md.
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
RUNS, WARMUP, RESAMPLES = 50, 5, 2000
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
HEAD = """| network | file | without, processor ms | with / without [95 %] | size, MB | with / without |
|---|---|---|---|---|---|"""
COUNT_HEAD = """| network | emulated processor | instructions without, M | with / without |
|---|---|---|---|"""


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundles", nargs="+", metavar="BUNDLE", help="a student with its int8 graph, or several")
    arguments.add_argument("--rounds", type=int, default=20)
    arguments.add_argument("--round", action="store_true", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.round:
        print(json.dumps(one_round(Path(args.bundles[0]))))
        return
    path = RESULTS / "heatmap_cost.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folders = {}
        for bundle in args.bundles:
            title, sizes = write(Path(bundle), Path(name, str(len(folders))))
            folders[title] = Path(name, str(len(folders)))
            found = results.setdefault(title, {"threads": 1, "pairs": RUNS, "rounds": [], "instructions": {}})
            found["size_bytes"] = sizes
        for title, folder in folders.items():
            results[title]["instructions"] = instructions(folder) or results[title]["instructions"]
        while min(len(results[title]["rounds"]) for title in folders) < args.rounds:
            for title, folder in folders.items():
                results[title]["rounds"].append(fresh_round(folder))
            path.write_text(json.dumps(results, indent=1) + "\n")
    path.write_text(json.dumps(results, indent=1) + "\n")
    table = "\n".join(readme_rows(results))
    (RESULTS / "heatmap_cost.md").write_text(table + "\n")
    print(table)


def write(bundle, folder):
    """Both files of every format in `folder`; the bundle's name, and sizes by format and kind."""
    from edgekd.artefacts import graphs
    from edgekd.bundle import Bundle
    from edgekd.quantization.heatmap import with_heatmap
    from edgekd.runtimes import FileFacts, find

    opened, sizes = Bundle.open(bundle), {}
    folder.mkdir()
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


def fresh_round(folder):
    """A round in a process of its own."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, __file__, "--round", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def one_round(folder):
    """By format the median milliseconds of the file without a map, and the median ratio of the pairs; the machine's load."""
    from edgekd.devices import runner

    rows = {form: pairs(form, folder) for form in FORMATS}
    return {"cpu": runner.cpu_name(), "load": os.getloadavg()[0], "formats": rows}


def pairs(form, folder):
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
            begin = time.process_time()
            actions[which]()
            pair[which] = (time.process_time() - begin) * 1e3
        times.append(pair)
    without, mapped = np.array(times[WARMUP:]).T
    return {"without_ms": float(np.median(without)), "ratio": float(np.median(mapped / without))}


def runs_whole(session, picture):
    """One inference with all outputs; ONNX Runtime is asked for them, the others give them anyway."""
    if hasattr(session, "session"):
        return lambda: session.session.run(None, {session.session.get_inputs()[0].name: picture})
    return lambda: session.probs(picture)


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
            run_here(command, 3000.0, qemu.environment() | more)
            found.setdefault(cpu, {})[kind] = qemu.between_marks(out.read_text(encoding="utf-8"), cpu)["total"]
    return found


def figures(rounds):
    """Median milliseconds without a map, median ratio, and its interval."""
    import numpy as np

    ratios = np.array([one["ratio"] for one in rounds])
    drawn = np.random.default_rng(0).integers(0, len(ratios), (RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return float(np.median([one["without_ms"] for one in rounds])), float(np.median(ratios)), float(low), float(high)


def readme_rows(results):
    """The tables of benchmarks/README.md."""
    lines, counted = [HEAD], []
    for name, found in results.items():
        for form, size in found["size_bytes"].items():
            rounds = [one["formats"][form] for one in found["rounds"]]
            without, ratio, low, high = figures(rounds)
            times = f"{without:.2f} | {ratio:.3f} [{low:.3f}, {high:.3f}]"
            lines.append(
                f"| {name} | {form} | {times} | {size['without'] / 1e6:.2f} | {size['with'] / size['without']:.4f} |"
            )
        for cpu, count in found["instructions"].items():
            counted.append(
                f"| {name} | {cpu} | {count['without'] / 1e6:.2f} | {count['with'] / count['without']:.4f} |"
            )
    return [*lines, *(["", COUNT_HEAD, *counted] if counted else [])]


if __name__ == "__main__":
    main()
