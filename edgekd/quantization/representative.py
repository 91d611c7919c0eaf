"""The representative set: the labelled training images that set quantization ranges. Never validation, never test."""

from __future__ import annotations

import numpy as np

from edgekd.data.dataset import NO_LABEL


def choose(labels: np.ndarray, rows: np.ndarray, count: int, seed: int) -> np.ndarray:
    """`count` of the labelled training `rows` (all, if there are fewer), the same share of every class, in a random order.

    Shapes: labels [N] of all images, rows [T] of those in training; the result is sorted neither by class nor by row. It is
    the same whichever unlabelled images are among them.
    """
    rng = np.random.default_rng([seed, 0x5E7])
    rows = rows[labels[rows] != NO_LABEL]
    classes = np.unique(labels[rows])
    shuffled = {k: rng.permutation(rows[labels[rows] == k]) for k in classes}
    # Dealing the classes in turn keeps the shares equal to within one image until a class is used up.
    longest = max((len(r) for r in shuffled.values()), default=0)
    dealt = [r[i] for i in range(longest) for r in shuffled.values() if i < len(r)]
    return np.array(dealt[:count], dtype=np.int64)
