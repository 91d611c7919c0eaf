"""All pairs that agree: exact copies by their pixels, the others by search and comparison, every copy looked at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edgekd.auditing.comparison import FRAMES, Comparison, compare
from edgekd.auditing.joining import chains
from edgekd.auditing.reading import ImageFacts
from edgekd.auditing.report import Pair, Picture
from edgekd.auditing.search import candidates
from edgekd.auditing.views import VIEWS
from edgekd.recipe import AuditRecipe

BRIGHTER, STEEPER = 6.0, 1.08  # grey values, ratio of deviations: from here on an edit of the tones is named

Array = np.ndarray


@dataclass(frozen=True)
class Matches:
    """`exact` [E, 2]: equal decoded pixels, chained in order. `compared`: every pair that was compared in full."""

    facts: ImageFacts
    exact: Array
    compared: Comparison
    settings: AuditRecipe

    def copies(self) -> Array:
        """Pairs [M, 2] that are copies: exact ones and those from the threshold `duplicate` on."""
        return np.concatenate([self.exact, self._from(self.settings.duplicate)])

    def alike(self) -> Array:
        """Pairs [M, 2] from the threshold `similar` on, copies among them."""
        return np.concatenate([self.exact, self._from(self.settings.similar)])

    def _from(self, threshold: float) -> Array:
        return self.compared.pairs[self.compared.similarity >= threshold]

    def picture(self, index: int) -> Picture:
        """An image as reports show it."""
        entry = self.facts.entries[index]
        return Picture(path=entry.name, label=entry.label, split=entry.split, group=entry.group or "")

    def exact_pair(self, a: int, b: int) -> Pair:
        """The report of an exact copy."""
        return Pair(
            kind="exact",
            a=self.picture(a),
            b=self.picture(b),
            similarity=1.0,
            view="pixel for pixel",
            frame=FRAMES[0],
        )

    def pair(self, row: int) -> Pair:
        """The report of a compared pair."""
        a, b = (int(i) for i in self.compared.pairs[row])
        similarity = float(self.compared.similarity[row])
        view, frame = VIEWS[int(self.compared.view[row])], FRAMES[int(self.compared.frame[row])]
        is_copy = similarity >= self.settings.duplicate
        return Pair(
            kind=view.kind if is_copy else "similar",
            a=self.picture(a),
            b=self.picture(b),
            similarity=round(similarity, 4),
            view=view.words,
            frame=frame,
            edits=self._edits(a, b, frame) if is_copy else (),
        )

    def _edits(self, a: int, b: int, frame: str) -> tuple[str, ...]:
        (mean_a, spread_a), (mean_b, spread_b) = self.facts.tones[a], self.facts.tones[b]
        in_box, found = "box" in frame, []
        if not np.array_equal(self.facts.sizes[a], self.facts.sizes[b]):
            found.append("resized")
        if in_box:
            found.append("squeezed, padded or cropped")
        # The tones of a whole image change with its margins too, so they tell nothing about those pairs.
        ratio = max(spread_a, spread_b) / max(min(spread_a, spread_b), 1e-3)
        if not in_box and (abs(mean_a - mean_b) > BRIGHTER or ratio > STEEPER):
            found.append("brightness or contrast")
        return tuple(found)


def match(facts: ImageFacts, settings: AuditRecipe, progress: Callable[[int, int], None] | None = None) -> Matches:
    """Find every pair. Of equal images the first stands for all, so that a thousand copies do not crowd out others."""
    firsts: dict[bytes, int] = {}
    for index, digest in enumerate(facts.pixels):
        firsts.setdefault(digest, index)
    first = np.array(list(firsts.values()), np.int64)
    pairs = candidates(facts.coarse[:, first], settings.neighbours) if len(first) else np.zeros((0, 2), np.int64)
    compared = compare(facts.fine, first[pairs], settings.duplicate, progress)
    order = np.argsort(-compared.similarity, kind="stable")
    return Matches(facts, chains(facts.pixels), compared.where(order), settings)
