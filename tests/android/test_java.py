"""The Java tests: the core on a plain JVM, the activities under Robolectric with the real model and library."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run(part, out):
    """Run the Java tests of a part; how many passed, failed and were skipped."""
    command = [sys.executable, "-m", "android_demo.hermetic", part, "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", done.stdout, re.MULTILINE)
    others = "\n".join(line for line in done.stdout.splitlines() if not line.startswith("passed "))
    assert last, (others + done.stderr)[-4000:]
    assert done.returncode == 0, others[:8000]
    return tuple(map(int, last[-1]))


def test_core(java_tests, tmp_path):
    java_tests("junit")
    passed, failed, skipped = run("test-core", tmp_path / "out")
    assert passed > 10
    assert (failed, skipped) == (0, 0)


def test_activities(java_tests, desktop, tmp_path):
    java_tests("junit", "robolectric", "tools", "app")
    passed, failed, skipped = run("test-app", tmp_path / "out")
    assert passed > 10
    assert (failed, skipped) == (0, 0)
