"""The side of the benchmark that runs on a device: one file, for Python 3.9 and later.

    python runner.py FOLDER

Needs NumPy, Pillow and one of ai-edge-litert, tflite-runtime, onnxruntime, openvino; never edgekd itself. FOLDER holds
`job.json` (schema `edgekd.job/1`) and the files that it names. Prints one JSON document (`edgekd.device/1`) and nothing
else. First it replays the golden vectors: where a stage gives another result than the one that was verified, it stops
and names the stage. Then it measures, in this one process: load, first inference, warm-up, single runs, stages,
sustained speed, memory. Last it answers the test images.

For an emulator nothing is timed, each answer stands between the system calls MARK with 2 k and 2 k + 1, and what was
emulated is for the caller to add.
"""

# ruff: noqa: ANN001, ANN201, ANN202, ANN204, D102
from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import json
import os
import platform
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SCHEMA = "edgekd.job/1"
MARK = 9001  # a system call that does not exist
STAGE_RUNS, STAGE_SECONDS = 50, 3.0  # of decode and preprocess
FEWEST_RUNS = 5
COOL_LOOK_SECONDS = 2.0
SHARE_SECONDS = 0.05  # of a shorter time the two clocks do not tell a share
clock = time.perf_counter

# Runtimes that tell their makers what they run stay silent, as in edgekd itself.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]  # None forbids its import


class Stop(Exception):
    """The job cannot go on; `stage` is set by `Run`."""


# --- From an image file to pixels: what edgekd.preprocess does, for Pillow 9 and later ---------------------------------

MAX_PIXELS = 120_000_000
HIGH_DEPTH = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")
WITH_ALPHA = ("LA", "La", "PA", "RGBA", "RGBa")
KERNELS = {"bilinear": 2, "bicubic": 3}
ORIENTATION = 0x0112
UPRIGHT = {2: 0, 3: 3, 4: 1, 5: 5, 6: 4, 7: 6, 8: 2}  # EXIF orientation -> Pillow's transpose
Image.MAX_IMAGE_PIXELS = MAX_PIXELS // 2


def decode(content):
    """An upright 8-bit RGB image of a file's bytes."""
    image = Image.open(io.BytesIO(content))
    if image.width * image.height > MAX_PIXELS:
        raise Stop(f"an image of {image.width} x {image.height} px")
    image.load()
    try:
        orientation = image.getexif().get(ORIENTATION, 1)
    except Exception:  # broken metadata turns nothing
        orientation = 1
    turn = UPRIGHT.get(orientation) if isinstance(orientation, int) else None
    upright = image if turn is None else image.transpose(turn)  # type: ignore[arg-type]  # Pillow 9.0 has no enum for it
    return to_rgb(upright)


def to_rgb(image):
    """8-bit RGB of any mode: transparency over black, high depths stretched to their own range."""
    if image.mode in HIGH_DEPTH:
        return Image.fromarray(stretch(np.asarray(image))).convert("RGB")
    if image.mode in WITH_ALPHA or "transparency" in image.info:
        if image.mode == "La":
            image = image.convert("LA")
        opaque = Image.new("RGBA", image.size, (0, 0, 0, 255))
        return Image.alpha_composite(opaque, image.convert("RGBA")).convert("RGB")
    return image.convert("RGB")


def stretch(values):
    """Values of any range to uint8: minimum -> 0, maximum -> 255, halves up."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all():
        raise Stop("pixels that are not finite")
    if high == low:
        return np.zeros(values.shape, np.uint8)
    return (np.subtract(values, low, dtype=np.float64) * 255.0 / (high - low) + 0.5).astype(np.uint8)


def to_pixels(image, contract):
    """Pixels [S, S, 3] uint8 of an RGB image."""
    size, kernel = contract["size"], KERNELS[contract["kernel"]]
    if contract["fit"] == "squash":
        return np.asarray(resize(image, (size, size), kernel))
    short, shorter = int(size / contract["crop_fraction"] + 0.5), min(image.size)
    width, height = ((2 * side * short + shorter) // (2 * shorter) for side in image.size)
    if width * height > MAX_PIXELS:
        raise Stop(f"an image of {width} x {height} px on the way")
    left, top = (width - size) // 2, (height - size) // 2
    resized = resize(image, (width, height), kernel)
    return np.asarray(resized.crop((left, top, left + size, top + size)))


def resize(image, size, kernel):
    """Pillow's resize in two passes whose order does not depend on its version: 13 changed it, and so the rounding."""
    (width, height), (w, h) = image.size, size
    between = (width, h) if h < height and height - h > 2 * (width - w) else (w, height)
    return image.resize(between, kernel, reducing_gap=None).resize(size, kernel, reducing_gap=None)


