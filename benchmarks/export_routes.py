"""Ways from one network to an int8 .tflite: time and memory of writing, and the speed of what was written.

    EDGEKD_CONVERT_PYTHON=/path/to/python python benchmarks/export_routes.py BUNDLE [--rounds 3]

BUNDLE is a student of a network that all of them take, as models/mri4p-mobilenetv2. The Python named has the extra
`crosscheck`; by default it is the one that runs. Each way runs in a fresh process, start-up and imports included, interleaved
over the rounds; the parent imports nothing heavy, as Linux counts its memory as the child's. Prepared beforehand and not
counted: 64 representative phantoms, the int8 graph, the ONNX file. All end with one file; nothing is verified.

    edgekd              the stored int8 graph -> file
    edgekd, calibrated  weights -> lowering -> post-training ranges -> file
    litert-torch        weights -> litert-torch -> ai-edge-quantizer, calibrated
    onnx2tf             ONNX -> onnx2tf -> TFLiteConverter, calibrated
    TFLiteConverter     the int8 graph -> TensorFlow with fake quantization -> TFLiteConverter

Latency compares files as each converter writes them: edgekd's has bytes in and probabilities out, its other one and those of
litert-torch and TFLiteConverter int8 in and out, onnx2tf's float32 in and out. One process, all files in each round.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

WAYS = ("edgekd", "edgekd, calibrated", "litert-torch", "onnx2tf", "TFLiteConverter")
FILES = ("edgekd", "edgekd, int8 ends", "litert-torch", "onnx2tf", "TFLiteConverter")
ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "export_routes.json"
IMAGES, LATENCY_ROUNDS, RUNS, WARMUP = 64, 40, 10, 20


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("bundle", metavar="BUNDLE", help="the student whose network is written")
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--step", help=argparse.SUPPRESS)
    arguments.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.step:
        STEPS[args.step](args)
        return
    with tempfile.TemporaryDirectory() as folder:
        args.folder = Path(folder)
        child(args, "prepare")
        load, samples = [os.getloadavg()[0]], {way: [] for way in WAYS}
        for _ in range(args.rounds):
            for way in WAYS:
                samples[way].append(child(args, way))
                load.append(os.getloadavg()[0])
        child(args, "latency")
        latency = json.loads((args.folder / "latency.json").read_text())
        sizes = {name: (args.folder / f"{name}.tflite").stat().st_size for name in FILES}
    report(samples, latency, sizes, load)


def child(args, step):
    """Wall time and the largest resident set of one step, with its own children."""
    command = [sys.executable, __file__, "--step", step, "--folder", str(args.folder), args.bundle]
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"}
    with (args.folder / "log").open("w") as log:
        begun = time.perf_counter()
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
    if status:
        sys.exit(f"{step} failed:\n" + (args.folder / "log").read_text()[-2000:])
    print(f"{step}: {wall:.1f} s, {usage.ru_maxrss / 1024:.0f} MiB", flush=True)
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime, "peak_rss_mib": usage.ru_maxrss / 1024}


def prepare(args):
    """pixels.npy, graph.safetensors, network.onnx."""
    import numpy as np
    import torch

    from edgekd.data.phantom import phantom

    size = opened(args).manifest.input.size
    grey = np.stack([phantom(0, index, size).image for index in range(IMAGES)])
    np.save(args.folder / "pixels.npy", np.repeat(grey[..., None], 3, axis=3))
    calibrated(args).save(args.folder / "graph.safetensors")
    image, path = torch.zeros(1, 3, size, size), str(args.folder / "network.onnx")
    torch.onnx.export(network(args).body, (image,), path, dynamo=False, opset_version=17)


def opened(args):
    from edgekd.bundle import Bundle

    return Bundle.open(args.bundle)


def network(args):
    from edgekd.networks import from_bundle

    return from_bundle(opened(args))


def calibrated(args):
    """The int8 graph by post-training ranges."""
    import numpy as np
    import torch

    from edgekd.quantization import fake, folding, lowering, ranges

    pixels = np.load(args.folder / "pixels.npy")
    views = torch.from_numpy(pixels).permute(0, 3, 1, 2).float()
    fakes = fake.FakeQuantNetwork(folding.fold_normalization(lowering.lower(network(args)))).eval()
    fakes.set_ranges(ranges.post_training(fakes, lambda: views.split(16))["mse"])
    return fakes.graph()


def facts(args, io="uint8"):
    from edgekd.runtimes import FileFacts

    manifest = opened(args).manifest
    return FileFacts(manifest.name, "A benchmark", tuple(manifest.label_names), manifest.input, 1.0, io)


def write(args, graph, io="uint8", name="edgekd"):
    from edgekd.runtimes import find

    format, module = find("tflite-int8")
    module.write(graph, format, facts(args, io), args.folder / f"{name}.tflite")


def by_edgekd(args):
    from edgekd.quantization.graph import Graph

    write(args, Graph.load(args.folder / "graph.safetensors"))


def by_edgekd_calibrated(args):
    write(args, calibrated(args), name="edgekd, calibrated")


def by_litert_torch(args):
    generic(args, "convert_network", network(args), "litert-torch")


def by_onnx2tf(args):
    generic(args, "convert_onnx", args.folder / "network.onnx", "onnx2tf")


def generic(args, function, source, name):
    import numpy as np

    from edgekd import conversion

    conversion.wrap = lambda body, facts: body  # the converter's own file, without the ends that we put around it
    pixels, path = np.load(args.folder / "pixels.npy"), args.folder / f"{name}.tflite"
    getattr(conversion, function)(source, facts(args), "static_wi8_ai8", pixels, path)


def by_tensorflow(args):
    python = os.environ.get("EDGEKD_CONVERT_PYTHON", sys.executable)
    script = ROOT / "tests" / "crosscheck" / "by_tensorflow.py"
    folder = args.folder
    subprocess.run([python, script, folder / "graph.safetensors", folder / "TFLiteConverter.tflite"], check=True)


def latency(args):
    """latency.json: threads -> file -> ms of every run, in the order of the runs."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    from edgekd.quantization.graph import Graph

    write(args, Graph.load(args.folder / "graph.safetensors"), "int8", "edgekd, int8 ends")
    random, found = np.random.default_rng(0), {}
    for threads in (1, 2):
        interpreters = {}
        for name in FILES:
            one = interpreters[name] = Interpreter(str(args.folder / f"{name}.tflite"), num_threads=threads)
            one.allocate_tensors()
            given = one.get_input_details()[0]
            one.set_tensor(given["index"], random.integers(0, 127, given["shape"]).astype(given["dtype"]))
            for _ in range(WARMUP):
                one.invoke()
        found[threads] = {name: [] for name in FILES}
        for index in range(LATENCY_ROUNDS):
            for name in FILES if index % 2 else FILES[::-1]:  # nobody always comes after the same one
                for _ in range(RUNS):
                    begun = time.perf_counter()
                    interpreters[name].invoke()
                    found[threads][name].append((time.perf_counter() - begun) * 1000)
    (args.folder / "latency.json").write_text(json.dumps(found))


