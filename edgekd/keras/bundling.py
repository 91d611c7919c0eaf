"""From a Keras student to a bundle: its graph and weights, evaluations, golden vectors, int8 graphs, manifest."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import safetensors.torch
import torch

from edgekd import bundle as bundles
from edgekd import recipe as recipes
from edgekd.bundle import FLOAT_GRAPH, MANIFEST, WEIGHTS, Bundle, NetworkRecord, TeacherRecord
from edgekd.command import confirm_folder
from edgekd.errors import EdgekdError
from edgekd.files import sha256_bytes, write_atomic
from edgekd.keras import measuring
from edgekd.keras.images import Images, read_images
from edgekd.keras.lowering import Lowered, lower
from edgekd.preprocess import InputContract
from edgekd.quantization.folding import fold_normalization
from edgekd.quantization.graph import macs
from edgekd.quantization.network import network_of
from edgekd.training import finish, qat


def to_bundle(
    model: Any, data: Images | str | Path, out: str | Path, quantization_aware: bool = False, overwrite: bool = False
) -> Bundle:
    """Make a trained Keras student a bundle in the folder `out`, which every command of edgekd takes.

    `model` is a functional or sequential classifier of RGB pixels 0..255, or a `Distiller`, whose student it is; its outputs
    are in the order of the images' label names. `data` are the images that it was trained on, as `read_images` gave them, or
    where they lie: training images set the ranges of the int8 graph, validation ones the temperature. With
    `quantization_aware` the student goes on training on the int8 grid, taught by itself.
    Raises: EdgekdError for a model that the graph cannot hold, or that does not fit the images.
    """
    student = getattr(model, "student", model)
    if not isinstance(student, keras.Model):
        raise EdgekdError("to_bundle, model", "a Keras model or a Distiller", type(model).__name__)
    lowered, folder = lower(student), Path(out)
    images = data if isinstance(data, Images) else read_images(data, lowered.graph.nodes[0].size)  # type: ignore[union-attr] # an Input
    _check(lowered, images)
    if overwrite and any((folder / name).is_file() for name in (MANIFEST, WEIGHTS)):
        shutil.rmtree(folder)
    confirm_folder(folder, False, False)
    run = replace(images.run, recipe=images.run.recipe.model_copy(update={"name": folder.name}), folder=folder)
    bundle = _float_bundle(run, student, lowered, _taught(model), folder)
    bundle = qat.quantize(run, bundle, bundle) if quantization_aware else qat.quantize_after_training(run, bundle)
    run.console.print(f"student:  {folder}\nnext:     python -m edgekd.export {folder}", highlight=False, markup=False)
    return bundle


def _check(lowered: Lowered, images: Images) -> None:
    graph = fold_normalization(lowered.fold())  # or an error: the int8 graph reads pixels
    expected = images.run.recipe.input.size, len(images.label_names)
    found = graph.input.size, *graph.shapes[graph.output.name]
    if found != expected:
        words = "images of {} px and {} classes"
        raise EdgekdError("to_bundle, model", words.format(*expected), words.format(*found))


def _float_bundle(run: Any, student: Any, lowered: Lowered, taught: dict[str, Any], folder: Path) -> Bundle:
    tensors = finish.halved({name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in lowered.tensors.items()})
    graph = lowered.graph.fold({name: tensor.numpy() for name, tensor in tensors.items()})  # what is stored is measured
    write_atomic(folder / WEIGHTS, safetensors.torch.save(tensors))
    lowered.graph.save(folder / FLOAT_GRAPH)
    contract = InputContract(**run.recipe.input.model_dump(), mean=lowered.mean, std=lowered.std)
    network = network_of(graph, contract).to(run.processes.device)
    record = NetworkRecord(
        network=student.name, framework="keras", parameters=measuring.parameters(student), macs=macs(graph)
    )
    kept = run.recipe.model_dump(mode="json", include={*recipes.READ_BACK, "schema_"})
    versions = bundles.versions() | {"keras": keras.__version__, "keras_backend": keras.config.backend()}
    facts = {"role": "student", "network": record, "recipe": kept, "versions": versions} | taught
    finish.complete(run, network, folder, [WEIGHTS, FLOAT_GRAPH], facts)
    return Bundle.open(folder)


def _taught(model: Any) -> dict[str, Any]:
    """What the manifest says of a distiller's teacher; nothing of a plain model's."""
    teacher = getattr(model, "teacher", None)
    if teacher is None:
        return {}
    content = b"".join(np.ascontiguousarray(w).tobytes() for w in teacher.get_weights())
    record = TeacherRecord(
        network=teacher.name,
        framework="keras",
        parameters=measuring.parameters(teacher),
        macs=measuring.macs(teacher),
        weights_sha256=sha256_bytes(content),
    )
    return {"teacher": record, "kd_temperature": model.temperature}