# --- Runtimes: pixels [1, S, S, 3] uint8 or int8 in, probabilities or int8 logits [1, K] out ---------------------------

X86 = ("x86_64", "amd64", "i386", "i686", "x86")
VNNI = ("avx512_vnni", "avx_vnni")


def saturates():
    """Whether int8 kernels may add pairs of products in 16 bits here: x86 without VNNI."""
    return platform.machine().lower() in X86 and not set(cpu_flags()) & set(VNNI)


HEATMAP = "heatmap"  # the second output of some files, which no answer needs


def named(outputs, name):
    """The output that answers: the one that is no heat map, whatever their order."""
    return next(output for output in outputs if name(output) != HEATMAP)


class Tflite:
    """LiteRT, or tflite-runtime where that is what is installed."""

    def __init__(self):
        try:
            from ai_edge_litert import interpreter

            self.name, self.package = "LiteRT", "ai-edge-litert"
        except ImportError:
            from tflite_runtime import interpreter

            self.name, self.package = "tflite-runtime", "tflite-runtime"
        self.module, self.version, self.cure = interpreter, version(self.package), ""

    def load(self, path, threads, size):
        self.interpreter = self.module.Interpreter(model_path=str(path), num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]["index"]
        details = named(self.interpreter.get_output_details(), lambda output: output["name"])
        self.output, self.logits_scale = details["index"], float(details["quantization"][0])

    def infer(self, pixels):
        self.interpreter.set_tensor(self.input, pixels)
        self.interpreter.invoke()
        return self.interpreter.get_tensor(self.output)

    def delegate(self):
        """XNNPACK keeps the values of the operators that it took over to itself."""
        operators = self.interpreter._get_ops_details()
        outputs = [o["outputs"][0] for o in operators if o["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D")]
        taken = sum(not self._readable(index) for index in outputs)
        is_there = any(o["op_name"] == "DELEGATE" for o in operators)
        return "XNNPACK" if is_there and 2 * taken >= len(outputs) else "built-in"

    def _readable(self, index):
        try:
            self.interpreter.get_tensor(index)
            return True
        except ValueError:
            return False


class Onnx:
    """ONNX Runtime on the processor."""

    def __init__(self):
        import onnxruntime

        self.module, self.name, self.version = onnxruntime, "ONNX Runtime", onnxruntime.__version__
        self.package = "onnxruntime"
        self.cure = "session.x64quantprecision=1" if saturates() else ""

    def load(self, path, threads, size):
        options = self.module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self.cure:
            options.add_session_config_entry(*self.cure.split("="))
        self.session = self.module.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.input = self.session.get_inputs()[0].name
        self.output = named(self.session.get_outputs(), lambda output: output.name).name
        self.logits_scale = float(self.session.get_modelmeta().custom_metadata_map.get("logits_scale", 0))

    def infer(self, pixels):
        return self.session.run([self.output], {self.input: pixels})[0]

    def delegate(self):
        return "CPU"


class Openvino:
    """OpenVINO's CPU plugin, with the settings of edgekd.runtimes.openvino."""

    def __init__(self):
        import openvino

        self.module, self.name, self.version = openvino, "OpenVINO", openvino.__version__
        self.package = "openvino"
        self.cure = "LP_TRANSFORMS_MODE=NO" if saturates() else ""

    def load(self, path, threads, size):
        core = self.module.Core()
        model = core.read_model(str(path))
        model.reshape([1, size, size, 3])
        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        }
        if self.cure:
            name, value = self.cure.split("=")
            settings[name] = value
        self.request = core.compile_model(model, "CPU", settings).create_infer_request()
        self.output = named(list(range(len(model.outputs))), lambda index: model.outputs[index].get_any_name())
        key = ["edgekd", "logits_scale"]
        self.logits_scale = float(model.get_rt_info(key).astype(str)) if model.has_rt_info(key) else 0.0

    def infer(self, pixels):
        return self.request.infer({0: pixels})[self.output].copy()

    def delegate(self):
        return "CPU"


