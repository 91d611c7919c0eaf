"""MediaPipe's ImageClassifier on a file: python with_mediapipe.py MODEL PIXELS.npy OUTPUT.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def main(model: str, pixels: str, output: str) -> None:
    options = vision.ImageClassifierOptions(base_options=BaseOptions(model_asset_path=model), max_results=-1)
    answers = []
    with vision.ImageClassifier.create_from_options(options) as classifier:
        for image in np.load(pixels):
            given = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image)
            categories = classifier.classify(given).classifications[0].categories
            answers.append({category.category_name: category.score for category in categories})
    Path(output).write_text(json.dumps(answers))


if __name__ == "__main__":
    main(*sys.argv[1:])
