"""edgekd: an image folder and a large teacher in, a small network that can be trusted on a phone out."""

import os
import sys
from typing import Any

__version__ = "0.1.0"

# Libraries that tell their makers what they are used for stay silent: images and networks may be confidential.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # ONNX Runtime from 1.29 on names the model's file and hashes
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
_modules: dict[str, Any] = sys.modules
_modules.setdefault("openvino_telemetry", None)  # as if it were not installed: OpenVINO and NNCF do without it