RUNTIMES = {"tflite": Tflite, "onnx": Onnx, "openvino": Openvino}


def version(package):
    """The installed version of a package, "" if it does not say."""
    from importlib import metadata

    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


class Ends:
    """Pixels to what goes in, and what comes out to probabilities: nothing but for io "int8"."""

    def __init__(self, job, runtime):
        self.is_int8, self.runtime, self.temperature = job["io"] == "int8", runtime, job["calibration_temperature"]

    def feed(self, pixels):
        return (pixels.astype(np.int16) - 128).astype(np.int8) if self.is_int8 else np.ascontiguousarray(pixels)

    def probs(self, output):
        if not self.is_int8:
            return output.astype(np.float32)
        z = output.astype(np.float64) * self.runtime.logits_scale
        z = np.exp((z - z.max(axis=1, keepdims=True)) / self.temperature)
        return (z / z.sum(axis=1, keepdims=True)).astype(np.float32)


# --- The machine, as far as it describes itself ------------------------------------------------------------------------

SHOWN = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "amx_int8", "neon", "asimd", "asimddp", "i8mm", "sve")
ARM = {
    "0xd03": "Cortex-A53", "0xd04": "Cortex-A35", "0xd05": "Cortex-A55", "0xd07": "Cortex-A57", "0xd08": "Cortex-A72",
    "0xd09": "Cortex-A73", "0xd0a": "Cortex-A75", "0xd0b": "Cortex-A76", "0xd0c": "Neoverse-N1", "0xd0d": "Cortex-A77",
    "0xd40": "Neoverse-V1", "0xd41": "Cortex-A78", "0xd44": "Cortex-X1", "0xd46": "Cortex-A510", "0xd47": "Cortex-A710",
    "0xd48": "Cortex-X2", "0xd49": "Neoverse-N2", "0xd4d": "Cortex-A715", "0xd4e": "Cortex-X3", "0xd80": "Cortex-A520",
}  # fmt: skip
CPU = Path("/sys/devices/system/cpu")
THROTTLED = {0: "under-voltage", 1: "frequency capped", 2: "throttled", 3: "soft temperature limit"}  # Raspberry Pi


def read(path):
    """The text of a file without its ends; "" if it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return ""


def numbers(paths, scale):
    """The numbers in files, times `scale`."""
    return [float(text) * scale for text in map(read, paths) if text.lstrip("-").isdigit()]


def cpuinfo():
    """One dictionary per processor of /proc/cpuinfo."""
    blocks = [block for block in read("/proc/cpuinfo").split("\n\n") if block]
    lines = [[line.partition(":") for line in block.splitlines()] for block in blocks]
    return [{key.strip(): value.strip() for key, _, value in block} for block in lines]


def cpu_flags():
    """Feature flags of the first processor that lists any."""
    return next((b[key].split() for b in cpuinfo() for key in ("flags", "Features") if key in b), [])


def allowed():
    """The processors that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def cpu_name():
    """The processors that this process may use, by name: `Cortex-A55 + Cortex-A76`."""
    blocks, names = cpuinfo(), set()
    for block in blocks:
        if "processor" in block and (not block["processor"].isdigit() or int(block["processor"]) in allowed()):
            part, name = block.get("CPU part", ""), block.get("model name", "")
            if name and "cpu family" in block:  # names of virtual processors leave the generation out
                name += f" (family {block['cpu family']}, model {block.get('model', '?')})"
            names.add(ARM.get(part, name or (part and f"ARM part {part}")))
    names.discard("")
    return " + ".join(sorted(names)) or platform.processor() or ""


