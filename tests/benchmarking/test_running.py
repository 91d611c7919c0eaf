"""Artefacts x devices x threads: interleaved, resumed after a kill, and no device costs the rows of another."""

import importlib.util
import json
import threading
import time

import numpy as np
import pytest

from edgekd.benchmarking import running, subject
from edgekd.benchmarking.report import PARTS, Wish, benchmark
from edgekd.benchmarking.schema import ANSWERS, FLIPPED, EmulatedMeasurement, TimedRow, TimesReport, read_report
from edgekd.devices import RUNNER, DeviceError, DeviceLost, DeviceOptions
from edgekd.devices.document import (
    Conditions,
    DeviceDocument,
    Emulation,
    GoldenCheck,
    RuntimeFacts,
    System,
    Times,
    Timing,
)
from edgekd.errors import EdgekdError

STATE = Conditions(load_1min=0.1, frequency_mhz=2400.0)
SPEED_MS = {"tflite": 3.0, "tflite-int8": 2.0, "onnx": 4.0}
_spec = importlib.util.spec_from_file_location("edgekd_runner", RUNNER)
runner = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(runner)
QUICK = Timing(warmup_runs=1, min_runs=4, min_seconds=1.0)


class Fake:
    """A device that answers at once; `act` may raise, sleep or change the document."""

    program = "of the fake"
    software = {"numpy": "2.4.6", "ai-edge-litert": "2.3.0", "onnxruntime": "1.31.1"}

    def __init__(self, act=None, provenance="hardware", cores=2, **options):
        self.options = DeviceOptions(kind="fake", **options)
        self.provenance, self.cores, self.act, self.ran = provenance, cores, act, []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def refuses(self, format, threads):
        return ""

    def run(self, parcel):
        job = parcel.job
        assert all(path.is_file() for path in parcel.files.values())
        assert set(parcel.files) == set(job.files)
        self.ran.append((job.format, job.threads, job.round))
        document = self.document(job)
        return (self.act(self, document) if self.act else None) or document.text()

    def document(self, job):
        rng = np.random.default_rng(1)
        probs = rng.dirichlet((1.0,) * len(job.label_names), len(job.test.indices)) if job.test else None
        is_hardware = self.provenance == "hardware"
        samples = tuple(SPEED_MS[job.format] + 0.1 * i for i in range(5))
        times = Times(
            **dict.fromkeys(("import_ms", "load_ms", "first_ms", "bare_rss_mib", "peak_rss_mib"), 5.0),
            warmup_runs=1,
            inference_ms=samples,
            decode_ms=(1.0,),
            preprocess_ms=(1.0,),
            before=STATE,
            after=STATE,
        )
        return DeviceDocument(
            key=job.key,
            round=job.round,
            provenance=self.provenance,
            system=System(machine="aarch64", system="Linux", cpu="Cortex-A76"),
            runtime=RuntimeFacts(
                name="LiteRT", version="2", delegate="XNNPACK", threads_asked=job.threads, threads_ran=1
            ),
            golden=GoldenCheck(images=4, largest_change=0.0, tolerance=0.1),
            probs=None if probs is None else tuple(map(tuple, probs.tolist())),
            times=times if is_hardware else None,
            emulation=None if is_hardware else Emulation(emulator="qemu", cpu_model="cortex-a76"),
        )


def measure(tiny, out, devices, **wish):
    wish = {"timing": QUICK, "threads": (1,), "rounds": 2} | wish
    return benchmark(tiny, devices, Wish(**wish), out, lambda text: None)


def names(report, device=None):
    return [(row.format, row.threads) for row in report.rows if device in (None, row.device)]


def test_every_artefact_on_every_device_with_every_number_of_threads(tiny, tmp_path):
    devices = {"a": Fake(), "b": Fake(cores=1, formats=("onnx",)), "e": Fake(provenance="emulated", images=4)}
    report = measure(tiny, tmp_path, devices, threads=(1, 2, 4))
    assert names(report, "a") == [(f, t) for f in ("tflite", "tflite-int8", "onnx") for t in (1, 2)]
    assert names(report, "b") == [("onnx", 1)]
    first = devices["a"].ran
    assert [r for _, _, r in first] == [0] * 6 + [1] * 6  # in turn, round by round
    emulated = [row for row in report.rows if row.device == "e"]
    assert all(isinstance(row.measurement, EmulatedMeasurement) for row in emulated)
    assert all(r == 0 for _, _, r in devices["e"].ran)
    assert len(emulated[0].numerics.indices) == 4
    assert read_report(tmp_path) == report
    assert not (tmp_path / ".work").exists()


