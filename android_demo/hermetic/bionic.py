"""The phone's own TFLite library on a desktop: four small libraries with the names of Android's, over glibc.

The library in the APK stays as it is. It wants `libc.so` with symbols of version LIBC, `libm.so`, `libdl.so` and
`liblog.so`; the C sources of what differs are in `android_demo/bionic`, and for every other symbol a jump to glibc's
function of that name is written here. A JVM loads them by `System.load` before the first use of TFLite.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from android_demo.hermetic.elf import Elf
from android_demo.hermetic.fetch import cache, fetch, unpacked
from android_demo.hermetic.settings import BIONIC
from android_demo.hermetic.tools import run
from edgekd.files import write_atomic

RUNTIME = "org.bytedeco:tensorflow-lite"
CLASSIFIERS = {"arm64-v8a": "android-arm64", "x86_64": "android-x86_64"}
LIBRARY = "libjnitensorflowlite.so"
SHIM = ("libc.so", "libm.so", "libdl.so", "liblog.so")  # in the order in which to load them
VERSION = "LIBC"
MAP = f"{VERSION} {{ global: nothing; }};\n{VERSION}_N {{ global: nothing_since_24; }} {VERSION};\n"
OWN = r"^(?:FOR_BIONIC\(|(?:OF|TO)_STREAM\(\w+, )(\w+)"
JUMPS = {
    "x86_64": "jmp *{name}@GOTPCREL(%rip)",
    "arm64-v8a": "adrp x16, :got:{name}\n ldr x16, [x16, :got_lo12:{name}]\n br x16",
}
JUMP = ".globl to_{name}\n.type to_{name}, %function\nto_{name}:\n {jump}\n.symver to_{name}, {name}@{version}\n"


def library(abi: str) -> Path:
    """TensorFlow Lite's library for phones of an ABI."""
    jar = fetch("app")[f"{RUNTIME}:{CLASSIFIERS[abi]}"]
    return unpacked(jar, {f"lib/{abi}/{LIBRARY}": f"{jar.stem}/{LIBRARY}"}, cache() / "tools")[0]


def jumps(abi: str, wanted: Sequence[str]) -> str:
    """Assembler text: for each symbol that `bionic/libc.c` does not have, a jump to glibc's of the same name."""
    own = set(re.findall(OWN, (BIONIC / "libc.c").read_text(encoding="utf-8"), re.MULTILINE))
    lines = [
        JUMP.format(name=name, jump=JUMPS[abi].format(name=name), version=VERSION) for name in wanted if name not in own
    ]
    return "".join(lines) + '.section .note.GNU-stack,"",%progbits\n'


def build_shim(abi: str, compiler: Sequence[str], out: Path) -> Path:
    """Compile the four libraries into a folder; a function that glibc does not have is an error of the linker."""
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "jumps.s", jumps(abi, Elf(library(abi)).wanted(VERSION)))
    write_atomic(out / "libc.map", MAP)
    write_atomic(out / "nothing.c", "int nothing, nothing_since_24;\n")
    common = [*compiler, "-shared", "-fPIC", "-O2", "-Wall"]
    versions = f"-Wl,--version-script={out / 'libc.map'}"
    sources = {
        "libc.so": [
            BIONIC / "libc.c",
            out / "jumps.s",
            out / "nothing.c",
            "-Wl,-z,defs",
            "-Wl,-z,now",
            versions,
            "-lm",
        ],
        "libm.so": [out / "nothing.c", versions],
        "libdl.so": [out / "nothing.c", versions],
        "liblog.so": [BIONIC / "liblog.c"],
    }
    for name in SHIM:
        part = out / f".{name}.{os.getpid()}.tmp"  # a process may have the old one mapped
        run([*common, f"-Wl,-soname,{name}", "-o", part, *sources[name]], f"{name} of the {abi} shim")
        part.replace(out / name)
    return out
