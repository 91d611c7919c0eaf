"""Faithfulness of a map of relevance: does the network's answer hang on the pixels that the map names first?

Pixels change places with those of a baseline, the most relevant first, and the probability of the network's answer is
followed (Petsiuk et al., BMVC 2018). Forward passes only, so that any artefact can be measured.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekd.errors import missing_package
from edgekd.runtimes import Session
from edgekd.runtimes.sessions import streamed

STEPS = 50  # of a curve
KERNEL, SIGMA = 11, 5.0  # px, of the blur that insertion starts from
INSERTION, DELETION, TO_BLACK = CURVES = ("insertion", "deletion", "deletion_to_black")
RISES = (INSERTION,)  # where more is better; of the others less is


def curves(
    session: Session, pixels: np.ndarray, order: np.ndarray, target: int, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """Probabilities [steps + 1] of `target` along each of `CURVES`, pixels [S, S, 3] uint8 changing in `order` [S * S].

    Insertion turns the blurred picture into the picture, deletion the picture into the blurred one, or into black.
    """
    soft, black = blurred(pixels), np.zeros_like(pixels)
    ends = {INSERTION: (soft, pixels), DELETION: (pixels, soft), TO_BLACK: (pixels, black)}

    def pictures() -> Iterator[np.ndarray]:
        for start, end in ends.values():
            yield from between(start, end, order, steps)

    probs = streamed(session, pictures())[:, target].astype(np.float64)
    return dict(zip(ends, np.split(probs, len(ends)), strict=True))


def between(start: np.ndarray, end: np.ndarray, order: np.ndarray, steps: int) -> Iterator[np.ndarray]:
    """Pictures from `start` to `end`, steps + 1 of them; each has as many more of the end's pixels, in `order`."""
    flat, goal = start.reshape(-1, start.shape[-1]).copy(), end.reshape(-1, end.shape[-1])
    bounds = np.linspace(0, len(order), steps + 1).round().astype(int)
    for begin, stop in zip([0, *bounds[:-1]], bounds, strict=True):
        changed = order[begin:stop]
        flat[changed] = goal[changed]
        yield flat.reshape(start.shape).copy()


def auc(probs: np.ndarray) -> float:
    """The area under a curve of n points on [0, 1]: (Σp - p₀/2 - pₙ/2) / (n - 1)."""
    return float((probs.sum() - probs[0] / 2 - probs[-1] / 2) / (len(probs) - 1))


def order_of(relevance: np.ndarray, seed: int = 0) -> np.ndarray:
    """Indices [H * W] of pixels, the most relevant first; equal ones in random order, as rows would tell of places."""
    chance = np.random.default_rng(seed).random(relevance.size)
    return np.lexsort((chance, -relevance.ravel()))


def blurred(pixels: np.ndarray) -> np.ndarray:
    """Pixels [H, W, 3] uint8 under a Gaussian kernel of 11 px, sigma 5; edges go on as they end."""
    try:
        from scipy.ndimage import gaussian_filter
    except ModuleNotFoundError:
        raise missing_package("scipy", "export", "faithfulness") from None
    soft = gaussian_filter(pixels.astype(np.float32), (SIGMA, SIGMA, 0), radius=KERNEL // 2, mode="nearest")
    return (soft + 0.5).astype(np.uint8)