def test_numbers_are_those_of_the_device(tiny, tmp_path):
    from safetensors.numpy import load_file

    report = measure(tiny, tmp_path, {"a": Fake()})
    row = report.rows[0]
    latency = row.measurement.latency
    assert latency.count == 10
    assert latency.samples_ms == ((3.0, 3.1, 3.2, 3.3, 3.4),) * 2
    assert latency.median_ms == pytest.approx(3.2)
    assert row.measurement.limit.core == "Cortex-A76"
    assert row.ran.threads_ran == 1
    answers = load_file(tmp_path / ANSWERS)
    assert answers[row.key].shape == (18, 3)
    drift = row.numerics.drift
    changed = answers[row.key].argmax(1) != answers["reference"].argmax(1)
    assert [f.index for f in drift.flips] == np.flatnonzero(changed).tolist()
    assert drift.flips[0].name == report.data.image_names[drift.flips[0].index]
    assert set(load_file(tmp_path / FLIPPED)) == {str(i) for i in np.flatnonzero(changed)}
    assert report.reference.source == "bundle"


def test_what_a_phone_tells_of_its_memory_is_in_the_row(tiny, tmp_path):
    def phone(device, document):
        pss = {"pss_before_mib": 20.0, "pss_after_mib": 30.0 + document.round}
        return document.model_copy(update={"times": document.times.model_copy(update=pss)}).text()

    report = measure(tiny, tmp_path, {"phone": Fake(phone), "here": Fake()})
    memory = {row.device: row.measurement.memory for row in report.rows}
    assert (memory["phone"].pss_before_mib, memory["phone"].pss_after_mib) == (20.0, 30.5)  # the median of two rounds
    assert (memory["here"].pss_before_mib, memory["here"].pss_after_mib) == (None, None)


def fails(device, document):
    raise DeviceError("device", "an answer", "smoke")


def test_a_device_that_fails_costs_its_rows_only(tiny, tmp_path):
    def lost(device, document):
        if len(device.ran) > 1:
            raise DeviceLost("phone", "a phone", "unplugged")

    def faulty(device, document):
        raise TypeError("a fault of the module")

    def malformed(device, document):
        return b'{"schema": "edgekd.device/1", "key": '

    devices = {"good": Fake(), "bad": Fake(fails), "lost": Fake(lost), "faulty": Fake(faulty), "odd": Fake(malformed)}
    report = measure(tiny, tmp_path, devices)
    assert len(names(report, "good")) == 3
    assert names(report, "lost") == [("tflite", 1)]
    assert "only 1 round" in " ".join(next(r for r in report.rows if r.device == "lost").warnings)
    assert not names(report, "bad")
    count = {name: sum(f.device == name for f in report.failed) for name in devices}
    assert count == {"good": 0, "bad": 3, "lost": 3, "faulty": 3, "odd": 3}
    assert "unplugged" in report.devices["lost"].failure
    assert "TypeError" in report.devices["faulty"].failure
    assert devices["lost"].ran == [("tflite", 1, 0), ("tflite-int8", 1, 0)]


def test_a_golden_mismatch_is_a_failed_row_with_its_stage(tiny, tmp_path):
    def differs(device, document):
        if len(device.ran) == 2:
            failure = {"stage": "preprocess", "reason": "golden/1.png: 3 % of the input tensor differs"}
            kept = json.loads(document.text()) | {"failure": failure, "times": None, "probs": None}
            return json.dumps(kept)

    report = measure(tiny, tmp_path, {"a": Fake(differs)})
    [failed] = report.failed
    assert (failed.format, failed.stage) == ("tflite-int8", "preprocess")
    assert len(report.rows) == 2


def test_no_row_at_all_is_an_error_with_the_reasons(tiny, tmp_path):
    with pytest.raises(EdgekdError, match="smoke"):
        measure(tiny, tmp_path, {"a": Fake(fails)})


def test_a_killed_benchmark_goes_on_where_it_was(tiny, tmp_path):
    def killed(device, document):
        if len(device.ran) == 4:
            raise KeyboardInterrupt

    device = Fake(killed)
    with pytest.raises(KeyboardInterrupt):
        measure(tiny, tmp_path, {"a": device})
    assert len(list((tmp_path / PARTS).iterdir())) == 3
    again = Fake()
    report = measure(tiny, tmp_path, {"a": again})
    assert device.ran[:3] + again.ran == [
        (format, 1, round) for round in (0, 1) for format in ("tflite", "tflite-int8", "onnx")
    ]
    whole = measure(tiny, tmp_path / "whole", {"a": Fake()})
    assert report.rows == whole.rows
    idle = Fake()
    assert measure(tiny, tmp_path, {"a": idle}).rows == whole.rows
    assert idle.ran == []


