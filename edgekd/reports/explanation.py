"""Explained pictures on the screen: the answer to each, with its probabilities, and whether float network and file agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.classifier import Answer, Explanation
from edgekd.measures.localisation import Localisation, localisation
from edgekd.measures.similarity import rank_correlation
from edgekd.reports import left_out
from edgekd.reports.screen import Table

FLOAT = "float"


@dataclass(frozen=True)
class Row:
    """One picture: answers by network, the first being the one that is explained, and maps by (method, network).

    `label_name` is its label and `mask` [S, S] bool its true region, where they are known. A picture that cannot be used has a
    reason instead.
    """

    name: str
    answers: Mapping[str, Answer] = field(default_factory=dict)
    maps: Mapping[tuple[str, str], Explanation] = field(default_factory=dict)
    reason: str = ""
    label_name: str = ""
    mask: np.ndarray | None = None

    @property
    def shown(self) -> str:
        """Its name, readable whatever bytes are in it."""
        return self.name.encode("utf-8", "replace").decode("utf-8")

    @property
    def likeness(self) -> dict[str, float | None]:
        """Rank correlation of the float network's map with the file's, by method, where there are both."""
        pairs: dict[str, dict[str, Explanation]] = {}
        for (method, who), found in self.maps.items():
            pairs.setdefault(method, {})[who] = found
        return {
            method: rank_correlation(*(found.relevance for found in both.values()))
            for method, both in pairs.items()
            if len(both) == 2
        }

    def place(self, relevance: np.ndarray) -> Localisation | None:
        """Where a map lies, given the true region."""
        return None if self.mask is None else localisation(relevance, self.mask)

    @property
    def facts(self) -> dict[str, Any]:
        """The row in plain values, without pixels."""
        if self.reason:
            return {"picture": self.shown, "reason": self.reason}
        return {
            "picture": self.shown,
            "label_name": self.label_name or None,
            "answers": {
                who: {"label_name": a.label_name, "probs": a.probs, "possible": a.possible}
                for who, a in self.answers.items()
            },
            "maps": [
                {
                    "method": method,
                    "network": who,
                    "label_name": found.label_name,
                    "low": float(found.relevance.min()),
                    "high": float(found.relevance.max()),
                    "region": asdict(place) if (place := self.place(found.relevance)) else None,
                }
                for (method, who), found in self.maps.items()
            ],
            "rank_correlation": self.likeness,
        }


def possible(answer: Answer) -> str:
    """glioma or meningioma; "not sure" where it may be none of the classes or any; "–" without a conformal record."""
    if answer.possible is None:
        return "–"
    return " or ".join(answer.possible) if 0 < len(answer.possible) < len(answer.probs) else "not sure"


def show(rows: Sequence[Row], console: Console) -> None:
    """One row for each picture and network."""
    labels = list(next((a.probs for row in rows for a in row.answers.values()), {}))
    table = Table(
        "picture", "network", "answer", *map(escape, labels), "may be", "maps alike", box=SIMPLE, pad_edge=False
    )
    for row in rows:
        if row.reason:
            table.add_row(escape(row.shown), "", "[yellow]none, see below[/]", *[""] * (len(labels) + 2))
        alike = ", ".join(f"{m} {'–' if r is None else f'{r:.2f}'}" for m, r in row.likeness.items())
        for index, (who, answer) in enumerate(row.answers.items()):
            probs = (f"{100 * p:.1f} %" for p in answer.probs.values())
            known = f" ({row.label_name})" if row.label_name else ""
            name, last = (escape(row.shown + known), alike) if index == 0 else ("", "")
            table.add_row(name, who, escape(answer.label_name), *probs, escape(possible(answer)), last)
    console.print(table)
    left_out.show([(row.shown, row.reason) for row in rows if row.reason], console)
    if any(row.likeness for row in rows):
        console.print("maps alike: rank correlation of the float network's map with the file's", highlight=False)
    for row in rows:
        for (method, who), found in row.maps.items():
            if place := row.place(found.relevance):
                console.print(escape(f"{method} of {who}: {place_in_words(place)}"), highlight=False, soft_wrap=True)


def place_in_words(place: Localisation) -> str:
    """41 % of what speaks for the answer lies in the true region, which is 2 % of the picture; …"""
    strongest = "inside" if place.pointing == 1 else "outside" if place.pointing == 0 else "inside and outside"
    region = f"the true region, which is {100 * place.share:.1f} % of the picture"
    return (
        f"{100 * place.mass:.0f} % of what speaks for the answer lies in {region}; the strongest pixel is {strongest}"
    )
