"""ONNX -> .tflite by onnx2tf and TensorFlow's TFLiteConverter. See `edgekd.conversion` for the request."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import onnx2tf
import onnxruntime
import tensorflow as tf
from onnx2tf import onnx2tf as implementation


def main(request: dict) -> None:
    """Convert `request["source"]` and write `request["output"]`."""
    network = keras_network(request)
    size = request["size"]

    @tf.function(input_signature=[tf.TensorSpec([1, size, size, 3], tf.float32)])
    def compute(image):  # noqa: ANN001, ANN202
        return network(image)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([compute.get_concrete_function()], network)
    if request["scheme"] != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([image] for image in representatives(request))
        int8, other = tf.lite.OpsSet.TFLITE_BUILTINS_INT8, tf.lite.OpsSet.TFLITE_BUILTINS
        converter.target_spec.supported_ops = [int8, other]  # what has no int8 kernel stays float
    Path(request["output"]).write_bytes(converter.convert())


def keras_network(request: dict):  # noqa: ANN201
    """The network in Keras, [1, S, S, 3] in, whichever layout the ONNX file has."""
    # It would fetch pictures to compare outputs with; nothing is compared here.
    implementation.download_test_image_data = lambda: np.zeros((20, 128, 128, 3), np.float32)
    simplify(request["source"])
    given = onnx.load("simple.onnx").graph.input[0]
    sides = [side.dim_value for side in given.type.tensor_type.shape.dim]
    if len(sides) != 4 or 3 not in (sides[1], sides[3]):
        raise SystemExit(f"expected one input [1, 3, S, S] or [1, S, S, 3], found {sides}")
    return onnx2tf.convert(
        input_onnx_file_path="simple.onnx",
        output_folder_path="saved_model",
        batch_size=1,
        keep_shape_absolutely_input_names=[given.name] if sides[3] == 3 else None,
        not_use_onnxsim=True,
        not_use_opname_auto_generate=True,
        non_verbose=True,
    )


def simplify(source: str) -> None:
    """Write simple.onnx: constants folded and made initializers, which onnx2tf expects."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = "simple.onnx"
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


def representatives(request: dict) -> Iterator[np.ndarray]:
    """Normalized images [1, S, S, 3] float32."""
    for pixels in np.load(request["pixels"]):
        yield ((pixels[None] / np.float32(255) - request["mean"]) / request["std"]).astype(np.float32)


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
