"""Reports made by hand: answers with known flips, times with known medians. Used by the tests of what reads a report."""

from __future__ import annotations

import functools

import numpy as np
from safetensors.numpy import save_file

from edgekd.benchmarking import schema as s
from edgekd.bundle import FileRecord
from edgekd.devices import document as d
from edgekd.measures.drift import drift
from edgekd.measures.evaluation import evaluate
from edgekd.measures.latency import summarize
from edgekd.preprocess import InputContract

LABELS = ("glioma", "meningioma", "notumor", "pituitary")
SHA = "0123456789abcdef" * 4
IMAGES = 200
RUNTIMES = {"tflite": ("LiteRT", "2.1.0", "XNNPACK"), "onnx": ("ONNX Runtime", "1.24.0", "CPU")}
SIZES = {"tflite": 9_100_000, "tflite-int8": 2_760_000, "onnx": 9_000_000, "onnx-int8": 2_950_000}


@functools.cache
def truth(images=IMAGES, classes=4):
    """Labels [N] and the float student's probabilities [N, K], right in 19 of 20."""
    rng = np.random.default_rng(7)
    labels = rng.integers(0, classes, images)
    answers = np.where(np.arange(images) % 20 == 0, (labels + 1) % classes, labels)
    confidence = np.clip(rng.beta(14, 0.8, images), 0.45, 0.998)
    probs = np.repeat((1 - confidence)[:, None] / (classes - 1), classes, 1)
    probs[np.arange(images), answers] = confidence
    return labels, probs


def answers(wrong=0, right=0, images=IMAGES):
    """The float answers with so many right ones made wrong, and wrong ones made right."""
    labels, probs = truth(images)
    found = probs.copy()
    is_right = found.argmax(1) == labels
    for i in np.flatnonzero(is_right)[3 : 3 + wrong]:
        found[i] = np.roll(found[i], 1)
    for i in np.flatnonzero(~is_right)[:right]:
        found[i] = np.roll(found[i], -1)
    return found


def distribution(median_ms, rounds=3, runs=200, seed=0):
    rng = np.random.default_rng(seed)
    samples = tuple(
        tuple((median_ms * (1 + 0.004 * r) * (1 + rng.gamma(1.5, 0.02, runs))).tolist()) for r in range(rounds)
    )
    medians = tuple(summarize(r).median_ms for r in samples)
    return s.Distribution(samples_ms=samples, round_medians_ms=medians, **vars(summarize(sum(samples, ()))))


def camera(fps, median_ms):
    return s.PacedRun(
        fps=fps, runs=90, dropped=10, latency=distribution(2 * median_ms, 1, 90), temperature_c=47.0, frequency_mhz=None
    )


def hardware(median_ms=10.0, rounds=3, sustained=False, seed=0):
    state = d.Conditions(load_1min=0.4, frequency_mhz=2400.0, temperature_c=51.0, throttled=False)
    windows = tuple(
        d.Window(start_s=float(10 * i), runs=900, images_per_s=90.0 - 2 * i, median_ms=11.0, temperature_c=55.0 + i)
        for i in range(12)
    )
    return s.HardwareMeasurement(
        rounds=rounds,
        import_ms=120.0,
        load_ms=14.2,
        first_ms=18.9,
        warmup_runs=10,
        latency=distribution(median_ms, rounds, seed=seed),
        stages=s.Stages(
            decode=distribution(1.1, rounds, 12),
            preprocess=distribution(0.6, rounds, 12),
            inference=distribution(median_ms, rounds, seed=seed),
        ),
        memory=s.Memory(bare_rss_mib=41.0, peak_rss_mib=63.5, increase_mib=22.5),
        sustained=s.Sustained(seconds=120.0, windows=windows, last_over_first=68 / 90) if sustained else None,
        paced=tuple(camera(fps, median_ms) for fps in (1.0, 30.0)) if sustained else (),
        limit=s.Limit(
            core="Cortex-A76", macs_per_cycle=32.0, frequency_mhz=2400.0, limit_ms=3.9, ratio=median_ms / 3.9
        ),
        before=(state,) * rounds,
        after=(state,) * rounds,
    )