def test_a_kill_of_devices_side_by_side_keeps_what_each_gave(tiny, tmp_path):
    def killed(device, document):
        if len(device.ran) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measure(tiny, tmp_path, {"a": Fake(killed), "b": Fake()})
    assert len(list((tmp_path / PARTS).iterdir())) >= 1
    assert len(measure(tiny, tmp_path, {"a": Fake(), "b": Fake()}).rows) == 6


def test_only_what_still_holds_is_taken_up(tiny, tmp_path, monkeypatch):
    measure(tiny, tmp_path, {"a": Fake()}, rounds=1)
    damaged = next((tmp_path / PARTS).iterdir())
    damaged.write_bytes(damaged.read_bytes()[:-20])
    device = Fake()
    measure(tiny, tmp_path, {"a": device}, rounds=1)
    assert len(device.ran) == 1  # the damaged one
    device = Fake()
    measure(tiny, tmp_path, {"a": device}, rounds=1, timing=QUICK.model_copy(update={"min_runs": 5}))
    assert len(device.ran) == 3
    device = Fake()
    measure(tiny, tmp_path, {"a": device}, rounds=1, images=9)
    assert len(device.ran) == 3
    device = Fake()
    device.program = "a newer one"
    measure(tiny, tmp_path, {"a": device}, rounds=1)
    assert len(device.ran) == 3
    monkeypatch.setitem(subject.TOLERANCE, "static_wi8_ai8", 0.2)
    device = Fake()
    measure(tiny, tmp_path, {"a": device}, rounds=1)
    assert device.ran == [("tflite-int8", 1, 0)]


def upgraded(package, version):
    device = Fake()
    device.software = device.software | {package: version}
    return device


def test_an_upgraded_runtime_is_measured_anew_and_the_others_are_not(tiny, tmp_path):
    measure(tiny, tmp_path, {"a": Fake()}, rounds=1)
    for package, formats in (
        ("onnxruntime", ["onnx"]),
        ("ai-edge-litert", ["tflite", "tflite-int8"]),
        ("openvino", []),
        ("numpy", ["tflite", "tflite-int8", "onnx"]),
    ):
        device = upgraded(package, "99.0")
        measure(tiny, tmp_path, {"a": device}, rounds=1)
        assert [format for format, _, _ in device.ran] == formats, package
    idle = Fake()
    measure(tiny, tmp_path, {"a": idle}, rounds=1)
    assert idle.ran == []  # the earlier versions are there again, and so are their documents


def with_software(document, **versions):
    system = document.system.model_copy(update={"software": versions})
    return document.model_copy(update={"system": system}).text()


def test_a_document_of_other_versions_than_asked_for_is_refused_by_name(tiny, tmp_path):
    def installed_meanwhile(device, document):
        if len(device.ran) == 2:
            return with_software(document, numpy="2.5.0")
        return with_software(document, numpy="2.4.6")

    report = measure(tiny, tmp_path, {"a": Fake(installed_meanwhile)}, rounds=1)
    [failed] = report.failed
    assert (failed.format, failed.stage) == ("tflite-int8", "device")
    assert "numpy 2.5.0, expected 2.4.6" in failed.reason
    assert len(list((tmp_path / PARTS).iterdir())) == 2  # it is not kept
    again = Fake()
    measure(tiny, tmp_path, {"a": again}, rounds=1)
    assert [format for format, _, _ in again.ran] == ["tflite-int8"]


def test_a_row_is_of_one_runtime_where_it_tells_its_version_only_then(tiny, tmp_path):
    def updated_meanwhile(device, document):
        version = "2.17" if document.round and device.ran[-1][0] == "tflite" else "2.16.1"
        runtime = document.runtime.model_copy(update={"name": "TensorFlow Lite", "version": version})
        return document.model_copy(update={"runtime": runtime}).text()

    report = measure(tiny, tmp_path, {"a": Fake(updated_meanwhile)})
    [failed] = report.failed
    assert failed.format == "tflite"
    assert "TensorFlow Lite 2.17, expected 2.16.1" in failed.reason


