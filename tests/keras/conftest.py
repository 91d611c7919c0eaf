"""Small Keras models, and scripts run in a process with a backend of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
BACKENDS = {"tensorflow": "tensorflow", "torch": "torch"}  # Keras's name -> package
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


@pytest.fixture(scope="session")
def run_keras():
    """run(backend, script, *arguments): its output, from a process with this backend."""

    def start(backend: str, script: str, *arguments: object) -> str:
        if find_spec("keras") is None or find_spec(BACKENDS[backend]) is None:
            pytest.skip(f"keras on {backend} is not installed")
        settings = {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
        command = [sys.executable, str(HERE / script), *map(str, arguments)]
        done = subprocess.run(command, env=os.environ | settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout

    return start


@pytest.fixture
def classifier():
    """classifier(classes, ending, seed=0): a small model of 8 px images, with weights that do not depend on the backend."""
    keras = pytest.importorskip("keras")

    def make(outputs: int, ending: str, seed: int = 0, width: int = 4, penalty=None):
        model = keras.Sequential(
            [
                keras.Input((8, 8, 3)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.Conv2D(width, 3, strides=2, activation="relu"),
                keras.layers.BatchNormalization(),
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(outputs, activation=ending, kernel_regularizer=penalty),
            ]
        )
        rng = np.random.default_rng(seed)
        model.set_weights([drawn(rng, w.shape) for w in model.get_weights()])
        return model

    return make


def drawn(rng, shape):
    """Kernels around 0, and vectors (biases, statistics) of 0.5 to 1, as float32."""
    found = rng.normal(0, 1.5 / np.sqrt(np.prod(shape[:-1])), shape) if len(shape) > 1 else rng.uniform(0.5, 1, shape)
    return found.astype("float32")


@pytest.fixture
def pictures() -> tuple[np.ndarray, np.ndarray]:
    """Images [24, 8, 8, 3] uint8 whose label says which of three channels is bright."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 90, (24, 8, 8, 3)), np.arange(24) % 3
    x[np.arange(24), :, :, y] += 120
    return x.astype(np.uint8), y
