"""edgekd: an image folder and a large teacher in, a small network that can be trusted on a phone out."""

import os
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from edgekd.classifier import Classifier

__version__ = "0.1.0"

# Libraries that tell their makers what they are used for stay silent: images and networks may be confidential.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime from 1.29 on names the model's file and hashes
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)  # as if it were not installed: OpenVINO and NNCF do without it


def load(bundle: "str | Path", format: str | None = None) -> "Classifier":
    """A bundle that answers pictures: `edgekd.load(BUNDLE, "tflite-int8").classify(PICTURE)`.

    `format` names one of its artefacts; None is the float network, which needs the extra `train`, or `export` for a bundle
    that holds its graph. `.explain(PICTURE)` says why: which pixels spoke for the answer.
    Raises: EdgekdError for what is no bundle, an artefact that it does not hold, or a package that is missing.
    """
    from edgekd.classifier import Classifier

    return Classifier(bundle, format)
