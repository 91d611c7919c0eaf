"""How far explanations can be trusted: faithfulness and localisation of each method over a set, for each network.

Every record is named by the content of what made it, so that a run which was cut off goes on where it was. A method that
reads the network in torch gives one map for all; its faithfulness is measured on each, of the file too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.explainers import Method
from edgekd.measures.faithfulness import STEPS, curves, order_of
from edgekd.measures.localisation import baselines, localisation
from edgekd.runtimes import Session
from edgekd.section import Section

VERSION = 1  # to be raised when the same networks, methods and pictures give other records
RANDOM = "random"  # the baseline of faithfulness
DIGITS = 6


@dataclass(frozen=True)
class Subject:
    """A network that answers, under the name it has in tables; `identity` names its content."""

    name: str
    session: Session
    identity: str


@dataclass(frozen=True)
class Picture:
    """Pixels [S, S, 3] uint8 as the network sees them, and the true region [S, S] bool where it is known."""

    name: str
    pixels: np.ndarray
    label: int
    mask: np.ndarray | None = None


@dataclass(frozen=True)
class Explainer:
    """A method with its options, and the torch network if it reads that."""

    method: Method
    options: Section
    network: Any = None

    def relevance(self, session: Session, pixels: np.ndarray, target: int) -> np.ndarray:
        """The map [S, S] of one class."""
        subject = self.network if self.method.reads_network else session
        return self.method.explain(subject, pixels, target, self.options)


class Region(Section):
    """Where a map lies; see `localisation.Localisation`."""

    pointing: float
    mass: float
    rank: float
    share: float


class Record(Section):
    """What was measured of one picture, network and method. `target` is the network's answer, whose probability is followed.

    `curves` [steps + 1] by name are empty for baselines of localisation; `region` is None where no region is known.
    """

    key: str
    network: str
    method: str
    picture: str
    target: int
    is_right: bool
    curves: dict[str, tuple[float, ...]]
    region: Region | None


def measure(
    subjects: Sequence[Subject],
    explainers: Sequence[Explainer],
    pictures: Iterable[Picture],
    known: Mapping[str, Record],
    steps: int = STEPS,
) -> Iterator[list[Record]]:
    """The records of each picture in turn: those that are known, and those that are measured now."""
    for picture in pictures:
        found = []
        for subject in subjects:
            target = int(subject.session.probs(picture.pixels[None])[0].argmax())
            for name, maps in _maps(subject, explainers, picture, target):
                key = _key(subject, name, maps, picture, steps)
                found.append(known.get(key) or _record(key, subject, name, maps, picture, target, steps))
        yield found


@dataclass(frozen=True)
class _Map:
    """How a map is made: by an explainer, or a baseline that is there already. `is_followed`: curves are measured too."""

    explainer: Explainer | None = None
    relevance: np.ndarray | None = None
    is_followed: bool = True


def _maps(
    subject: Subject, explainers: Sequence[Explainer], picture: Picture, target: int
) -> Iterator[tuple[str, _Map]]:
    for explainer in explainers:
        yield explainer.method.name, _Map(explainer)
    seed = int.from_bytes(hashlib.sha256(picture.pixels.tobytes()).digest()[:4])
    yield RANDOM, _Map(relevance=np.random.default_rng(seed).random(picture.pixels.shape[:2]))
    if picture.mask is not None:
        for name, relevance in baselines(picture.pixels).items():
            yield name, _Map(relevance=relevance, is_followed=False)


def _key(subject: Subject, name: str, how: _Map, picture: Picture, steps: int) -> str:
    options = how.explainer.options.model_dump() if how.explainer else {}
    digest = hashlib.sha256(json.dumps([VERSION, subject.identity, name, options, steps, picture.label]).encode())
    digest.update(picture.pixels.tobytes())
    digest.update(b"" if picture.mask is None else picture.mask.tobytes())
    return digest.hexdigest()[:32]


def _record(key: str, subject: Subject, name: str, how: _Map, picture: Picture, target: int, steps: int) -> Record:
    relevance = how.relevance
    if how.explainer:
        relevance = how.explainer.relevance(subject.session, picture.pixels, target)
    assert relevance is not None  # one of the two is there
    order = order_of(relevance)
    followed = curves(subject.session, picture.pixels, order, target, steps) if how.is_followed else {}
    return Record(
        key=key,
        network=subject.name,
        method=name,
        picture=picture.name,
        target=target,
        is_right=target == picture.label,
        curves={curve: tuple(round(float(p), DIGITS) for p in probs) for curve, probs in followed.items()},
        region=None if picture.mask is None else Region(**asdict(localisation(relevance, picture.mask))),
    )


def read(path: Path) -> dict[str, Record]:
    """The records of a run by key; a line that was cut off is left out."""
    found = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            record = Record.model_validate_json(line)
        except ValueError:  # the last line, as the run was killed while it was written
            continue
        found[record.key] = record
    return found
