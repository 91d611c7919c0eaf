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
from edgekd.bundle import FLOAT_GRAPH, Bundle
from edgekd.data import augment
from edgekd.distillation import losses
from edgekd.files import sha256_file
from edgekd.networks.committee import Member
from edgekd.preprocess import InputContract
from edgekd.recipe import DistillationRecipe, Network, Recipe
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
        **({} if recipe.view_seed is None else {"view_seed": recipe.view_seed}),
        "augment": recipe.augment.model_dump(),
        "input": recipe.input.model_dump(),
        "pixels": run.pixels.sha256,
        "splits": run.split_hashes(),
        "teacher": of_bundle(teacher) if teacher else None,
    }
    return hashlib.sha256(json.dumps(everything, sort_keys=True).encode()).hexdigest()


def of_network(settings: Network) -> dict[str, Any]:
    """A recipe's settings of a network, with the sha256 of the files that it names in place of their paths."""
    found = settings.model_dump(exclude_none=True) | {"weights": settings.weights_file}
    paths = {name: Path(found[name]) for name in FILES if found.get(name)}
    return found | {name: sha256_file(path) for name, path in paths.items() if path.is_file()}


def of_distillation(settings: DistillationRecipe) -> dict[str, Any]:
    """What decides how a teacher teaches."""
    newer = {n.name: n.kind.TAUGHT_VERSION for n in losses.resolve(settings.losses) if n.kind.TAUGHT_VERSION > 1}
    return settings.model_dump(exclude={"store"}) | ({"versions": newer} if newer else {})


def of_bundle(bundle: Bundle) -> dict[str, Any]:
    """What decides a bundle's logits: weights, architecture (heads leave no trace in the weights) and input contract."""
    m = bundle.manifest
    found = _of_logits(
        m.files["weights.safetensors"].sha256, m.network.network, m.network.width, m.network.options, m.input
    )
    if m.network.framework == "torch":
        return found
    return found | {"graph": m.files[FLOAT_GRAPH].sha256}  # which is all that says what the network is


def of_member(member: Member) -> dict[str, Any]:
    """As `of_bundle`, of the bundle that a committee's member was: both have the same store."""
    return _of_logits(member.weights_sha256, member.network, member.width, member.options, member.input)


def _of_logits(
    weights: str, name: str, width: float, options: dict[str, Any], contract: InputContract
) -> dict[str, Any]:
    network = {"network": name, "width": width, "options": options}
    return {"weights": weights, "network": network, "input": contract.model_dump(), "networks": networks.VERSION}


def of_views(run: Run, recipe: Recipe, mixup: float) -> dict[str, Any]:
    """What decides the training views that a recipe makes of a run's pictures, in any order and split.

    These are the pictures, the augmentation, and the partners of mixup; the input's size is that of whoever sees them.
    """
    ids = run.pixels.ids
    partners = hashlib.sha256(ids[run.labelled_rows].tobytes()).hexdigest()
    return {
        "images": hashlib.sha256(np.unique(ids).tobytes()).hexdigest(),
        "input": recipe.input.model_dump(),
        "augment": recipe.augment.model_dump(),
        "version": augment.VERSION,
        "seed": recipe.viewing_seed,
        "mixup": {"alpha": mixup, "partners": partners} if mixup else None,
    }
