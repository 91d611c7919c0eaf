"""The clean split: each picture once, each group in one split, nothing that cannot be read.

Rules. A picture under two labels is left out altogether: which label is right cannot be seen from the pixels. Of other
copies one stays. What is alike, or of one group, goes to the split that holds most of its distinct pictures; test wins a
tie against val, and val against train, so that held-out images are not lost to copies in training. Unlabelled images
have no say where labelled ones go; they stay if that is train.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from edgekd.auditing.grouping import Grouping, group_images
from edgekd.auditing.joining import members
from edgekd.auditing.listing import Entry
from edgekd.auditing.matching import Matches
from edgekd.auditing.report import ClassCount, Clean, Moved, Removed
from edgekd.auditing.troubles import WORDS, Trouble
from edgekd.data.dataset import HELD_OUT, SPLITS

Array = np.ndarray


@dataclass(frozen=True)
class CleanPlan:
    """What stays: index -> (group, split) in the order of the listing; the rest is the report's."""

    kept: dict[int, tuple[str, str]]
    removed: list[Removed]
    moved: list[Moved]
    grouping: Grouping


def plan(matches: Matches, pictures: Array) -> CleanPlan:
    """Decide for every readable image; `pictures` [N] says which picture each one is a copy of."""
    entries, grouping = matches.facts.entries, group_images(matches)
    split_of = {unit: _split(entries, pictures, who) for unit, who in enumerate(members(grouping.units))}
    kept: dict[int, tuple[str, str]] = {}
    removed, moved = [], []
    for who in members(pictures):
        names = [entries[i].name for i in who]
        if len({entries[i].label for i in who} - {""}) > 1:
            removed += [Removed(path=name, reason="the same picture under two labels") for name in names]
            continue
        split = split_of[int(grouping.units[who[0]])]
        best = min(who, key=lambda i: _preference(matches, int(i), split))
        if not entries[best].label and split in HELD_OUT:
            removed += [Removed(path=name, reason=f"no label, and of {split}") for name in names]
            continue
        kept[int(best)] = (grouping.names[best], split)
        if entries[best].split != split:
            moved.append(Moved(path=entries[best].name, before=entries[best].split, after=split))
        removed += [
            Removed(path=name, reason="a copy", kept=entries[best].name)
            for i, name in zip(who, names, strict=True)
            if i != best
        ]
    removed.sort(key=lambda r: r.path)
    return CleanPlan({i: kept[i] for i in sorted(kept)}, removed, sorted(moved, key=lambda m: m.path), grouping)


def _preference(matches: Matches, index: int, split: str) -> tuple[bool, bool, int, str]:
    """Which copy stays: one with a label, then in the right split already, then the largest, then the first by name."""
    entry = matches.facts.entries[index]
    return not entry.label, entry.split != split, -int(np.prod(matches.facts.sizes[index], dtype=np.int64)), entry.name


def _split(entries: tuple[Entry, ...], pictures: Array, who: Array) -> str:
    """The split of a unit: where most of its distinct labelled pictures are; images without a split have no say."""
    found: dict[str, set[int]] = defaultdict(set)
    for i in [i for i in who if entries[i].label] or who:
        if entries[i].split:
            found[entries[i].split].add(int(pictures[i]))
    return max(found, key=lambda split: (len(found[split]), SPLITS.index(split)), default="")


def as_csv(plan: CleanPlan, entries: tuple[Entry, ...]) -> str:
    """split.csv, which the csv source reads: path, label, group, split; without what lies elsewhere."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "label", "group", "split"])
    for index, (group, split) in plan.kept.items():
        if not entries[index].is_elsewhere:
            writer.writerow([entries[index].name, entries[index].label, group, split])
    return text.getvalue()


def describe(plan: CleanPlan, entries: tuple[Entry, ...], troubles: tuple[Trouble, ...], file: str, why: str) -> Clean:
    """The report of a plan; `why` says why no file was written, "" if one was."""
    kept = count_classes(
        (entries[i].label, split) for i, (_, split) in plan.kept.items() if not entries[i].is_elsewhere
    )
    unusable = [Removed(path=t.path, reason=WORDS[t.kind]) for t in troubles if not t.is_usable]
    before = {(e.split, e.label) for e in entries}
    after = {(c.split, c.label) for c in kept}
    notes = [why] if why else []
    lost = sorted(f"{split or 'the set'}: {label}" for split, label in before - after if label)
    if lost:
        notes.append(f"nothing is left of {', '.join(lost)}; bring more images or cut a new split")
    elsewhere = {e.name for e in entries if e.is_elsewhere}
    if elsewhere:
        notes.append(
            f"{len(elsewhere)} images of data.unlabelled are no part of the file: training reads that folder itself"
        )
    if left_out := sum(r.path in elsewhere for r in plan.removed):
        notes.append(f"{left_out} of them are listed as left out: take them out of the folder")
    return Clean(
        file=file,
        kept=kept,
        removed=tuple(plan.removed + unusable),
        moved=tuple(plan.moved),
        estimated_groups=plan.grouping.estimated,
        largest_estimated_group=plan.grouping.largest,
        estimated_groups_used=plan.grouping.is_used,
        notes=tuple(notes),
    )


def count_classes(pairs: Iterable[tuple[str, str]]) -> tuple[ClassCount, ...]:
    """Counts of (label, split), splits in the order of a split and then by label."""
    counted = Counter(pairs)
    order = ("", *SPLITS)
    keys = sorted(counted, key=lambda key: (order.index(key[1]), key[0]))
    return tuple(ClassCount(split=split, label=label, images=counted[label, split]) for label, split in keys)
