"""The clean split: each picture once, each group on one side, nothing that cannot be read.

Rules. A picture under two labels is left out altogether: which label is right cannot be seen from the pixels. Of other
copies one stays. What is alike, or of one group, goes to the side that holds most of its distinct pictures; test wins a
tie against val, and val against train, so that held-out images are not lost to copies in training.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np

from edgekd.auditing.joining import chains, components, members
from edgekd.auditing.listing import Entry
from edgekd.auditing.matching import Matches
from edgekd.auditing.report import ClassCount, Clean, Moved, Removed
from edgekd.auditing.troubles import WORDS, Trouble
from edgekd.data.dataset import SPLITS

ESTIMATED = "estimated-"

Array = np.ndarray


@dataclass(frozen=True)
class CleanPlan:
    """What stays: index -> (group, side) in the order of the listing; the rest is the report's."""

    kept: dict[int, tuple[str, str]]
    removed: list[Removed]
    moved: list[Moved]
    estimated_groups: int
    largest_estimated_group: int


def plan(matches: Matches, pictures: Array) -> CleanPlan:
    """Decide for every readable image; `pictures` [N] says which picture each one is a copy of.

    Groups are the source's; images without one get an estimated group: those that are alike, directly or through others.
    """
    entries = matches.facts.entries
    known = [entry.group for entry in entries]
    alike = matches.alike() if None in known else matches.copies()
    units = components(len(entries), np.concatenate([alike, chains(known)]))
    groups, estimated = _groups(entries, units)
    side_of = {unit: _side(entries, pictures, who) for unit, who in enumerate(members(units))}
    kept: dict[int, tuple[str, str]] = {}
    removed, moved = [], []
    for who in members(pictures):
        names = [entries[i].name for i in who]
        if len({entries[i].label for i in who}) > 1:
            removed += [Removed(path=name, reason="the same picture under two labels") for name in names]
            continue
        side = side_of[int(units[who[0]])]
        best = min(who, key=lambda i: _preference(matches, int(i), side))
        kept[int(best)] = (groups[best], side)
        if entries[best].side != side:
            moved.append(Moved(path=entries[best].name, before=entries[best].side, after=side))
        removed += [
            Removed(path=name, reason="a copy", kept=entries[best].name)
            for i, name in zip(who, names, strict=True)
            if i != best
        ]
    sizes = Counter(groups[i] for i in range(len(entries)) if groups[i].startswith(ESTIMATED)) if estimated else {}
    ordered = {i: kept[i] for i in sorted(kept)}
    removed.sort(key=lambda r: r.path)
    return CleanPlan(ordered, removed, sorted(moved, key=lambda m: m.path), estimated, max(sizes.values(), default=0))


def _preference(matches: Matches, index: int, side: str) -> tuple[bool, int, str]:
    """Which copy stays: one that is on the right side already, then the largest, then the first by name."""
    entry = matches.facts.entries[index]
    return entry.side != side, -int(np.prod(matches.facts.sizes[index], dtype=np.int64)), entry.name


def _groups(entries: tuple[Entry, ...], units: Array) -> tuple[list[str], int]:
    """The group of each image, estimated where the source has none; and the number of estimated groups."""
    taken = {entry.group for entry in entries if entry.group}
    names: dict[int, str] = {}
    number = 0
    for entry, unit in zip(entries, units, strict=True):
        if entry.group is None and unit not in names:
            number += 1
            while f"{ESTIMATED}{number:04d}" in taken:
                number += 1
            names[unit] = f"{ESTIMATED}{number:04d}"
    groups = [e.group if e.group is not None else names[u] for e, u in zip(entries, units, strict=True)]
    return groups, len(names)


def _side(entries: tuple[Entry, ...], pictures: Array, who: Array) -> str:
    """The side of a unit: where most of its distinct pictures are; images without a side have no say."""
    found: dict[str, set[int]] = defaultdict(set)
    for i in who:
        if entries[i].side:
            found[entries[i].side].add(int(pictures[i]))
    return max(found, key=lambda side: (len(found[side]), SPLITS.index(side)), default="")


def as_csv(plan: CleanPlan, entries: tuple[Entry, ...]) -> str:
    """split.csv, which the csv source reads: path, label, group, split."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "group", "split"])
    for index, (group, side) in plan.kept.items():
        writer.writerow([entries[index].name, entries[index].label, group, side])
    return text.getvalue()


def describe(plan: CleanPlan, entries: tuple[Entry, ...], troubles: tuple[Trouble, ...], file: str, why: str) -> Clean:
    """The report of a plan; `why` says why no file was written, "" if one was."""
    kept = count_classes((entries[i].label, side) for i, (_, side) in plan.kept.items())
    unusable = [Removed(path=t.path, reason=WORDS[t.kind]) for t in troubles if not t.is_usable]
    before = {(e.side, e.label) for e in entries}
    after = {(c.side, c.label) for c in kept}
    notes = [why] if why else []
    lost = sorted(f"{side or 'the set'}: {label}" for side, label in before - after)
    if lost:
        notes.append(f"nothing is left of {', '.join(lost)}; bring more images or cut a new split")
    return Clean(
        file=file,
        kept=kept,
        removed=tuple(plan.removed + unusable),
        moved=tuple(plan.moved),
        estimated_groups=plan.estimated_groups,
        largest_estimated_group=plan.largest_estimated_group,
        notes=tuple(notes),
    )


def count_classes(pairs: object) -> tuple[ClassCount, ...]:
    """Counts of (label, side), sides in the order of a split and then by label."""
    counted = Counter(pairs)
    order = ("", *SPLITS)
    keys = sorted(counted, key=lambda key: (order.index(key[1]), key[0]))
    return tuple(ClassCount(side=side, label=label, images=counted[label, side]) for label, side in keys)
