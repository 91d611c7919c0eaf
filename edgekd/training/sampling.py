"""Which images an epoch shows and in which order: every one once, or equally many of each class.

Both are functions of (seed, epoch) alone. An image that a balanced epoch shows again shows another view of itself: that of an
epoch which no training reaches otherwise, so that a view stays a function of (seed, epoch, image) and the store of teacher
outputs knows it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from edgekd.data.dataset import NO_LABEL

AGAIN = 2**20  # epochs between the view of an image and that of the same image shown once more


@dataclass(frozen=True)
class Draws:
    """Rows [M] in the order in which they are shown, and the epoch [M] whose view each one shows; one for all is a number."""

    rows: np.ndarray
    epochs: int | np.ndarray

    def part(self, begin: int, end: int, share: slice) -> Draws:
        """The share of a process in a batch."""
        epochs = self.epochs if isinstance(self.epochs, int) else self.epochs[begin:end][share]
        return Draws(self.rows[begin:end][share], epochs)


class Sampler:
    """Deals the images `rows` [N] of a training to epochs; `labels` are those of the whole set.

    With `images_per_class` each class is shown so many times an epoch: of its n images every one is shown as often as any
    other, or once more, and which ones are is drawn anew. Images without a label are shown once.

    With `view_epochs` the images and views of so many epochs come again and again, each time in another order.
    """

    def __init__(
        self,
        rows: np.ndarray,
        labels: np.ndarray,
        images_per_class: int | None,
        seed: int,
        view_epochs: int | None = None,
    ) -> None:
        self.rows, self.images_per_class, self.seed, self.view_epochs = rows, images_per_class, seed, view_epochs
        found = labels[rows]
        self.unlabelled = rows[found == NO_LABEL]
        self.classes = [rows[found == k] for k in np.unique(found) if k != NO_LABEL]

    @property
    def count(self) -> int:
        """How many images an epoch shows."""
        if self.images_per_class is None:
            return len(self.rows)
        return self.images_per_class * len(self.classes) + len(self.unlabelled)

    def draws(self, epoch: int) -> Draws:
        """What `epoch` shows."""
        if self.view_epochs is None or epoch < self.view_epochs:
            return self._new(epoch)
        shown = self._new(epoch % self.view_epochs)
        order = epoch_order(np.arange(len(shown.rows)), self.seed, epoch)
        return Draws(shown.rows[order], shown.epochs if isinstance(shown.epochs, int) else shown.epochs[order])

    def _new(self, epoch: int) -> Draws:
        """What `epoch` shows where no epoch comes again."""
        if self.images_per_class is None:
            return Draws(epoch_order(self.rows, self.seed, epoch), epoch)
        rng = np.random.default_rng(derived_seed(self.seed, "balanced", epoch))
        rows, rounds = [self.unlabelled], [np.zeros(len(self.unlabelled), np.int64)]
        for members in self.classes:
            places = np.arange(self.images_per_class)
            rows.append(rng.permutation(members)[places % len(members)])
            rounds.append(places // len(members))
        order = rng.permutation(self.count)
        return Draws(np.concatenate(rows)[order], epoch + AGAIN * np.concatenate(rounds)[order])


def derived_seed(*parts: object) -> int:
    """A seed that is a function of its parts and of nothing else, below 2^63."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def epoch_order(rows: np.ndarray, seed: int, epoch: int) -> np.ndarray:
    """`rows` in the random order of `epoch`."""
    return np.random.default_rng(derived_seed(seed, "order", epoch)).permutation(rows)