def emulated(sdot=0):
    emulation = d.Emulation(emulator="qemu-aarch64 10.0.2", cpu_model="cortex-a76", instructions={"sdot": sdot})
    return s.EmulatedMeasurement(emulation=emulation)


def row(device, format, measurement, probs=None, threads=1, images=IMAGES, label_names=LABELS, groups=None, **other):
    """A row of `probs` [M, K] of the first M images (all, as the float student has them)."""
    labels, before = truth(images)
    probs = before if probs is None else probs
    labels, before = labels[: len(probs)], before[: len(probs)]
    found = drift(before, probs, labels, groups and groups[: len(probs)])
    flips = tuple(
        s.Flip(
            name=f"image/{i:03}.png",
            index=i,
            label=int(labels[i]),
            before=int(before[i].argmax()),
            after=int(probs[i].argmax()),
            probs_before=tuple(before[i].tolist()),
            probs_after=tuple(probs[i].tolist()),
        )
        for i in found.flips
    )
    record = s.DriftRecord(
        images=found.images,
        groups=found.groups,
        flips=flips,
        only_before_right=found.only_a_right,
        only_after_right=found.only_b_right,
        accuracy_change_pp=found.accuracy_change_pp,
        interval_pp=found.interval_pp,
        p=found.p,
        mcnemar_p=found.mcnemar_p,
        recall_change_pp=dict(zip(label_names, found.recall_change_pp, strict=True)),
        smallest_significant_pp=found.smallest_significant_pp,
        largest_probability_change=float(np.abs(probs - before).max()),
    )
    key, runtime = f"{device}-{format}-{threads}", format.split("-")[0]
    name, version, delegate = RUNTIMES[runtime]
    values = {
        "key": key,
        "device": device,
        "format": format,
        "runtime": runtime,
        "scheme": "static_wi8_ai8" if format.endswith("int8") else "fp32",
        "source": "qat" if format.endswith("int8") else "float",
        "io": "uint8",
        "files": {f"student.{format}": FileRecord(sha256=SHA, size_bytes=SIZES[format])},
        "size_bytes": SIZES[format],
        "threads": threads,
        "ran": d.RuntimeFacts(
            name=name, version=version, delegate=delegate, threads_asked=threads, threads_ran=threads
        ),
        "system": system() if measurement.provenance == "hardware" else arm(),
        "golden": d.GoldenCheck(images=8, largest_change=0.0004, tolerance=0.05),
        "numerics": s.Numerics(
            answers=key,
            indices=tuple(range(len(probs))),
            evaluation=_evaluation(probs.tobytes(), labels.tobytes(), label_names),
            drift=record,
        ),
        "measurement": measurement,
    }
    return s.Row(**(values | other))


@functools.cache
def _evaluation(probs, labels, label_names):
    labels = np.frombuffer(labels, np.int64)
    return evaluate(np.frombuffer(probs).reshape(len(labels), -1), labels, label_names)


def system():
    return d.System(
        machine="x86_64",
        system="Linux 6.12",
        cpu="AMD EPYC 9B14",
        cores=2,
        cpu_features=("avx2", "avx512f", "avx512_vnni"),
        governor="performance",
        max_frequency_mhz=3700.0,
        memory_mib=16000.0,
        software={"python": "3.11.2", "numpy": "2.3.0"},
    )


def arm():
    return d.System(machine="aarch64", system="Linux 6.12", cpu="Cortex-A76", cpu_features=("asimddp",))


def devices(**other):
    local = s.DeviceRecord(kind="local", description="", provenance="hardware", system=system())
    return {"local": local} | other


def a76():
    return s.DeviceRecord(kind="qemu", description="as in a Pi 5", provenance="emulated", system=arm())


