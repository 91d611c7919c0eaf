"""What optional packages cost those who do not have them: one clear error, and nothing before."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edgekd.data import sources
from edgekd.errors import EdgekdError
from edgekd.recipe import DataRecipe


@pytest.mark.parametrize(("source", "package"), [("figshare", "h5py"), ("dicom", "pydicom"), ("nifti", "nibabel")])
def test_a_missing_package_names_the_command_that_installs_it(tmp_path, monkeypatch, source, package):
    monkeypatch.setitem(sys.modules, package, None)  # import then raises ImportError
    with pytest.raises(EdgekdError, match=r'pip install "edgekd\[medical\]"') as raised:
        sources.read(DataRecipe(source=source, path=str(tmp_path)))
    assert package in str(raised.value)


def test_sources_and_preprocessing_load_nothing_heavy():
    program = """
import sys
from edgekd import preprocess
from edgekd.data import pixels, sources, splitting
for name in sources.names():
    if name != "phantom":
        __import__(f"edgekd.data.sources.{name}")
heavy = {"torch", "tensorflow", "h5py", "pydicom", "nibabel", "sklearn", "scipy", "matplotlib"} & set(sys.modules)
sys.exit(f"imported {heavy}" if heavy else 0)
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
