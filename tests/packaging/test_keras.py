"""The extra `keras` alone, outside the repository: the Distiller works, and what needs more names the extra."""

import pytest

PROGRAM = """
import keras, numpy as np
from edgekd.keras import Distiller

def model(width):
    layers = [keras.Input((8, 8, 3)), keras.layers.Conv2D(width, 3), keras.layers.GlobalAveragePooling2D()]
    return keras.Sequential([*layers, keras.layers.Dense(1, activation="sigmoid")])

x, y = np.zeros((8, 8, 8, 3), "uint8"), np.arange(8) % 2
distiller = Distiller(student=model(2), teacher=model(4))
distiller.compile("adam")
print(sorted(distiller.fit(x, y, epochs=1, verbose=0).history))
distiller.save("distiller.keras")
keras.saving.load_model("distiller.keras").evaluate(x, y, verbose=0)
"""
LOGGED = ["accuracy", "auc", "distillation_loss", "loss", "precision", "recall", "student_loss", "total_loss"]


@pytest.mark.slow
def test_the_distiller_works_from_the_wheel(environment, tmp_path):
    done = environment("keras").run("python", "-c", PROGRAM, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(LOGGED)


@pytest.mark.slow
def test_a_bundle_needs_the_extra_train_too(environment, tmp_path):
    for name in ("to_bundle", "read_images"):
        done = environment("keras").run("python", "-c", f"from edgekd.keras import {name}", cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].endswith('pip install "edgekd[train]"')


def test_without_the_extra_it_is_named(environment, tmp_path):
    done = environment("").run("python", "-c", "from edgekd.keras import Distiller", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].endswith('pip install "edgekd[keras]"')
