"""From a trained network to its bundle: temperature, evaluation, golden vectors, model card, manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from PIL import Image

from edgekd import bundle as bundles
from edgekd.bundle import CARD, FLOAT_GRAPH, WEIGHTS, Bundle, Manifest, NetworkRecord, Role, TeacherRecord
from edgekd.data.dataset import groups_of
from edgekd.data.phantom import phantom
from edgekd.errors import EdgekdError
from edgekd.files import write_atomic
from edgekd.measures.calibration import fit_temperature, softmax
from edgekd.measures.evaluation import evaluate
from edgekd.measures.intervals import members
from edgekd.networks import PixelNetwork, cost
from edgekd.networks.prediction import predict
from edgekd.preprocess import InputContract, decode, to_pixels
from edgekd.quantization.lowering import describe
from edgekd.recipe import Network
from edgekd.reports import pictures
from edgekd.reports.card import model_card
from edgekd.training.distributed import Processes
from edgekd.training.log import write_csv
from edgekd.training.loop import TrainingProgress

if TYPE_CHECKING:
    from edgekd.training.run import Run

GOLDEN_IMAGES = 4
IDENTITY = "identity.txt"  # beside the bundle: lets --resume tell whether the stage is the one it would make


def is_finished(folder: Path, identity: str) -> bool:
    """Whether `folder` holds the finished bundle of just this stage."""
    path = folder / "training" / IDENTITY
    return (folder / bundles.MANIFEST).exists() and path.exists() and path.read_text() == identity


def to_bundle(
    run: Run,
    role: Role,
    settings: Network,
    network: PixelNetwork,
    progress: TrainingProgress,
    folder: Path,
    identity: str,
    teacher: Bundle | None = None,
) -> Bundle:
    """Write everything about `network` into `folder`; the first process writes, all return the bundle."""
    if run.processes.is_first:
        network.to(run.processes.device)
        names = [WEIGHTS, *_logs(folder, progress)]
        tensors = halved(network.body.state_dict())
        network.body.load_state_dict(tensors)  # what is measured below is what is stored
        write_atomic(folder / WEIGHTS, safetensors.torch.save(tensors))
        names += write_graph(network, folder)
        facts = {
            "role": role,
            "network": network_record(settings, network),
            "teacher": teacher_record(teacher) if teacher else None,
            "kd_temperature": run.recipe.distillation.kd_temperature if teacher else None,
            "training_seconds": round(progress.seconds, 1),
            "recipe": run.recipe.model_dump(mode="json"),
        }
        complete(run, network, folder, names, facts)
        write_atomic(folder / "training" / IDENTITY, identity)
    return opened(run.processes, folder)


def complete(run: Run, network: PixelNetwork, folder: Path, names: list[str], facts: dict[str, Any]) -> None:
    """Fit, evaluate and describe a network whose files `names` lie in `folder`: it is a bundle then.

    `facts` are the manifest's fields that the run does not know.
    """
    names, labels = list(names), run.labels[run.rows("val")]
    temperature = fit_temperature(_logits(run, network, "val"), labels)
    for split in ("val", "test"):
        names += _evaluate(run, network, temperature, split, folder)
    contract = input_contract(run, network)
    names += write_golden(network, contract, folder)
    found: dict[str, Any] = {
        "name": run.recipe.name,
        "label_names": run.label_names,
        "display_names": {k: v for k, v in run.recipe.data.display_names.items() if k in run.label_names},
        "input": contract,
        "calibration_temperature": {"torch": temperature},
        "split_hashes": run.split_hashes(),
        "pixels_sha256": run.pixels.sha256,
        "seed": run.recipe.seed,
        "versions": bundles.versions(),
        "licence": run.recipe.licence,
    }
    manifest = Manifest(**(found | facts))
    write_atomic(folder / CARD, model_card(manifest, folder))
    bundles.write(folder, manifest, [*names, CARD])


def opened(processes: Processes, folder: Path) -> Bundle:
    """The bundle in `folder` for every process: when the first has written it, and before it writes there again."""
    processes.barrier()
    found = Bundle.open(folder)
    processes.barrier()
    return found


def halved(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The tensors as a bundle stores them: filters and matrices in float16, which halves it; statistics as they are."""
    limit = torch.finfo(torch.float16).max
    return {
        name: (t.half() if t.ndim > 1 and t.is_floating_point() and t.abs().max() < limit else t).contiguous().cpu()
        for name, t in state.items()
    }