def system():
    """What the report says of this machine."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**20 if hasattr(os, "sysconf") else None
    flags = cpu_flags()
    fastest = numbers([CPU / f"cpu{n}/cpufreq/cpuinfo_max_freq" for n in allowed()], 1e-3)
    return {
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "model": read("/proc/device-tree/model"),
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "cpu_features": [flag for flag in SHOWN if flag in flags],
        "governor": read(CPU / f"cpu{allowed()[0]}/cpufreq/scaling_governor"),
        "max_frequency_mhz": max(fastest) if fastest else None,
        "memory_mib": pages,
    }


def software():
    """Versions of what decides a result beside the runtime, under the names that the device is asked for."""
    numpy, pillow = version("numpy") or np.__version__, version("pillow") or Image.__version__
    return {"python": platform.python_version(), "numpy": numpy, "pillow": pillow}


def frequency_mhz():
    """The highest clock of the processors at this moment."""
    found = numbers([CPU / f"cpu{n}/cpufreq/scaling_cur_freq" for n in allowed()], 1e-3)
    return max(found or [float(b["cpu MHz"]) for b in cpuinfo() if "cpu MHz" in b] or [0.0]) or None


def temperature_c():
    """The highest temperature that the machine tells."""
    zones, sensors = (
        Path("/sys/class/thermal").glob("thermal_zone*/temp"),
        Path("/sys/class/hwmon").glob("*/temp*_input"),
    )
    found = [t for t in numbers([*zones, *sensors], 1e-3) if 0 < t < 150]
    return max(found) if found else None


def throttle_count():
    """How often the processors (Intel) were slowed down since the start; None where that is not told."""
    found = numbers(CPU.glob("cpu*/thermal_throttle/*_throttle_count"), 1)
    return int(sum(found)) if found else None


def pi_flags():
    """The Raspberry Pi's word on power and heat; None elsewhere."""
    text = read("/sys/devices/platform/soc/soc:firmware/get_throttled")
    if not text and Path("/usr/bin/vcgencmd").exists():
        found = subprocess.run(["/usr/bin/vcgencmd", "get_throttled"], stdout=subprocess.PIPE, check=False)
        text = found.stdout.decode().strip().partition("=")[2]
    try:
        return int(text, 16)
    except ValueError:
        return None


def throttling():
    """What tells of slowing down so far: a Raspberry Pi's flags, and the processors' count."""
    return pi_flags(), throttle_count()


def conditions(earlier=(None, None)):
    """Load, clock, temperature and throttling now; `earlier`: what `throttling` told then.

    A Raspberry Pi keeps in bits 16 to 19 what has happened since it started: what is newly set happened in between.
    """
    (flags, count), words = throttling(), []
    if flags is not None:
        words = [word for bit, word in THROTTLED.items() if flags >> bit & 1]
        new = flags & ~earlier[0] if earlier[0] is not None else 0
        in_between = [word for bit, word in THROTTLED.items() if new >> bit + 16 & 1]
        words += [f"{word} in between" for word in in_between if word not in words]
    if count is not None and earlier[1] is not None and count > earlier[1]:
        words.append(f"slowed down {count - earlier[1]} times")
    return {
        "load_1min": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "frequency_mhz": frequency_mhz(),
        "temperature_c": temperature_c(),
        "throttled": None if flags is None and count is None else bool(words),
        "throttling": ", ".join(words),
    }


def memory_mib(key):
    """VmRSS (now) or VmHWM (at most) of this process."""
    for line in read("/proc/self/status").splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


def forget_peak():
    """Let VmHWM start again from now."""
    with contextlib.suppress(OSError):  # then it counts from the start of the process
        Path("/proc/self/clear_refs").write_text("5")


def thread_seconds():
    """Processor seconds of every thread of this process, by its number."""
    found = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        text = read(path).split()
        if text:
            found[path.parent.name] = int(text[0]) / 1e9
    return found


def busy_threads(before, after):
    """How many threads worked: those with a twentieth of the busiest one's time; None where it cannot be told."""
    spent = [seconds - before.get(name, 0.0) for name, seconds in after.items()]
    return sum(s > 0.05 * max(spent) for s in spent) if spent and max(spent) > 0 else None