STEPS = {
    "prepare": prepare,
    "edgekd": by_edgekd,
    "edgekd, calibrated": by_edgekd_calibrated,
    "litert-torch": by_litert_torch,
    "onnx2tf": by_onnx2tf,
    "TFLiteConverter": by_tensorflow,
    "latency": latency,
}


def report(samples, latency, sizes, load):
    facts = {"cpu": cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "load_average": load}
    latency = {threads: {k: [round(x, 4) for x in v] for k, v in files.items()} for threads, files in latency.items()}
    result = {**facts, "writing": samples, "latency_ms": latency, "size_bytes": sizes}
    RESULT.write_text(json.dumps(result, indent=None) + "\n")
    table = markdown(result)
    RESULT.with_suffix(".md").write_text(table)
    print(table)


def markdown(result):
    middle = {way: {key: median(runs, key) for key in runs[0]} for way, runs in result["writing"].items()}
    lines = ["Writing (medians; whole process)", "", "| way | wall s | CPU s | peak RSS MiB | time to edgekd's |"]
    lines.append("|---|---|---|---|---|")
    base = middle["edgekd"]["wall_s"]
    for way, m in middle.items():
        ratio = m["wall_s"] / base
        lines.append(f"| {way} | {m['wall_s']:.1f} | {m['cpu_s']:.1f} | {m['peak_rss_mib']:.0f} | {ratio:.1f} |")
    lines += ["", "Latency on LiteRT (median ms, ratio to edgekd's file)", "", "| file | 1 thread | 2 threads | MB |"]
    lines.append("|---|---|---|---|")
    for name in FILES:
        cells = []
        for files in result["latency_ms"].values():
            ms, ours = statistics.median(files[name]), statistics.median(files["edgekd"])
            cells.append(f"{ms:.2f} ({ms / ours:.2f})")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {result['size_bytes'][name] / 1e6:.2f} |")
    load = result["load_average"]
    lines += ["", f"{result['cpu']}, {result['cores']} cores, Python {result['python']}; load average of the machine"]
    lines.append(f"while it ran {min(load):.1f} to {max(load):.1f} (the benchmark itself adds 1 to 2).")
    return "\n".join(lines) + "\n"


def median(runs, key):
    return statistics.median(run[key] for run in runs)


def cpu():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


if __name__ == "__main__":
    main()
