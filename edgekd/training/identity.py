"""Names of what is resumed and stored: everything that decides it, by content and never by path.

Beside settings and bytes each name holds the VERSION of the modules that compute: whoever changes what comes out raises it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from edgekd import networks
from edgekd.bundle import Bundle
from edgekd.data import augment
from edgekd.files import sha256_file
from edgekd.recipe import Network
from edgekd.training import loop
from edgekd.training.run import Run

FILES = ("weights", "checkpoint")  # settings of a network that are paths


def of_stage(run: Run, facts: dict[str, Any], teacher: Bundle | None) -> str:
    """The sha256 of everything that decides a stage's result; `facts` are its own, JSON-able."""
    recipe = run.recipe
    everything = {
        "facts": facts,
        "versions": {"loop": loop.VERSION, "views": augment.VERSION, "networks": networks.VERSION},
        "seed": recipe.seed,
        "augment": recipe.augment.model_dump(),
        "input": recipe.input.model_dump(),
        "pixels": run.pixels.sha256,
        "splits": run.split_hashes(),
        "teacher": of_bundle(teacher) if teacher else None,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def of_network(settings: Network) -> dict[str, Any]:
    """A recipe's settings of a network, with the sha256 of the files that it names in place of their paths."""
    found = settings.model_dump() | {"weights": settings.weights_file}
    paths = {name: Path(found[name]) for name in FILES if found.get(name)}
    return found | {name: sha256_file(path) for name, path in paths.items() if path.is_file()}


def of_bundle(bundle: Bundle) -> dict[str, Any]:
    """What decides a bundle's logits: weights, architecture (heads leave no trace in the weights) and input contract."""
    manifest = bundle.manifest
    return {
        "weights": manifest.files["weights.safetensors"].sha256,
        "network": manifest.network.model_dump(),
        "input": manifest.input.model_dump(),
        "networks": networks.VERSION,
    }


def of_views(run: Run, mixup: float) -> dict[str, Any]:
    """What decides the training views: the images in any order and split, the augmentation, and the partners of mixup."""
    ids, recipe = run.pixels.ids, run.recipe
    partners = hashlib.sha256(ids[run.labelled_rows].tobytes()).hexdigest()
    return {
        "images": hashlib.sha256(np.unique(ids).tobytes()).hexdigest(),
        "augment": recipe.augment.model_dump(),
        "version": augment.VERSION,
        "seed": recipe.seed,
        "mixup": {"alpha": mixup, "partners": partners} if mixup else None,
    }