def report(rows, devices_=None, label_names=LABELS, reference=True, images=IMAGES, **other):
    labels, probs = truth(images)
    evaluation = _evaluation(probs.tobytes(), labels.tobytes(), label_names)
    found = s.ReferenceRecord(source="bundle", answers="reference", words="the float student", evaluation=evaluation)
    values = {
        "edgekd": "0.1.0",
        "created": "2026-03-01T12:00:00Z",
        "command": "python -m edgekd.benchmark runs/default --device local,a76",
        "bundle": s.BundleFacts(
            name="mri4p-mobilenetv2",
            manifest_sha256=SHA,
            network="mobilenetv2",
            width=1.0,
            parameters=2_228_996,
            macs=299_500_000,
            label_names=label_names,
            input=InputContract(size=96),
            licence="Apache-2.0",
        ),
        "data": s.DataFacts(
            source="phantom",
            split="test",
            images=images,
            of_images=images,
            listing_sha256=SHA,
            image_names=tuple(f"image/{i:03}.png" for i in range(images)),
            labels=tuple(labels.tolist()),
        ),
        "settings": s.Settings(rounds=3, timing=d.Timing(), threads=(1, 2), formats=tuple({r.format: 0 for r in rows})),
        "reference": found if reference else None,
        "devices": devices() if devices_ is None else devices_,
        "rows": tuple(rows),
    }
    return s.Report(**(values | other))


def usual(label_names=LABELS):
    """Four artefacts on this machine, two of them under emulation, and a phone that is gone."""
    sets = {"tflite": None, "tflite-int8": answers(2, 1), "onnx": None, "onnx-int8": answers(3, 1)}
    times = {"tflite": 9.1, "tflite-int8": 9.3, "onnx": 5.2, "onnx-int8": 3.1}
    rows = [
        row(
            "local",
            name,
            hardware(times[name] / threads**0.8, sustained=name == "tflite-int8" and threads == 1, seed=i),
            sets[name],
            threads,
            label_names=label_names,
            warnings=("the clock is governed by 'powersave', not 'performance'",) + ("hot: 84 °C",) * (name == "onnx"),
        )
        for i, name in enumerate(sets)
        for threads in (1, 2)
    ]
    rows += [
        row("a76", "tflite", emulated(), answers()[:24], label_names=label_names),
        row("a76", "tflite-int8", emulated(18_350_080), answers(2, 1)[:24], label_names=label_names),
    ]
    pixel = s.DeviceRecord(
        kind="adb", description="a phone", provenance="hardware", system=None, failure="device '8A2X' is gone <b>"
    )
    failed = s.FailedRow(
        device="local", format="openvino", threads=1, stage="runtime", reason="no module named 'openvino'"
    )
    return report(rows, devices(a76=a76(), pixel=pixel), label_names, failed=(failed,))


def save(found, folder, answers_=None, pixels=True):
    """Write a report with its answers and flipped images into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    found.save(folder)
    tensors = {"reference": truth()[1].astype(np.float32)}
    for r in found.rows:
        probs = (answers_ or {}).get(r.key, truth()[1])[: len(r.numerics.indices)]
        tensors[r.numerics.answers] = np.ascontiguousarray(probs, np.float32)
    save_file(tensors, folder / s.ANSWERS)
    if pixels:
        flipped = {f.index for r in found.rows if r.numerics.drift for f in r.numerics.drift.flips}
        images = {str(i): picture(i) for i in flipped}
        save_file(images, folder / s.FLIPPED)
    return folder


def picture(number):
    """A grey disc with a lighter one inside, somewhere."""
    y, x = np.mgrid[-1:1:96j, -1:1:96j]
    angle = number * 0.7
    inner = np.hypot(x - 0.4 * np.cos(angle), y - 0.4 * np.sin(angle)) < 0.2
    grey = 110 * (np.hypot(x, y * 0.85) < 0.8) + 110 * inner
    return np.repeat(grey[..., None].astype(np.uint8), 3, 2)
