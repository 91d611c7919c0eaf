"""Records of explanations in one document: areas, how far above chance, the change from float network to file, localisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import ConfigDict, Field

from edgekd.measures.explanations import RANDOM, Record
from edgekd.measures.faithfulness import CURVES, RISES, auc
from edgekd.measures.intervals import Interval, mean_interval, share_interval
from edgekd.measures.sanity import Likeness
from edgekd.section import Section

MEASURES = ("pointing", "mass", "rank")


class Mean(Section):
    """A mean over pictures with its 95 % interval, by bootstrap over groups."""

    mean: float
    interval: Interval


class Curve(Section):
    """One curve of a method on a network: its area, and how much better it is than a random order, picture by picture.

    `better` is positive where the method is better: a larger area of insertion, a smaller one of deletion. `points` are means.
    """

    auc: Mean
    better: Mean | None  # None for the random order itself
    points: tuple[float, ...]

    @property
    def beats_chance(self) -> bool:
        """Whether the interval of `better` lies above 0."""
        return self.better is not None and self.better.interval[0] > 0


class Row(Section):
    """A method on a network; `regions` counts the pictures with a known region whose answer is right."""

    network: str
    method: str
    curves: dict[str, Curve]
    regions: int
    localisation: dict[str, Mean]


class Change(Section):
    """The change of a method's areas from the first network to another, in pairs; the sign is that of the areas."""

    network: str
    method: str
    curves: dict[str, Mean]


class Sanity(Section):
    """How alike a method's maps are by the float network and by the same with shuffled weights: mean rank correlation."""

    method: str
    images: int
    correlation: Mean


class Trust(Section):
    """How far explanations of a bundle's networks can be trusted."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    schema_: Literal["edgekd.faithfulness/1"] = Field("edgekd.faithfulness/1", alias="schema")
    bundle: str
    images: int
    groups: int | None
    rows: tuple[Row, ...]
    drift: tuple[Change, ...]
    sanity: tuple[Sanity, ...] = ()  # empty where it was not asked for


def summary(records: Sequence[Record], bundle: str, groups: Mapping[str, str] | None) -> Trust:
    """Records of all pictures by network and method; `groups` gives that of each picture, where they are known."""
    table: dict[tuple[str, str], list[Record]] = {}
    for record in records:
        table.setdefault((record.network, record.method), []).append(record)
    areas = {where: _areas(found) for where, found in table.items() if found[0].curves}
    order = [r.picture for r in next(iter(table.values()))]
    members = None if groups is None else [groups[name] for name in order]
    first = records[0].network
    return Trust(
        bundle=bundle,
        images=len(order),
        groups=None if members is None else len(set(members)),
        rows=tuple(_row(found, areas, groups, members) for found in table.values()),
        drift=tuple(
            Change(
                network=network,
                method=method,
                curves={c: _mean(found[c] - areas[first, method][c], members) for c in CURVES},
            )
            for (network, method), found in areas.items()
            if network != first
        ),
    )


def with_sanity(trust: Trust, found: Sequence[Likeness], groups: Mapping[str, str] | None) -> Trust:
    """The document with what randomised weights show."""
    rows = []
    for method in dict.fromkeys(one.method for one in found):
        own = [one for one in found if one.method == method]
        members = None if groups is None else [groups[one.picture] for one in own]
        correlation = _mean(np.array([one.correlation for one in own]), members)
        rows.append(Sanity(method=method, images=len(own), correlation=correlation))
    return trust.model_copy(update={"sanity": tuple(rows)})


def _areas(records: Sequence[Record]) -> dict[str, np.ndarray]:
    return {curve: np.array([auc(np.array(r.curves[curve])) for r in records]) for curve in CURVES}


def _row(
    records: Sequence[Record],
    areas: Mapping[tuple[str, str], dict[str, np.ndarray]],
    groups: Mapping[str, str] | None,
    members: Sequence[str] | None,
) -> Row:
    network, method = records[0].network, records[0].method
    curves = {}
    for curve, found in areas.get((network, method), {}).items():
        better = (found - areas[network, RANDOM][curve]) * (1 if curve in RISES else -1)
        curves[curve] = Curve(
            auc=_mean(found, members),
            better=None if method == RANDOM else _mean(better, members),
            points=tuple(np.mean([r.curves[curve] for r in records], axis=0).round(6).tolist()),
        )
    # Where the answer is wrong, what spoke for it need not lie in the region.
    known = [(r.picture, r.region) for r in records if r.region and r.is_right]
    inside = None if groups is None else [groups[name] for name, _ in known]
    return Row(
        network=network,
        method=method,
        curves=curves,
        regions=len(known),
        localisation={m: _share(np.array([getattr(g, m) for _, g in known]), inside) for m in MEASURES if known},
    )


def _mean(values: np.ndarray, groups: Sequence[str] | None) -> Mean:
    return Mean(mean=float(values.mean()), interval=mean_interval(values, groups))


def _share(values: np.ndarray, groups: Sequence[str] | None) -> Mean:
    """As `_mean`, of values in [0, 1]."""
    return Mean(mean=float(values.mean()), interval=share_interval(values, groups))
