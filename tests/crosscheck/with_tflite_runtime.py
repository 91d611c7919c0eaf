"""The old tflite-runtime on a file: python with_tflite_runtime.py MODEL PIXELS.npy OUTPUT.npy."""

from __future__ import annotations

import sys

import numpy as np
from tflite_runtime.interpreter import Interpreter


def main(model: str, pixels: str, output: str) -> None:
    interpreter = Interpreter(model)
    interpreter.allocate_tensors()
    (given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
    probs = []
    for image in np.load(pixels):
        interpreter.set_tensor(given["index"], image[None])
        interpreter.invoke()
        probs.append(interpreter.get_tensor(found["index"])[0])
    np.save(output, np.stack(probs))


if __name__ == "__main__":
    main(*sys.argv[1:])
