"""From pairs to the report: which copies lie in two splits, under two labels, in two groups, and what is left when clean."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from edgekd import __version__
from edgekd.auditing import cleaning
from edgekd.auditing.joining import components, members
from edgekd.auditing.listing import Entry, Listing
from edgekd.auditing.matching import Matches
from edgekd.auditing.reading import ImageFacts
from edgekd.auditing.report import Audit, Counts, Leak, Pair, Straddling
from edgekd.data.dataset import SPLITS

NEAREST = 12  # pairs shown above and below the line

Array = np.ndarray


def judge(
    listing: Listing, matches: Matches, data: str, split_file: str, seconds: dict[str, float]
) -> tuple[Audit, str]:
    """The report, and the text of the clean split file ("" where the source's images are no files)."""
    facts, compared = matches.facts, matches.compared
    pictures = components(len(facts.entries), matches.copies())
    plan = cleaning.plan(matches, pictures)
    why = (
        ""
        if listing.root or listing.takes_split
        else "the images of this source are no files, which a split file could name"
    )
    found = [matches.exact_pair(int(a), int(b)) for a, b in matches.exact]
    copies = int((compared.similarity >= matches.settings.duplicate).sum())
    similar = int((compared.similarity >= matches.settings.similar).sum())
    found += [matches.pair(row) for row in range(copies)]
    related = [pair for row in range(copies, similar) if (pair := matches.pair(row)).across_splits]
    kinds = Counter(pair.kind for pair in found)
    audit = Audit(
        edgekd=__version__,
        data=data,
        settings=matches.settings,
        counts=Counts(
            listed=len(listing.entries),
            readable=len(facts.entries),
            ignored=listing.ignored,
            pictures=int(pictures.max(initial=-1)) + 1,
            pairs_compared=len(compared),
            pairs={**kinds, "similar": similar - copies},
            two_labels=sum(pair.two_labels for pair in found),
            two_groups=sum(pair.two_groups for pair in found),
            groups=len({e.group for e in facts.entries} - {None}),
            without_group=sum(e.group is None for e in facts.entries),
            unlabelled=sum(not e.label for e in facts.entries),
        ),
        classes=cleaning.count_classes((e.label, e.split) for e in facts.entries),
        troubles=facts.troubles,
        leaks=tuple(leaks(facts, pictures, found)),
        straddling=tuple(straddling(facts.entries)),
        pairs=tuple(found),
        related=tuple(related),
        line=tuple(matches.pair(row) for row in _nearest(matches)),
        clean=cleaning.describe(plan, facts.entries, facts.troubles, "" if why else Path(split_file).name, why),
        seconds=seconds,
    )
    return audit, "" if why else cleaning.as_csv(plan, facts.entries)


def _nearest(matches: Matches) -> list[int]:
    """Rows of the pairs above and below the threshold `duplicate`, the most similar first."""
    similarity = matches.compared.similarity
    middle = int((similarity >= matches.settings.duplicate).sum())
    return list(range(max(0, middle - NEAREST), min(len(similarity), middle + NEAREST)))


def leaks(facts: ImageFacts, pictures: Array, copies: list[Pair]) -> list[Leak]:
    """For val and test: how many of their images have a copy in a split before theirs, and how it lies.

    `copies` come with the most similar first. An image that is joined only through others counts under `joined`.
    """
    entries, digest = facts.entries, dict(zip((e.name for e in facts.entries), facts.pixels, strict=True))
    splits_of = defaultdict(set)  # of equal images, of which one stands for all in pairs that are not exact
    for entry in entries:
        splits_of[digest[entry.name]].add(entry.split)
    best = {(pixels, split): "exact" for pixels, splits in splits_of.items() for split in splits}
    for pair in copies:
        for one, other in ((pair.a.path, pair.b.path), (pair.b.path, pair.a.path)):
            for split in splits_of[digest[other]]:
                best.setdefault((digest[one], split), pair.kind)
    totals = Counter(entry.split for entry in entries)
    kinds: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for who in members(pictures):
        present = {entries[i].split for i in who}
        for entry in (entries[i] for i in who if entries[i].split):
            for other in present.intersection(SPLITS[: SPLITS.index(entry.split)]):
                kinds[entry.split, other][best.get((digest[entry.name], other), "joined")] += 1
    return [
        Leak(split=split, other=other, images=totals[split], leaked=found.total(), by_kind=dict(sorted(found.items())))
        for (split, other), found in sorted(kinds.items())
    ]


def straddling(entries: tuple[Entry, ...]) -> list[Straddling]:
    """Groups of the source that lie in more than one split."""
    splits: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        if entry.group is not None and entry.split:
            splits[entry.group][entry.split] += 1
    found = [(group, counts) for group, counts in splits.items() if len(counts) > 1]
    return [Straddling(group=group, splits={s: c[s] for s in SPLITS if c[s]}) for group, c in sorted(found)]