# --- Measuring ---------------------------------------------------------------------------------------------------------


def sample(action, inputs, runs, seconds, fewest=FEWEST_RUNS):
    """Milliseconds of `action(input)`, one by one, the inputs in turn: `runs` of them, or fewer if `seconds` are over."""
    found: list[float] = []
    count = len(inputs)
    gc.collect()
    gc.disable()
    end = clock() + seconds
    while len(found) < runs:
        given = inputs[len(found) % count]
        begin = clock()
        action(given)
        now = clock()
        found.append((now - begin) * 1e3)
        if now > end and len(found) >= fewest:
            break
    gc.enable()
    return found


def warm(action, inputs, runs, seconds, most):
    """Run `action(input)` `runs` times and for `seconds`, whichever is reached last; how often.

    Where `seconds` do not ask for it, none begins after `most`.
    """
    count, begin, passed = 0, clock(), 0.0
    while passed < seconds or (count < runs and passed < most):
        action(inputs[count % len(inputs)])
        count, passed = count + 1, clock() - begin
    return count


def cool(most):
    """Wait until nothing slows the machine down any more, at most so many seconds; how long that took."""
    begin, passed = clock(), 0.0
    while passed < most and conditions()["throttled"]:
        time.sleep(min(COOL_LOOK_SECONDS, most - passed))
        passed = clock() - begin
    return passed


def sustained(action, inputs, seconds):
    """Windows of a run without pause: throughput, clock and temperature over time."""
    found, begin, length = [], clock(), max(1.0, seconds / 60)
    while clock() - begin < seconds:
        start = clock()
        samples = sample(action, inputs, 10**9, length, 1)
        rate = len(samples) / (clock() - start)
        window = {"start_s": start - begin, "runs": len(samples), "images_per_s": rate}
        window.update(median_ms=float(np.median(samples)), temperature_c=temperature_c(), frequency_mhz=frequency_mhz())
        found.append(window)
    return found


def paced(action, inputs, fps, seconds):
    """Single runs at a camera's rate, each of the newest frame; frames that come while one is at work are dropped."""
    found: list[float] = []
    dropped, frame, begin = 0, 0, clock()
    while frame < seconds * fps or len(found) < FEWEST_RUNS:
        time.sleep(max(0.0, begin + frame / fps - clock()))
        start = clock()
        action(inputs[len(found) % len(inputs)])
        now = clock()
        found.append((now - start) * 1e3)
        following = max(frame + 1, int(np.ceil((now - begin) * fps)))
        dropped += following - frame - 1
        frame = following
    told = {"temperature_c": temperature_c(), "frequency_mhz": frequency_mhz()}
    return dict(told, fps=fps, runs_ms=found, dropped=dropped)


def marker(k):
    """Tell an emulator that counts instructions where an answer begins and ends."""
    import ctypes

    ctypes.CDLL(None).syscall(MARK, k)


# --- The job -----------------------------------------------------------------------------------------------------------


