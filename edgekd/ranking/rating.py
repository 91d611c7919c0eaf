"""Rates candidates by DisWOT on one minibatch of training images, beside their parameters, multiply-accumulates and latency."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from edgekd import __version__
from edgekd.bundle import Bundle, NetworkRecord
from edgekd.data.augment import plain_views
from edgekd.data.chosen import split_of
from edgekd.data.dataset import listing_hash
from edgekd.data.pixels import Pixels
from edgekd.devices.runner import cpu_name
from edgekd.distillation import diswot
from edgekd.distillation.diswot import Score, Sight
from edgekd.errors import EdgekdError
from edgekd.networks import PixelNetwork, cost, described
from edgekd.networks.committee import COMMITTEE
from edgekd.preprocess import InputContract
from edgekd.quantization import representative
from edgekd.ranking import timing
from edgekd.ranking.candidates import Candidate
from edgekd.ranking.result import CandidateRecord, Ranking
from edgekd.ranking.timing import Times
from edgekd.recipe import Recipe

Track = Callable[[Sequence[int]], Iterable[int]]  # what shows that draws go by


@dataclass(frozen=True)
class Minibatch:
    """Training images as the teacher sees them: views [B, 3, S, S] float 0..255, labels [B], the hash of their listing."""

    views: Tensor
    labels: Tensor
    sha256: str

    @classmethod
    def of(cls, bundle: Bundle, recipe: Recipe, images: int, seed: int) -> Minibatch:
        """`images` of the recipe's training images, the same share of every class.

        Raises: EdgekdError for a class that the bundle does not know, or too many unreadable images.
        """
        dataset = split_of(bundle, recipe, "train")
        labels = np.array([s.label for s in dataset.samples])
        rows = representative.choose(labels, np.arange(len(labels)), images, seed)
        chosen = dataset.with_samples(dataset.samples[i] for i in rows)
        pixels = Pixels.of(chosen, bundle.manifest.input, Path(recipe.cache), recipe.data.corrupt_limit)
        found = torch.tensor([s.label for s in pixels.dataset.samples])
        views = plain_views(pixels.array, np.arange(len(pixels.array)), torch.device("cpu"))
        return cls(views, found, listing_hash(pixels.dataset.samples))


def check(bundle: Bundle) -> None:
    """Refuse a teacher that has no features.

    Raises: EdgekdError for a committee.
    """
    if bundle.manifest.network.network == COMMITTEE:
        found, todo = "a committee", "rank for one of its members"
        raise EdgekdError(f"bundle {bundle.folder}", "one network with feature maps", found, todo)


def rate(
    bundle: Bundle,
    candidates: Sequence[Candidate],
    batch: Minibatch,
    draws: int,
    seed: int,
    threads: int | None,
    track: Track = lambda draws: draws,
) -> Ranking:
    """Rate `candidates` for the architecture of a teacher's bundle, over `draws` of first weights.

    Without `threads` nothing is timed. The bundle gives the architecture, the classes and the input, never its weights.
    Raises: EdgekdError for a network that DisWOT cannot compare.
    """
    m = bundle.manifest
    scores: dict[str, list[Score]] = {candidate.text: [] for candidate in candidates}
    for draw in track(range(seed, seed + draws)):
        teacher = seen(random_teacher(bundle, draw), batch)
        for candidate in candidates:
            student = seen(candidate.network(len(m.label_names), draw), batch)
            scores[candidate.text].append(diswot.score(student, teacher))
    networks = {c.text: c.network(len(m.label_names), seed).eval() for c in candidates}
    times = timing.latencies(networks, batch.views, threads) if threads else {}
    records = [_record(c, networks[c.text], scores[c.text], times.get(c.text, "not timed")) for c in candidates]
    return Ranking(
        edgekd=__version__,
        bundle=m.name,
        teacher=m.network,
        label_names=m.label_names,
        images_sha256=batch.sha256,
        images=len(batch.labels),
        seed=seed,
        cpu=cpu_name(),
        threads=threads or 1,
        candidates=tuple(sorted(records, key=lambda record: -record.score)),
    )


def random_teacher(bundle: Bundle, seed: int) -> PixelNetwork:
    """The teacher's architecture with random weights."""
    m = bundle.manifest
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        contract = InputContract.model_validate(m.input.model_dump())
        return described(m.network.network, m.network.width, m.network.options, contract, len(m.label_names))


def seen(network: PixelNetwork, batch: Minibatch) -> Sight:
    """How a network sees the minibatch, at its own input size."""
    return diswot.sight(network, batch.views, batch.labels)


def _record(
    candidate: Candidate, network: PixelNetwork, scores: Sequence[Score], times: list[Times] | str
) -> CandidateRecord:
    settings = candidate.settings
    facts = NetworkRecord(
        network=settings.network,
        width=settings.width,
        options=settings.options,
        parameters=cost.parameters(network),
        macs=cost.macs(network, network.size),
    )
    return CandidateRecord(
        candidate=candidate.text,
        network=facts,
        input_size=candidate.size,
        relation=tuple(score.relation for score in scores),
        semantic=tuple(score.semantic for score in scores),
        latency_ms=() if isinstance(times, str) else tuple(times),
        reason=times if isinstance(times, str) else "",
    )