def test_what_failed_is_tried_again(tiny, tmp_path):
    measure(tiny, tmp_path, {"a": Fake(), "b": Fake(fails)})
    device = Fake()
    report = measure(tiny, tmp_path, {"a": Fake(), "b": device})
    assert len(device.ran) == 6
    assert not report.failed


def test_devices_at_one_place_take_turns_and_others_run_side_by_side(tiny, tmp_path):
    now, together, lock = set(), set(), threading.Lock()

    def watch(name):
        def act(device, document):
            with lock:
                now.add(name)
                together.add(frozenset(now))
            time.sleep(0.05)
            with lock:
                now.discard(name)

        return act

    devices = {
        "pi-litert": Fake(watch("pi-litert"), place="pi"),
        "pi-onnx": Fake(watch("pi-onnx"), place="pi"),
        "phone": Fake(watch("phone")),
    }
    measure(tiny, tmp_path, devices, rounds=1)
    assert frozenset({"pi-litert", "phone"}) in together
    assert not any({"pi-litert", "pi-onnx"} <= found for found in together)
    assert running.place("q", Fake(provenance="emulated")) == "here"


def test_a_slow_artefact_is_ranked_as_such(tiny, tmp_path, monkeypatch):
    """With the real runner and runtimes: one of them has to wait 4 ms for each image."""

    class Slow(runner.Onnx):
        def infer(self, pixels):
            time.sleep(0.004)
            return super().infer(pixels)

    monkeypatch.setitem(runner.RUNTIMES, "onnx", Slow)

    class InProcess(Fake):
        def run(self, parcel):
            folder = tmp_path / f"{parcel.job.key}.{parcel.job.round}"
            parcel.unpack(folder)
            return json.dumps(runner.answer(folder))

    report = measure(tiny, tmp_path, {"a": InProcess()}, rounds=1, timing=QUICK.model_copy(update={"min_runs": 20}))
    ranked = sorted(report.rows, key=lambda row: row.measurement.latency.median_ms)
    assert ranked[-1].format == "onnx"
    assert ranked[-1].measurement.latency.median_ms > 4.0
    assert not report.failed


def test_images_are_chosen_evenly():
    assert subject.evenly(10, None) == list(range(10))
    assert subject.evenly(10, 20) == list(range(10))
    assert subject.evenly(9, 3) == [1, 4, 7]
    assert subject.evenly(1311, 8) == [81, 245, 409, 573, 737, 901, 1065, 1229]


def test_other_images_are_compared_with_a_float_artefact(tiny, tmp_path):
    """The bundle knows no float answers for them, so the first float32 row stands in."""
    data = tiny.folder.parent / "images" / "train"
    report = measure(tiny, tmp_path, {"a": Fake()}, data=str(data))
    assert report.reference.source == "row"
    assert report.reference.words == "tflite on a"
    assert report.rows[0].numerics.drift.flips == ()
    assert report.data.split == "all"


def test_without_images_a_device_replays_golden_vectors_alone(tiny, tmp_path):
    """An emulator then has nothing but that; and no row has a field for accuracy."""
    data = tiny.manifest.recipe["data"] | {"path": str(tmp_path / "not here")}
    recipe = tiny.manifest.recipe | {"data": data}
    bare = type(tiny)(tiny.folder, tiny.manifest.model_copy(update={"recipe": recipe}))
    devices = {"a": Fake(), "e": Fake(provenance="emulated"), "lost": Fake(fails)}
    report = measure(bare, tmp_path, devices)
    assert isinstance(report, TimesReport)
    assert TimesReport.model_validate_json((tmp_path / "times.json").read_text()) == report
    assert [(row.device, row.measurement.provenance) for row in report.rows] == [("a", "hardware")] * 3 + [
        ("e", "emulated")
    ] * 3
    assert len(report.failed) == 3
    assert not {"numerics", "accuracy"} & set(TimedRow.model_fields)
    assert len(measure(tiny, tmp_path, {"a": Fake()}).rows) == 3  # with images all is measured, in the same folder


def test_artefacts_have_to_be_there(tiny, tmp_path):
    with pytest.raises(EdgekdError, match="tflite-int8"):
        subject.artefacts(tiny, ["tflite-in8"], tmp_path, print)
    bare = type(tiny)(tiny.folder, tiny.manifest.model_copy(update={"artefacts": {}}))
    with pytest.raises(EdgekdError, match=r"edgekd\.export"):
        subject.artefacts(bare, (), tmp_path, print)
