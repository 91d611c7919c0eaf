"""Which integer instructions the processor has: without VNNI, some int8 kernels add pairs of products in 16 bits.

A product of an unsigned and a signed byte needs 16 bits, the sum of two of them 17: `vpmaddubsw` (SSSE3 to AVX-512BW)
saturates silently, and the network answers wrongly. VNNI adds in 32 bits, as ARM's instructions do.
"""

from __future__ import annotations

import platform
from pathlib import Path

X86 = ("x86_64", "amd64", "i386", "i686", "x86")
VNNI = ("avx512_vnni", "avx_vnni")
SHOWN = ("avx2", "avx512f", *VNNI, "amx_int8", "asimddp", "i8mm")  # flags that decide how fast int8 is


def flags(text: str | None = None) -> frozenset[str]:
    """The feature flags of the first processor in `text`, by default /proc/cpuinfo; none where there is no such file."""
    if text is None:
        try:
            text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return frozenset()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):  # x86, ARM
            return frozenset(value.split())
    return frozenset()


def saturates(text: str | None = None, machine: str | None = None) -> bool:
    """Whether int8 kernels may saturate here: x86 without VNNI, or x86 that does not say what it has.

    `text` stands for /proc/cpuinfo, `machine` for the architecture's name.
    """
    machine = platform.machine() if machine is None else machine
    return machine.lower() in X86 and flags(text).isdisjoint(VNNI)


def features(text: str | None = None) -> list[str]:
    """The flags that decide about int8, for reports."""
    present = flags(text)
    return [flag for flag in SHOWN if flag in present]
