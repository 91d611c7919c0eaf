"""Which processors add int8 products in 16 bits."""

from __future__ import annotations

import pytest

from edgekd.runtimes import cpu

ZEN3 = "processor\t: 0\nflags\t\t: fpu sse4_2 avx2 fma\n\nprocessor\t: 1\nflags\t\t: fpu sse4_2 avx2 fma\n"
ZEN4 = "flags\t\t: fpu avx2 avx512f avx512_vnni amx_int8\n"
ALDER_LAKE = "flags\t\t: fpu avx2 avx_vnni\n"
CORTEX_A76 = "Features\t: fp asimd aes asimddp\n"


@pytest.mark.parametrize(
    ("text", "machine", "expected"),
    [
        (ZEN3, "x86_64", True),
        (ZEN3, "AMD64", True),
        (ZEN4, "x86_64", False),
        (ALDER_LAKE, "x86_64", False),
        ("", "x86_64", True),  # one that does not say what it has
        (CORTEX_A76, "aarch64", False),
        ("", "arm64", False),
    ],
)
def test_only_x86_without_vnni_saturates(text, machine, expected):
    assert cpu.saturates(text, machine) is expected


def test_features_are_those_that_decide_about_int8():
    assert cpu.features(ZEN4) == ["avx2", "avx512f", "avx512_vnni", "amx_int8"]
    assert cpu.features(CORTEX_A76) == ["asimddp"]
    assert cpu.features("nothing : known") == []


def test_this_processor_is_asked_by_default():
    assert isinstance(cpu.saturates(), bool)
    assert cpu.flags() == cpu.flags()
