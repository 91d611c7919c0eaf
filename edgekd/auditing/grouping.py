"""Groups: the source's own, and an estimate for images that it gives none, from chains of pictures that are alike.

An estimated group is no patient. On Figshare's slices, whose patients are known (benchmarks/audit_patients.py), the chains
hold a tenth of the pairs of slices of one patient, and of the pairs in one chain less than half are of one patient. The longest
is the worst: 73 of 2,412 slices (3 %), of 15 patients. A set in which a chain grows that long gets no estimate unless asked.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from edgekd.auditing.joining import chains, components
from edgekd.auditing.listing import Entry
from edgekd.auditing.matching import Matches
from edgekd.recipe import AuditRecipe

ESTIMATED = "estimated-"

Array = np.ndarray


@dataclass(frozen=True)
class Grouping:
    """`names` [N]: the group of each image, "" for none; `units` [N]: what goes into one split as a whole.

    `estimated` groups were found, the largest of `largest` images; they are among the names if `is_used`.
    """

    names: tuple[str, ...]
    units: Array
    estimated: int
    largest: int
    is_used: bool


def group_images(matches: Matches) -> Grouping:
    """Groups and units of the readable images. Images without a group are chained, directly or through others, if alike."""
    entries = matches.facts.entries
    known = [entry.group for entry in entries]
    alike = components(len(entries), np.concatenate([matches.alike(), chains(known)]))
    sizes = Counter(int(unit) for unit, name in zip(alike, known, strict=True) if name is None)
    largest = max(sizes.values(), default=0)
    is_used = bool(sizes) and _is_wanted(largest, len(entries), matches.settings)
    if is_used:
        return Grouping(_names(entries, alike), alike, len(sizes), largest, True)
    copies = components(len(entries), np.concatenate([matches.copies(), chains(known)]))
    return Grouping(tuple(name or "" for name in known), copies, len(sizes), largest, False)


def _is_wanted(largest: int, images: int, settings: AuditRecipe) -> bool:
    """Whether the estimate is to be used: as asked, else where no chain is too long (two images are none)."""
    if settings.estimate_groups != "auto":
        return settings.estimate_groups == "always"
    return largest <= max(2, settings.longest_chain * images)


def _names(entries: tuple[Entry, ...], units: Array) -> tuple[str, ...]:
    """The source's groups, and for images without one estimated-0001 and so on, by unit; never a name that is taken."""
    taken = {entry.group for entry in entries if entry.group}
    names: dict[int, str] = {}
    number = 0
    for entry, unit in zip(entries, units, strict=True):
        if entry.group is None and unit not in names:
            number += 1
            while f"{ESTIMATED}{number:04d}" in taken:
                number += 1
            names[unit] = f"{ESTIMATED}{number:04d}"
    return tuple(e.group if e.group is not None else names[u] for e, u in zip(entries, units, strict=True))
