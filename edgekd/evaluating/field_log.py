"""The marked answers of a phone, measured."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.console import Console

from edgekd.android import field_log
from edgekd.measures.field import UNKNOWN, FieldScores, score
from edgekd.reports import field_table


def show(path: str | Path, console: Console) -> None:
    """Read a field log; show what it says of each model.

    Raises: EdgekdError as `field_log.read` does.
    """
    log = field_log.read(path)
    for entries in log.by_model.values():
        field_table.show(entries[-1].model, entries[-1].model_sha256, scores(entries), console)
    if log.replaced:
        what = "replaced by a later mark of the same image, or withdrawn"
        console.print(f"rows that do not count: {log.replaced}, {what}", highlight=False)


def scores(entries: Sequence[field_log.Entry]) -> FieldScores:
    """Measures of the answers of one model."""
    names = list(entries[0].probs)
    index = {name: k for k, name in enumerate(names)} | {"": UNKNOWN}
    return score(
        probs=np.array([list(e.probs.values()) for e in entries]),
        is_right=np.array([e.mark == "right" for e in entries]),
        is_unsure=np.array([e.unsure for e in entries]),
        labels=np.array([index[e.true_label] for e in entries]),
        sets=[None if e.set is None else [index[name] for name in e.set] for e in entries],
        label_names=names,
    )
