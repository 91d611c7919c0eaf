"""Runtimes, one file each: `load(bundle, ...)` gives a session whose `probs` takes pixels and gives probabilities."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Session(Protocol):
    """A loaded network or artefact."""

    def probs(self, pixels: np.ndarray) -> np.ndarray:
        """Calibrated probabilities [B, K] float32 of pixels [B, S, S, 3] uint8 RGB."""