def write_graph(network: PixelNetwork, folder: Path) -> list[str]:
    """The network's graph, which lets its bundle be exported without torch; none of a network that cannot be lowered."""
    try:
        describe(network).save(folder / FLOAT_GRAPH)
    except EdgekdError:  # export through a generic converter remains, and its error then says what cannot be lowered
        return []
    return [FLOAT_GRAPH]


def _logits(run: Run, network: PixelNetwork, split: str) -> np.ndarray:
    return predict(network, run.pixels.array, run.rows(split), run.processes.device)


def _evaluate(run: Run, network: PixelNetwork, temperature: float, split: str, folder: Path) -> list[str]:
    """Logits, measures and pictures of one split; gives the names of the files."""
    rows, logits = run.rows(split), _logits(run, network, split)
    samples = [run.pixels.dataset.samples[i] for i in rows]
    groups = groups_of(samples)
    found = evaluate(
        softmax(logits, temperature),
        run.labels[rows],
        run.label_names,
        groups=groups,
        seed=run.recipe.seed,
    )
    found.save(folder / f"evaluation/{split}.json")
    tensors = {"logits": torch.from_numpy(logits), "labels": torch.from_numpy(run.labels[rows])}
    if groups:  # numbers, so that no patient's id travels with the bundle
        tensors["groups"] = torch.from_numpy(members(groups, len(rows)))
    names = json.dumps([s.name for s in samples], ensure_ascii=False)
    write_atomic(folder / f"evaluation/{split}.safetensors", safetensors.torch.save(tensors, {"names": names}))
    pictures.confusion(found, folder / f"evaluation/{split}_confusion.png")
    pictures.reliability(found, folder / f"evaluation/{split}_reliability.png")
    return [f"evaluation/{split}{end}" for end in (".json", ".safetensors", "_confusion.png", "_reliability.png")]


def _logs(folder: Path, progress: TrainingProgress) -> list[str]:
    if not progress.history:
        return []
    write_csv(folder / "log.csv", progress.history)
    pictures.curves(progress.history, folder / "curves.png")
    return ["log.csv", "curves.png"]


def input_contract(run: Run, network: PixelNetwork) -> InputContract:
    """How an image becomes this network's input."""
    return InputContract(**run.recipe.input.model_dump(), mean=network.mean, std=network.std)


def network_record(settings: Network, network: PixelNetwork) -> NetworkRecord:
    """Name, options and real cost."""
    return NetworkRecord(
        network=settings.network,
        width=settings.width,
        options=settings.options,
        parameters=cost.parameters(network),
        macs=cost.macs(network, network.size),
    )


def teacher_record(teacher: Bundle) -> TeacherRecord:
    """What a student's manifest says of its teacher."""
    weights = teacher.manifest.files[WEIGHTS].sha256
    return TeacherRecord(**teacher.manifest.network.model_dump(), weights_sha256=weights)


def write_golden(network: PixelNetwork, contract: InputContract, folder: Path) -> list[str]:
    """Golden vectors: pictures, the exact input pixels and the logits that every device has to reproduce.

    The pictures are phantoms, not square and of another size than the input, so that the resize is tested too and no
    one's medical image travels with a bundle.
    """
    names, pixels = [], []
    for index in range(GOLDEN_IMAGES):
        picture = Image.fromarray(phantom(2026, index, 256).image).crop((0, 8, 256, 248))
        path = folder / "golden" / f"{index}.png"
        path.parent.mkdir(exist_ok=True)
        picture.save(path)
        pixels.append(to_pixels(decode(path), contract))
        names.append(f"golden/{index}.png")
    array = np.stack(pixels)
    logits = predict(network, array, np.arange(len(array)), next(network.parameters()).device)
    tensors = {"pixels": torch.from_numpy(array), "logits": torch.from_numpy(logits)}
    write_atomic(folder / "golden/vectors.safetensors", safetensors.torch.save(tensors))
    return [*names, "golden/vectors.safetensors"]
