"""Fixtures that several tests share."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real data and weights, named by EDGEKD_SHARED or beside the project."""
    folder = Path(os.environ.get("EDGEKD_SHARED", Path(__file__).parents[2] / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real data at {folder} (set EDGEKD_SHARED)")
    return folder


@pytest.fixture(scope="session")
def hand_made() -> SimpleNamespace:
    """Functions that make benchmark reports by hand: tests/benchmarking/hand_made.py."""
    return SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("benchmarking") / "hand_made.py")))
