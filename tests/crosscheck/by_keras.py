"""A Keras MobileNetV2 with settled weights: python by_keras.py GRAPH FLOAT_TFLITE.

Writes the float graph that edgekd makes of it, and TensorFlow's own float file of the Keras model itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from edgekd.keras import lowering

SIZE, CLASSES = 96, 4


def main(graph_file: str, float_file: str) -> None:
    model = student()
    lowering.lower(model).fold().save(Path(graph_file))
    Path(float_file).write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())


def student() -> keras.Model:
    """MobileNetV2 as tutorials adapt it; weights at random, statistics those of random pictures, as after a training."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 3))
    base = keras.applications.MobileNetV2((SIZE, SIZE, 3), alpha=0.35, include_top=False, weights=None)
    x = base(keras.applications.mobilenet_v2.preprocess_input(inputs))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(CLASSES, activation="softmax")(x))
    for layer in base.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.3
    rng = np.random.default_rng(0)
    for _ in range(8):
        coarse = rng.integers(0, 256, (16, 6, 6, 3)).repeat(SIZE // 6, 1).repeat(SIZE // 6, 2)
        model(coarse.astype(np.float32), training=True)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 4, bias])
    return model


if __name__ == "__main__":
    main(*sys.argv[1:])
