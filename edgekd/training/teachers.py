"""The teacher of a run: read, or trained with labels; alone, or as a committee of several."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

import torch

from edgekd.bundle import MANIFEST, WEIGHTS, Bundle
from edgekd.errors import EdgekdError
from edgekd.files import held
from edgekd.networks import PixelNetwork, build, from_bundle
from edgekd.networks.committee import COMMITTEE, Committee, Member
from edgekd.networks.weights import load_weights
from edgekd.recipe import CommitteeMember, InputRecipe, MemberRecipe, Network
from edgekd.training import finish, identity, stages
from edgekd.training.loop import TrainingProgress
from edgekd.training.objective import LabelObjective
from edgekd.training.run import Run
from edgekd.training.sampling import derived_seed

MEMBERS = "members"  # the folder of a committee's members, beside its bundle


def open_bundle(settings: MemberRecipe) -> Bundle:
    """The finished bundle that a recipe names.

    Raises: EdgekdError that tells the command which makes it.
    """
    made_by = settings.bundle_from or f"python -m edgekd.train --recipe FILE --out {Path(settings.bundle).parent}"
    return Bundle.open(settings.bundle, made_by)


def teacher(run: Run, folder: Path, members: Path | None = None) -> Bundle:
    """The recipe's teacher: read from its bundle, made from its checkpoint, or trained with labels into `folder`.

    `members` is a folder for the networks of this teacher and of others, of other processes too, so that each is trained
    once; by default they are in `folder`.
    """
    settings = run.recipe.teacher
    if settings.one is None:
        return _committee(run, settings.members, folder, members)
    is_shared = members is not None and settings.members and not settings.one.bundle
    if not is_shared or run.processes.decide((folder / MANIFEST).exists()):
        return _one(run, settings.one, "teacher", folder)
    return _copied(run, _member(run, settings.one, "teacher", folder, members), folder)


def _copied(run: Run, bundle: Bundle, folder: Path) -> Bundle:
    """A bundle once more in `folder`, whole or not at all."""
    if run.processes.is_first:
        temporary = folder.with_name(f".{folder.name}.tmp")
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.copytree(bundle.folder, temporary)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
    run.processes.barrier()
    return finish.opened(run.processes, folder)


def _member(run: Run, settings: MemberRecipe, title: str, folder: Path, shared: Path | None) -> Bundle:
    """A network in a folder named by what decides it; of a shared one, one process at a time makes it."""
    name = f"{settings.network}-{_named(run, settings)[:8]}"
    if shared is None:
        return _one(run, settings, title, folder / MEMBERS / name)
    # Of a run's processes the first holds the lock, and the others follow it.
    with held(shared / f"{name}.lock") if run.processes.is_first else contextlib.nullcontext():
        return _one(run, settings, title, shared / name)


def _one(run: Run, settings: MemberRecipe, name: str, folder: Path) -> Bundle:
    if settings.bundle:
        found = open_bundle(settings)
        stages.check_labels(found, run.label_names)
        return found
    named, run = _named(run, settings), seen_by(run, settings)
    if run.processes.decide(finish.is_finished(folder, named)):
        return stages.announce(run, finish.opened(run.processes, folder))
    torch.manual_seed(derived_seed(run.recipe.seed, "teacher"))
    network = build(settings, len(run.label_names), run.recipe.input.size)
    progress = TrainingProgress()
    if settings.checkpoint:
        load_weights(network.body, settings.checkpoint)
    else:
        labels = LabelObjective(settings.training, run.labels[run.labelled_rows], len(run.label_names), run.processes)
        stages.announce_network(run, name, network, settings.training.precision)
        progress = stages.train_float(run, name, network, labels, settings.training, folder / "training", named)
    return finish.to_bundle(run, "teacher", settings, network, progress, folder, named)


def teacher_named(run: Run) -> str:
    """What decides the recipe's teacher, known before it is there; equal for two runs whose teacher is the same."""
    settings = run.recipe.teacher
    if settings.one is None:
        facts = [[member.weight, _named(run, member)] for member in settings.members]
        return hashlib.sha256(json.dumps(["committee", facts]).encode()).hexdigest()
    return _named(run, settings.one)


def _named(run: Run, settings: MemberRecipe) -> str:
    """What decides one network that teaches."""
    if settings.bundle:
        return hashlib.sha256(
            json.dumps(identity.of_bundle(open_bundle(settings)), sort_keys=True).encode()
        ).hexdigest()
    facts = identity.of_network(settings)
    facts.pop("weight", None)  # of its answer in a committee, which leaves the network as it is
    return identity.of_stage(seen_by(run, settings), facts, None)


def seen_by(run: Run, settings: MemberRecipe) -> Run:
    """The run as this network sees it: at its own size, in its own order."""
    wanted = run.recipe.input
    if settings.input_size:
        wanted = wanted.model_copy(update={"size": settings.input_size})
    return run.seen_as(wanted, derived_seed(run.recipe.seed, settings.seed) % 2**31 if settings.seed else 0)


def _committee(run: Run, settings: tuple[CommitteeMember, ...], folder: Path, shared: Path | None) -> Bundle:
    """The members, each in a folder named by what decides it, so that a new one leaves the others alone; and their bundle."""
    found: dict[str, Bundle] = {}
    for number, member in enumerate(settings, start=1):
        named = _named(run, member)
        if named in found:
            todo = "set another seed, or a larger weight for one of them"
            raise EdgekdError(
                f"teacher.members.{number - 1}", "a member of its own", "the same as an earlier one", todo
            )
        found[named] = _member(run, member, f"member {number}", folder, shared)
    facts = [_facts(bundle, member.weight) for bundle, member in zip(found.values(), settings, strict=True)]
    return _bundle(run, list(found.values()), facts, folder)


def _facts(bundle: Bundle, weight: float) -> Member:
    m = bundle.manifest
    return Member(
        network=m.network.network,
        width=m.network.width,
        options=m.network.options,
        input=m.input,
        weights_sha256=m.files[WEIGHTS].sha256,
        calibration_temperature=m.calibration_temperature["torch"],
        weight=weight,
    )


def _bundle(run: Run, members: list[Bundle], facts: list[Member], folder: Path) -> Bundle:
    """The committee as one network: evaluated and calibrated like any other, at the size of its largest member."""
    largest = max((fact.input for fact in facts), key=lambda contract: contract.size)
    wanted = InputRecipe.of(largest)
    run = run.seen_as(wanted)
    settings = Network(network=COMMITTEE, options={"members": [fact.model_dump(mode="json") for fact in facts]})
    named = identity.of_stage(run, {"committee": settings.options}, None)
    if run.processes.decide(finish.is_finished(folder, named)):
        return stages.announce(run, finish.opened(run.processes, folder))
    body = Committee([from_bundle(bundle) for bundle in members], facts)
    network = PixelNetwork(body, wanted.size, body.pretrained_cfg["mean"], body.pretrained_cfg["std"]).eval()
    stages.announce_network(run, f"committee of {len(members)}", network)
    return finish.to_bundle(run, "teacher", settings, network, TrainingProgress(), folder, named)
