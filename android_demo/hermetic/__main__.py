"""`python -m android_demo.hermetic COMMAND`, from the project's root."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from android_demo.hermetic import apk, binding, emulated, fetch, junit, jvm, sign, zig
from android_demo.hermetic.settings import BUILD
from edgekd.errors import EdgekdError


def fetch_all() -> None:
    """Bring whatever any command needs into the cache."""
    fetch.fetch("app", "tools", "guard", "junit", "robolectric")
    sign.signer()
    if not jvm.missing():
        zig.fetch_compiler()
    print(fetch.cache())


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m android_demo.hermetic", description="The demo app without Gradle.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name, what in (("test-core", "JUnit tests of the core"), ("test-app", "tests of the app under Robolectric")):
        tests = commands.add_parser(name, help=what)
        tests.add_argument("classes", nargs="*", help="simple names; default: all")
        tests.add_argument("--out", type=Path, default=BUILD / name, help="folder for what is compiled; it is emptied")
    packing = commands.add_parser("apk", help="the APKs, in android_demo/build, signed with the public debug key")
    packing.add_argument("--release", action="store_true", help="unsigned, or with --key: to give away")
    packing.add_argument("--key", type=Path, help=f"of your own, PKCS #12; its password: {sign.PASSWORD}")
    commands.add_parser("emulated", help="the arm64 library for the benchmark's devices of kind android-arm64")
    commands.add_parser("binding", help="compile the app's own native library anew, into app/src/main/jniLibs")
    commands.add_parser("fetch", help="all downloads, so that nothing needs a network afterwards")
    given = parser.parse_args(arguments)
    try:
        if given.command == "test-core":
            return junit.run_core(given.classes, given.out.absolute())
        if given.command == "test-app":
            return junit.run_app(given.classes, given.out.absolute())
        if given.command == "apk":
            if given.key and not given.release:
                commands.choices["apk"].error("--key belongs to --release")
            print(apk.report(apk.build(release=apk.Release(given.key) if given.release else None)))
        elif given.command == "binding":
            print(*binding.build(), sep="\n")
        elif given.command == "emulated":
            print(emulated.build())
        else:
            fetch_all()
        return 0
    except EdgekdError as e:
        print(e, file=sys.stderr)
        return e.exit_code


if __name__ == "__main__":
    sys.exit(main())
