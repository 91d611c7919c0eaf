"""Versions of what answers: asked for as the packages themselves tell them, compared by name, and never believed."""

import json
import struct
import subprocess
import sys
from importlib import metadata

import pytest

from edgekd.devices import software
from edgekd.devices.document import DeviceDocument, GoldenCheck, RuntimeFacts, System


def ask(*options, **changes):
    command = [sys.executable, *options, "-c", software.SCRIPT]
    return software.read(subprocess.run(command, capture_output=True, check=True, **changes).stdout)


def test_a_python_tells_what_is_installed():
    found = ask("-I")
    installed = {p for p in software.MODULES if p in {d.metadata["Name"].lower() for d in metadata.distributions()}}
    expected = {package: metadata.version(package) for package in installed}
    assert found.software == {"python": sys.version.split()[0]} | expected
    assert {"numpy", "pillow", "onnxruntime"} <= set(found.software)
    assert (found.os, found.version) == (sys.platform, sys.version_info[:2])
    assert (found.bits, found.can_install) == (8 * struct.calcsize("P"), True)


def test_a_package_without_metadata_is_asked_itself(tmp_path):
    (tmp_path / "numpy.py").write_text("__version__ = '9.9.9'\n")
    (tmp_path / "onnxruntime.py").write_text("raise OSError('libgomp.so.1')\n")
    found = ask("-S", env={"PYTHONPATH": str(tmp_path)})
    assert found.software == {"python": sys.version.split()[0], "numpy": "9.9.9", "onnxruntime": ""}


def test_a_greeting_comes_before_the_answer():
    text = json.dumps(
        {"os": "linux", "cores": 4, "software": {"python": "3.9.2", "numpy": "1.26\x1b[2J", "other": "1"}}
    )
    found = software.read(f"Welcome!\n{text}\n".encode())
    assert found == software.Interpreter("linux", 4, {"python": "3.9.2", "numpy": "1.26�[2J"})
    assert found.version == (3, 9)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        "[" * 100_000,
        "\xff",
        '{"os": "linux", "cores": Infinity, "software": {"python": "3.11.2"}}',
        '{"os": "linux", "cores": 0, "software": {"python": "3.11.2"}}',
        '{"os": "linux", "cores": 4, "software": {"numpy": "2.0"}}',
        '{"os": "linux", "cores": 4, "software": {"python": "three"}}',
        '{"os": "linux", "cores": 4, "software": ["python"]}',
        '{"os": "linux", "cores": 4}',
    ],
)
def test_anything_else_is_no_answer(text):
    with pytest.raises(ValueError, match="no line of JSON"):
        software.read(text.encode("latin-1"))


def test_a_runtime_stands_on_its_own_packages_alone():
    found = {"python": "3.11.2", "onnxruntime": "1.31.1", "numpy": "2.4.6", "openvino": "2026.4.1", "app": "0.1.0"}
    assert software.of_runtime(found, "onnx") == {
        "app": "0.1.0",
        "numpy": "2.4.6",
        "onnxruntime": "1.31.1",
        "python": "3.11.2",
    }
    assert software.of_runtime(found, "tflite") == {"app": "0.1.0", "numpy": "2.4.6", "python": "3.11.2"}


def test_versions_that_differ_are_named():
    document = DeviceDocument(
        key="k",
        round=0,
        provenance="hardware",
        system=System(machine="", system="", software={"numpy": "2.4.6", "pillow": ""}),
        runtime=RuntimeFacts(name="LiteRT", version="2.3.0", delegate="XNNPACK", threads_asked=1, threads_ran=1),
        golden=GoldenCheck(images=1, largest_change=0.0, tolerance=0.1),
    )
    assert software.differing(document, {"numpy": "2.4.6", "pillow": "13.0", "app": "1", "LiteRT": ""}) == []
    assert software.differing(document, {"numpy": "2.5.0", "LiteRT": "2.2.0"}) == [
        "numpy 2.4.6, expected 2.5.0",
        "LiteRT 2.3.0, expected 2.2.0",
    ]


def test_devices_stand_without_the_benchmark():
    """Those who are measured do not know who measures."""
    program = """
import sys
from edgekd import devices
assert set(devices.modules()) == {"adb", "android-arm64", "local", "qemu", "ssh"}
sys.exit(any(name.startswith("edgekd.benchmark") for name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
