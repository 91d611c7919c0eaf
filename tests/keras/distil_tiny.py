"""Distils a tiny student for two epochs and prints the logs and weights as JSON: python distil_tiny.py."""

import json

import keras
import numpy as np

from edgekd.keras import Distiller


def model(width, seed):
    layers = keras.layers
    found = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(width, 3, strides=2, padding="same", activation="relu"),
            layers.BatchNormalization(),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    rng = np.random.default_rng(seed)
    found.set_weights([np.abs(rng.normal(0, 0.7, w.shape)).astype("float32") for w in found.get_weights()])
    return found


rng = np.random.default_rng(1)
x, y = rng.integers(0, 256, (24, 8, 8, 3)).astype("uint8"), np.arange(24) % 3
student, teacher = model(4, 2), model(6, 1)
before = [w.tobytes() for w in teacher.get_weights()]
distiller = Distiller(student=student, teacher=teacher)
distiller.compile(keras.optimizers.SGD(0.05))
history = distiller.fit(x, y, validation_data=(x, y), epochs=2, batch_size=6, shuffle=False, verbose=0).history
assert [w.tobytes() for w in teacher.get_weights()] == before
weights = {f"weight {i}": w.ravel().tolist() for i, w in enumerate(student.get_weights())}
print(json.dumps({"backend": keras.backend.backend()} | history | weights))
