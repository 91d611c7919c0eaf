"""The app's own native library: what lies in git is what its source compiles to, and has what Java calls."""

import re

import pytest

from android_demo.hermetic import binding, zig
from android_demo.hermetic.fetch import cache
from android_demo.hermetic.settings import Settings

SOURCE = binding.SOURCE.read_text(encoding="utf-8")


def test_compiled_again_it_is_the_same_to_the_byte(java_tests, tmp_path):
    java_tests("app")
    if not any((cache() / "wheels").glob("*.whl")):
        pytest.skip("the compiler is not there: python -m android_demo.hermetic fetch")
    found = binding.build(tmp_path)
    assert [path.read_bytes() for path in found] == [binding.library(abi).read_bytes() for abi in Settings.read().abis]
    assert set(zig.TARGETS) == set(Settings.read().abis)


def test_java_and_c_name_the_same_functions():
    """Their types are compared by the compiler, above."""
    called = re.findall(r"static native \w+ (\w+)\(", binding.JAVA.read_text(encoding="utf-8"))
    assert len(called) > 20
    assert sorted(called) == sorted(re.findall(r"^JAVA\(\w+, (\w+)\)", SOURCE, re.MULTILINE))


@pytest.mark.parametrize("abi", Settings.read().abis)
def test_each_function_is_exported(abi):
    exported = set(re.findall(rb"Java_org_edgekd_demo_Tflite_(\w+)", binding.library(abi).read_bytes()))
    assert exported == {name.encode() for name in re.findall(r"^JAVA\(\w+, (\w+)\)", SOURCE, re.MULTILINE)}