class Run:
    """One job, from its folder to its document; `stage` is where it is, for the message if it fails there."""

    def __init__(self, folder, job):
        self.folder, self.job, self.stage = folder, job, "files"
        self.is_timed = job["timing"] is not None and job["provenance"] == "hardware"
        self.runtime: Any = None  # one of RUNTIMES, as soon as it is loaded
        self.notes: list[str] = []

    def software(self):
        """The versions above, and that of the package which answered."""
        package = self.runtime.package if self.runtime else ""
        return dict(software(), **({package: version(package)} if package else {}))

    def document(self):
        """Everything that the job asks for."""
        if self.job["schema"] != SCHEMA:
            raise Stop(f"expected a job of schema {SCHEMA}, found {self.job['schema']!r}")
        for name in self.job["files"]:
            self.check(name)
        pixels, contents = self.replay_input()
        self.stage, cooling_s = "runtime", self.cool()
        before, throttles = conditions(), throttling()
        begin = clock()
        self.runtime = RUNTIMES[self.job["runtime"]]()
        import_ms, bare = (clock() - begin) * 1e3, self.bare_memory()
        begin = clock()
        self.load()
        load_ms, feeds = (clock() - begin) * 1e3, [self.ends.feed(p[None]) for p in pixels]
        begin = clock()
        self.runtime.infer(feeds[0])
        first_ms = (clock() - begin) * 1e3
        found = {"golden": self.replay_output(feeds)}
        threads_ran = None
        if self.is_timed:
            self.stage = "measure"
            times = {"import_ms": import_ms, "load_ms": load_ms, "first_ms": first_ms, "before": before}
            times["cooling_s"] = cooling_s
            more, threads_ran = self.times(feeds, contents, bare)
            found["times"] = dict(times, **more, after=conditions(throttles))
        if self.job["test"]:
            self.stage = "probabilities"
            found["probs"] = self.answers()
            if self.job["test"].get("files"):
                found["from_files"] = self.from_files()
        ran = {"threads_asked": self.job["threads"], "threads_ran": threads_ran, "delegate": self.runtime.delegate()}
        ran.update(name=self.runtime.name, version=self.runtime.version, cure=self.runtime.cure)
        return dict(found, runtime=ran)

    def cool(self):
        """Wait for a machine that is slowed down now, if times are asked for; how long."""
        most = self.job["timing"].get("cool_s", 0.0) if self.is_timed else 0.0
        waited = cool(most)
        if waited and conditions()["throttled"]:
            self.notes.append(f"it was still slowed down after {waited:.0f} s of waiting")
        return waited

    def check(self, name):
        """Compare a file with its hash."""
        record, digest = self.job["files"][name], hashlib.sha256()
        with (self.folder / name).open("rb") as file:
            for piece in iter(lambda: file.read(2**20), b""):
                digest.update(piece)
        if digest.hexdigest() != record["sha256"]:
            raise Stop(f"{name} is not the file that was sent")

    def replay_input(self):
        """Decode and preprocess the golden images; each step has to give what it gave where the bundle was made."""
        golden, pixels, contents = self.job["golden"], [], []
        expected = np.load(str(self.folder / golden["pixels"]), allow_pickle=False)
        for index, name in enumerate(golden["images"]):
            self.stage = "decode"
            contents.append((self.folder / name).read_bytes())
            image = decode(contents[-1])
            if hashlib.sha256(image.tobytes()).hexdigest() != golden["decoded_sha256"][index]:
                raise Stop(f"{name} is decoded to other pixels")
            self.stage = "preprocess"
            pixels.append(to_pixels(image, self.job["input"]))
            if not np.array_equal(pixels[-1], expected[index]):
                differs = pixels[-1] != expected[index] if pixels[-1].shape == expected[index].shape else np.array(True)
                raise Stop(f"{name}: {differs.mean():.2%} of the input tensor differs")
        return pixels, contents

    def bare_memory(self):
        gc.collect()
        forget_peak()
        return memory_mib("VmRSS")

    def load(self):
        path = self.folder / next(iter(self.job["files"]))
        self.runtime.load(path, self.job["threads"], self.job["input"]["size"])
        self.ends = Ends(self.job, self.runtime)

    def replay_output(self, feeds):
        """The probabilities of the golden images against the expected ones."""
        self.stage, golden = "probabilities", self.job["golden"]
        found = np.concatenate([self.ends.probs(self.runtime.infer(feed)) for feed in feeds])
        expected = np.array(golden["probs"])
        if found.shape != expected.shape or not np.isfinite(found).all():
            raise Stop(f"expected probabilities {list(expected.shape)}, found {list(found.shape)}, or not finite")
        change = np.abs(found - expected)
        if change.max() > golden["tolerance"]:
            name = golden["images"][int(change.max(1).argmax())]
            raise Stop(f"{name}: a probability differs by {change.max():.3g} (tolerance {golden['tolerance']:.3g})")
        return {"images": len(found), "largest_change": float(change.max()), "tolerance": golden["tolerance"]}

    def times(self, feeds, contents, bare):
        """Warm-up, single runs, memory, stages, sustained run; and how many threads worked."""
        timing, infer = self.job["timing"], self.runtime.infer
        begin, runs = clock(), timing["warmup_runs"]
        warmed = warm(infer, feeds, runs, timing.get("warmup_s", 0.0), timing["min_seconds"])
        found = {"warmup_runs": warmed, "warmup_s": clock() - begin}
        threads, worked, begin = thread_seconds(), time.process_time(), clock()
        found["inference_ms"] = sample(infer, feeds, timing["min_runs"], timing["min_seconds"])
        worked, passed = time.process_time() - worked, clock() - begin
        threads_ran = busy_threads(threads, thread_seconds())
        if passed >= SHARE_SECONDS:
            found["processor_share"] = worked / passed
        found["bare_rss_mib"] = bare
        found["peak_rss_mib"] = memory_mib("VmHWM")
        warm(decode, contents, runs, 0.0, STAGE_SECONDS)  # runs are enough: nothing of these is compiled while it runs
        found["decode_ms"] = sample(decode, contents, STAGE_RUNS, STAGE_SECONDS)
        images = [decode(content) for content in contents]
        contract = self.job["input"]
        warm(lambda i: to_pixels(i, contract), images, runs, 0.0, STAGE_SECONDS)
        found["preprocess_ms"] = sample(lambda i: to_pixels(i, contract), images, STAGE_RUNS, STAGE_SECONDS)
        found["sustained"] = sustained(infer, feeds, timing["sustained_s"]) if timing["sustained_s"] else []
        found["paced"] = [paced(infer, feeds, fps, timing["paced_s"]) for fps in timing["fps"]]
        return found, threads_ran

    def answers(self):
        """Probabilities of the test images, in the order of the job's indices."""
        test, found = self.job["test"], []
        mark = marker if self.job["provenance"] == "emulated" else lambda k: None
        pixels = np.load(str(self.folder / test["pixels"]), mmap_mode="r", allow_pickle=False)
        for k, index in enumerate(test["indices"]):
            feed = self.ends.feed(pixels[index : index + 1])
            mark(2 * k)
            output = self.runtime.infer(feed)
            mark(2 * k + 1)
            found.append(self.ends.probs(output)[0].tolist())
        return found

    def from_files(self):
        """Test images from their files on, as an app answers them; a file that cannot be decoded here ends nothing."""
        test = self.job["test"]
        files, pixels = test["files"], np.load(str(self.folder / test["pixels"]), mmap_mode="r", allow_pickle=False)
        found = []
        for k, name in enumerate(files["images"]):
            try:
                image = decode((self.folder / name).read_bytes())
                given = to_pixels(image, self.job["input"])
            except Exception as e:
                words = f"{name}: {type(e).__name__}: {e}"[:500]
                found.append({"decoded_equal": False, "pixels_equal": False, "probs": [], "problem": words})
                continue
            probs = self.ends.probs(self.runtime.infer(self.ends.feed(given[None])))[0].tolist()
            is_decoded = hashlib.sha256(image.tobytes()).hexdigest() == files["decoded_sha256"][k]
            is_equal = np.array_equal(given, pixels[files["rows"][k]])
            found.append({"decoded_equal": is_decoded, "pixels_equal": is_equal, "probs": probs})
        return found


def answer(folder):
    """The document for the job in a folder."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    head = {"schema": "edgekd.device/1", "key": job["key"], "round": job["round"], "provenance": job["provenance"]}
    if job["cpus"] and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, job["cpus"])
    run = Run(folder, job)
    try:
        found = run.document()
    except Exception as e:
        words = str(e) if isinstance(e, Stop) else f"{type(e).__name__}: {e}"
        found = {"failure": {"stage": run.stage, "reason": words.strip()[:500]}}
    return dict(head, system=dict(system(), software=run.software()), notes=run.notes, **found)


def main():
    """Answer the job in the folder that the command line names."""
    warnings.simplefilter("ignore")
    # Native libraries print to stdout as they like; the document gets a descriptor of its own.
    document = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    json.dump(answer(Path(sys.argv[1])), document)
    document.write("\n")
    document.flush()


if __name__ == "__main__":
    main()
