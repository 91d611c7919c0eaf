"""A Keras teacher, the student without it, and the student that it teaches: from images to a verified phone file.

    python benchmarks/keras_distiller.py [--data PATH] [--out DIR] [--epochs 150] [--size 96]

Needs the extras keras, train and export. PATH holds images as `edgekd.audit` reads them (without: generated phantoms, for
which --epochs 5 will do). Two classes end in one sigmoid, more in softmax. The student goes through the graph, the
quantization-aware stage and `edgekd.export` into tflite-int8, onnx and openvino. Prints every network on the test split, and
pairs student and control; writes the bundle, and keras.json into it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
from keras import layers

from edgekd.keras import Distiller, read_images, to_bundle
from edgekd.measures.drift import drift

SEED, BATCH = 7, 16
FORMATS = ("tflite-int8", "onnx", "openvino")


def network(size: int, classes: int, width: int, name: str) -> keras.Model:
    """Four stages of separable convolutions with a residual block in each; black is 0, as the zeros around it."""
    inputs = keras.Input((size, size, 3))
    x = layers.RandomFlip("horizontal", seed=SEED)(inputs)
    x = layers.RandomRotation(0.04, fill_mode="constant", seed=SEED)(x)
    x = layers.Rescaling(1 / 128)(x)
    x = block(x, width, 2, layers.Conv2D)
    for stage in range(3):
        x = block(x, 2**stage * 2 * width, 2, layers.SeparableConv2D)
        y = block(x, x.shape[-1], 1, layers.SeparableConv2D, activate=False)
        x = layers.ReLU(6.0)(layers.Add()([x, y]))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    ends = layers.Dense(1, activation="sigmoid") if classes == 2 else layers.Dense(classes, activation="softmax")
    return keras.Model(inputs, ends(x), name=name)


def block(x, channels: int, stride: int, kind: type, activate: bool = True):
    x = kind(channels, 3, strides=stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.ReLU(6.0)(x) if activate else x


def learn(model: keras.Model, images, epochs: int) -> None:
    """Train a network, or the student of a distiller; rare classes count as much as others."""
    keras.utils.set_random_seed(SEED)
    x, y = images.train
    rate = keras.optimizers.schedules.CosineDecay(3e-3, epochs * -(-len(x) // BATCH))
    if isinstance(model, Distiller):
        model.compile(keras.optimizers.Adam(rate))
    else:
        loss = "binary_crossentropy" if model.output.shape[-1] == 1 else "sparse_categorical_crossentropy"
        model.compile(keras.optimizers.Adam(rate), loss)
    weights = dict(enumerate(len(y) / np.bincount(y) / len(images.label_names)))
    model.fit(x, y, batch_size=BATCH, epochs=epochs, class_weight=weights, verbose=0)


def probs(model: keras.Model, pixels: np.ndarray) -> np.ndarray:
    found = model.predict(pixels, verbose=0).astype(np.float64)
    return np.concatenate([1 - found, found], axis=1) if found.shape[1] == 1 else found / found.sum(1, keepdims=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="", metavar="PATH")
    arguments.add_argument("--out", default="runs/keras", metavar="DIR")
    arguments.add_argument("--epochs", type=int, default=150)
    arguments.add_argument("--size", type=int, default=96)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="of the recipe")
    args = arguments.parse_args()
    begin = time.time()
    images = read_images(args.data, args.size, args.set)
    classes = len(images.label_names)
    teacher, alone, student = (
        network(args.size, classes, width, name) for width, name in ((24, "teacher"), (8, "control"), (8, "student"))
    )
    student.set_weights(alone.get_weights())  # both start from the same weights
    learn(teacher, images, args.epochs)
    learn(alone, images, args.epochs)
    distiller = Distiller(student=student, teacher=teacher, temperature=5.0, alpha=0.5)
    learn(distiller, images, args.epochs)
    bundle = to_bundle(distiller, images, args.out, quantization_aware=True, overwrite=True)
    command = [sys.executable, "-m", "edgekd.export", args.out, "--format", ",".join(FORMATS)]
    exported = subprocess.run(command, check=False).returncode
    x, y = images.test
    answers = {model.name: probs(model, x) for model in (teacher, alone, student)}
    change = drift(answers["control"], answers["student"], y)
    found = {name: float((p.argmax(1) == y).mean()) for name, p in answers.items()}
    document = {"images": len(y), "label_names": images.label_names, "accuracy": found, "taught": change.facts}
    document |= {"seconds": round(time.time() - begin), "exported": exported == 0, "bundle": bundle.manifest.name}
    (Path(args.out) / "keras.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    for name, accuracy in found.items():
        print(f"{name:8} {100 * accuracy:6.2f} % of {len(y)} test images")
    print(f"taught against alone: {change}; {document['seconds']} s in all")


if __name__ == "__main__":
    main()
