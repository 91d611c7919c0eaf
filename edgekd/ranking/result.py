"""What a ranking is: candidates with scores and costs, best first. Strict pydantic models, read and written as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edgekd.bundle import NetworkRecord
from edgekd.files import write_atomic
from edgekd.measures.latency import spread, summarize
from edgekd.section import Section

SCHEMA: Literal["edgekd.ranking/1"] = "edgekd.ranking/1"


class CandidateRecord(Section):
    """One candidate: a value of each part of the score for every draw of first weights, and what the network costs."""

    candidate: str  # as it was typed
    network: NetworkRecord
    input_size: int  # px, square
    relation: tuple[float, ...] = Field(min_length=1)
    semantic: tuple[float, ...] = Field(min_length=1)
    latency_ms: tuple[tuple[float, ...], ...] = ()  # of single images as an int8 file, round by round
    reason: str = ""  # why there is no latency

    @property
    def score(self) -> float:
        """The mean of the score over the draws; 0 is the best that there is."""
        return float(np.mean(self.scores))

    @property
    def scores(self) -> tuple[float, ...]:
        """The score of every draw."""
        return tuple(r + s for r, s in zip(self.relation, self.semantic, strict=True))

    @property
    def median_ms(self) -> float | None:
        """The median latency; None where there is no file."""
        return summarize([time for times in self.latency_ms for time in times]).median_ms if self.latency_ms else None

    @property
    def spread(self) -> float:
        """How far the medians of the rounds are apart, as a fraction; 0 where there is no file."""
        return spread([summarize(times).median_ms for times in self.latency_ms]) if self.latency_ms else 0.0


class Ranking(Section):
    """Candidates for a teacher, the highest score first."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.ranking/1"] = Field(SCHEMA, alias="schema")
    edgekd: str
    bundle: str  # the teacher's name
    teacher: NetworkRecord
    label_names: tuple[str, ...]
    images_sha256: str  # of the listing of the minibatch
    images: int
    seed: int
    cpu: str = ""
    threads: int = 1
    candidates: tuple[CandidateRecord, ...]

    def save(self, path: Path) -> None:
        """Write as JSON, atomically."""
        write_atomic(path, json.dumps(self.model_dump(mode="json", by_alias=True), indent=1, ensure_ascii=False) + "\n")
