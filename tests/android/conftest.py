"""What the tests of the demo app need of a machine; a part whose tool is not there is skipped here, with the reason.

No test downloads anything: `make test-android` (`python -m android_demo.hermetic fetch`) does that before.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))  # the build of the demo is no installed package

from android_demo.hermetic import apk, emulated, fetch, jvm  # noqa: E402
from edgekd.bundle import Bundle  # noqa: E402
from edgekd.data.phantom import phantom  # noqa: E402
from edgekd.devices import arm_root  # noqa: E402
from edgekd.errors import EdgekdError  # noqa: E402

_spec = importlib.util.spec_from_file_location("devices_conftest", ROOT / "tests/devices/conftest.py")
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
small, pixels, float_graph, int8_graph, facts = (
    getattr(_module, name) for name in ("small", "pixels", "float_graph", "int8_graph", "facts")
)  # jobs of a small network

FETCH = "python -m android_demo.hermetic fetch"


def need_downloads(*groups):
    """Skip a test whose downloads are not in the cache."""
    for program in ("java", "javac"):
        if shutil.which(program) is None:
            pytest.skip(f"no JDK: {program} is not installed")
    if any(not (fetch.cache() / "maven" / pin.path).is_file() for pin in fetch.pins(*groups)):
        pytest.skip(f"downloads are not there: {FETCH}")


def need_signer():
    """Skip a test whose apksigner is not in the cache."""
    if not any((fetch.cache() / "debian").glob("usr/share/java/apksigner*.jar")):
        pytest.skip(f"apksigner is not there (it comes from Debian): {FETCH}")


@pytest.fixture(scope="session")
def apks(tmp_path_factory):
    """The signed APKs, built in a folder of their own: for all ABIs, then for each."""
    need_downloads("app", "tools", "guard")
    need_signer()
    with contextlib.redirect_stderr(io.StringIO()):
        return apk.build(tmp_path_factory.mktemp("apks"))


@pytest.fixture(scope="session")
def java_tests():
    """The function that skips a test without its downloads, for tests that run Java's."""
    return need_downloads


@pytest.fixture(scope="session")
def desktop():
    """Skips where the library of an x86-64 phone cannot run."""
    if jvm.missing():
        pytest.skip(f"no phone's library on this machine: {jvm.missing()}")
    need_downloads("app")
    return jvm


@pytest.fixture(scope="session")
def arm_library(tmp_path_factory):
    """The folder with the arm64 library, its shim and the driver."""
    need_downloads("app")
    try:
        arm_root.find()
    except EdgekdError as e:
        pytest.skip(f"no ARM root: {' '.join(str(e).split())}")
    if not any((fetch.cache() / "wheels").glob("*.whl")):
        pytest.skip(f"the compiler for arm64 is not there: {FETCH}")
    return emulated.build(tmp_path_factory.mktemp("arm64"))


@pytest.fixture(scope="session")
def bundle():
    """The reference model, which is the one in the app."""
    return Bundle.open(ROOT / "models/mri4p-mobilenetv2")


@pytest.fixture(scope="session")
def mapped():
    """The app's model, which has a heat map."""
    return ROOT / "android_demo/app/src/main/assets/model.tflite"


@pytest.fixture(scope="session")
def golden(bundle):
    """Pixels of the golden vectors [G, S, S, 3]."""
    return load_file(bundle.file("golden/vectors.safetensors"))["pixels"]


@pytest.fixture(scope="session")
def images(bundle):
    """100 images [100, S, S, 3]: slices of the phantom, and noise that reaches every code."""
    size = bundle.manifest.input.size
    grey = np.stack([phantom(3, i, size).image for i in range(90)])
    noise = np.random.default_rng(5).integers(0, 256, (10, size, size, 3), np.uint8)
    return np.concatenate([np.repeat(grey[..., None], 3, axis=-1), noise])
