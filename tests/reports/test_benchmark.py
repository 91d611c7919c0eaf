"""The benchmark on the screen: within 80 columns, emulated devices without time, hostile names as text."""

import subprocess
import sys

import pytest
from rich.console import Console

from edgekd.devices.document import Window
from edgekd.reports.benchmark import heat, show, warnings


@pytest.fixture
def shown(hand_made):
    def render(report, width=80):
        console = Console(width=width, record=True)
        show(report, console)
        return console.export_text()

    return render


def test_one_row_per_artefact_device_and_threads(shown, hand_made):
    text = shown(hand_made.usual())
    lines = text.splitlines()
    assert sum(line.strip().startswith(("tflite", "onnx")) for line in lines) == 10
    assert "local · hardware · AMD EPYC 9B14 · 200 images" in text
    assert "a76 · emulated · cortex-a76 in qemu-aarch64 10.0.2 · 24 images" in text
    assert all(name in text for name in ("median ms", "p90 ms", "RAM", "Δ pp", "flips", "LiteRT 2.1.0 (XNNPACK)"))
    tables = text[: text.index("pixel failed")]
    assert max(len(line) for line in tables.splitlines()) <= 80


def test_an_emulated_device_has_no_column_for_time_or_memory(shown, hand_made):
    text = shown(hand_made.report([hand_made.row("a76", "tflite", hand_made.emulated(7))], {"a76": hand_made.a76()}))
    assert "dot products" in text
    assert " ms" not in text
    assert "RAM" not in text


def test_failures_warnings_and_the_verdict_are_said(shown, hand_made):
    text = shown(hand_made.usual())
    assert "pixel failed: device '8A2X' is gone <b>" in text
    assert "failed openvino on local, 1 thread, stage runtime: no module named 'openvino'" in text
    assert "warning (all of local): the clock is governed by 'powersave'" in text
    assert "warning (onnx on local, 1 thread; onnx on local, 2 threads): hot: 84 °C" in text
    assert text.splitlines()[-1].startswith("ship onnx-int8")


def test_a_cameras_rate_is_told_beside_runs_without_a_pause(shown, hand_made):
    text = shown(hand_made.usual())
    lines = [line for line in text.splitlines() if "frames a second" in line]
    assert len(lines) == 2
    assert lines[1].startswith("camera: tflite-int8 on local, 1 thread, at 30 frames a second: ")
    assert lines[1].endswith("10 of 100 frames dropped; 47.0 °C")
    assert "(back to back 9." in lines[1]


def test_a_long_run_tells_its_heat(shown, hand_made):
    [line] = [line for line in shown(hand_made.usual()).splitlines() if line.startswith("long run: ")]
    assert line.endswith(
        "tflite-int8 on local, 1 thread, in 120 s without a pause: 76 % of its first speed; 55.0 to 66.0 °C"
    )
    window = Window(start_s=0.0, runs=1, images_per_s=1.0, median_ms=1.0)
    phone = window.model_copy(update={"battery_temperature_c": 31.5, "thermal_headroom": 0.45})
    hot = window.model_copy(update={"battery_temperature_c": 36.04, "thermal_headroom": 0.8})
    assert heat(phone, hot) == "battery 31.5 to 36.0 °C, thermal headroom 0.45 to 0.80"
    assert heat(phone) == "battery 31.5 °C, thermal headroom 0.45"
    assert heat(window, window) == ""


def test_nothing_measured(shown, hand_made):
    assert shown(hand_made.report([], {})) == "nothing was measured: no artefact met a device\n"


def test_hostile_names_are_only_text(shown, hand_made):
    name = "[bold]x[/nope]"
    row = hand_made.row(name, "tflite", hand_made.hardware(), warnings=("[red]w[/nope]",))
    text = shown(hand_made.report([row], {name: hand_made.devices()["local"]}))
    assert "[bold]x[/nope] · hardware" in text
    assert "[red]w[/nope]" in text


def test_a_warning_stands_once(hand_made):
    assert len(warnings(hand_made.usual())) == 2


def test_warnings_that_differ_in_numbers_alone_are_one(hand_made):
    h = hand_made
    load = [f"other work: load {n}, 50% of 2 cores" for n in (4.25, 12.0, 9.5)]
    rows = [h.row("local", f, h.hardware(), warnings=(w,)) for f, w in zip(h.SIZES, load, strict=False)]
    assert warnings(h.report(rows)) == {"other work: load 4.25–12.0, 50% of 2 cores": "all of local"}


def test_needs_no_heavy_package():
    code = (
        "import sys, edgekd.reports.benchmark, edgekd.reports.benchmark_comparison, edgekd.reports.benchmark_page;"
        "found = {'torch', 'tensorflow', 'sklearn', 'scipy', 'matplotlib', 'jinja2'} & set(sys.modules);"
        "sys.exit(', '.join(found) or 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
