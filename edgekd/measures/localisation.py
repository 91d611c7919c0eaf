"""Localisation: does a map of relevance lie where the true region is? For pictures whose region is known.

A network may well go by something else than the region, so this says more of the network than of the method; faithfulness
says the rest. `baselines` are maps that know nothing of the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Localisation:
    """All in [0, 1]. `share` is the mask's of the picture: what a map drawn at random reaches in each measure."""

    pointing: float
    mass: float
    rank: float
    share: float


def localisation(relevance: np.ndarray, mask: np.ndarray) -> Localisation:
    """Where relevance [H, W] lies, given the true region `mask` [H, W] bool.

    `pointing`: whether the strongest pixel is inside, or the share of the strongest ones if several are equal (pointing
    game; Zhang et al., IJCV 2018). `mass`: the share of positive relevance that is inside. `rank`: of the K strongest pixels
    the share inside, K being the mask's size; of equal ones at the end, their mean (both Arras et al., Inf. Fusion 2022).
    Raises: ValueError for other shapes or an empty mask.
    """
    if relevance.shape != mask.shape or mask.dtype != bool or not mask.any():
        raise ValueError(f"expected a mask of shape {relevance.shape} with pixels, found {mask.dtype} {mask.shape}")
    positive = np.maximum(relevance, 0).astype(np.float64)
    total, count = positive.sum(), int(mask.sum())
    share = count / mask.size
    last = np.partition(relevance.ravel(), -count)[-count]
    above, equal = relevance > last, relevance == last
    at_end = (count - above.sum()) * mask[equal].mean()
    return Localisation(
        pointing=float(mask[relevance == relevance.max()].mean()),
        mass=float(positive[mask].sum() / total) if total else share,
        rank=float((mask[above].sum() + at_end) / count),
        share=share,
    )


def baselines(pixels: np.ndarray) -> dict[str, np.ndarray]:
    """Maps [H, W] of pixels [H, W, 3] uint8 that ask no network: the brightest spot, and the nearness to the centre."""
    height, width = pixels.shape[:2]
    y, x = np.ogrid[:height, :width]
    away = np.hypot(y - (height - 1) / 2, x - (width - 1) / 2)
    return {"brightest": pixels.mean(2), "centre": away.max() - away}
