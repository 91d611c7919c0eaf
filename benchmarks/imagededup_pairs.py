"""Runs imagededup in its own environment: PYTHON benchmarks/imagededup_pairs.py FOLDER METHOD [LIMIT...] > pairs.json.

METHOD is phash (LIMITs are Hamming distances) or cnn (LIMITs are least cosines); `cnn:FILE` gives its CNN method the
weights of timm's mobilenetv2_100 in FILE in place of its own network, which it downloads. Without a LIMIT the images are
only encoded. It gets its own environment because it pins old versions.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any


def main() -> None:
    folder, method, *limits = sys.argv[1:]
    from imagededup import __version__

    name, _, weights = method.partition(":")
    hasher = _phash() if name == "phash" else _cnn(weights)
    started = time.perf_counter()
    encodings = hasher.encode_images(image_dir=folder, recursive=True)
    encoded = time.perf_counter() - started
    found = {}
    for limit in limits:
        started = time.perf_counter()
        key = "max_distance_threshold" if name == "phash" else "min_similarity_threshold"
        value = int(limit) if name == "phash" else float(limit)
        duplicates = hasher.find_duplicates(encoding_map=encodings, **{key: value})
        seconds = time.perf_counter() - started
        pairs = sorted({tuple(sorted((a, b))) for a, others in duplicates.items() for b in others})
        found[limit] = {"pairs": pairs, "search_s": seconds}
    print(json.dumps({"version": __version__, "encode_s": encoded, "limits": found}))


def _phash() -> Any:
    from imagededup.methods import PHash

    return PHash(verbose=False)


def _cnn(weights: str) -> Any:
    from imagededup.methods import CNN

    if not weights:
        return CNN(verbose=False)
    import timm
    from imagededup.utils import CustomModel
    from imagededup.utils.models import MobilenetV3
    from safetensors.torch import load_file

    network = timm.create_model("mobilenetv2_100", pad_type="same")
    network.load_state_dict(load_file(weights))
    network.reset_classifier(0)  # pooled features, as imagededup takes them from its own network
    return CNN(verbose=False, model_config=CustomModel("mobilenetv2_100", network.eval(), MobilenetV3.transform))


if __name__ == "__main__":
    main()
