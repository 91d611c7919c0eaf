"""A map of relevance as colours over its picture, by Pillow and NumPy alone; and a file's own map in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from edgekd.bundle import ArtefactRecord

# From what speaks against a class to what speaks for it; told apart with any colour vision, and on black as on white.
AGAINST, FOR, MOST = (0, 114, 178), (213, 94, 0), (255, 214, 70)
OPAQUE = 0.85  # of the strongest relevance
DIM = 0.7  # of the picture, so that relevance shows on white too
STRONGEST = 0.995  # share of pixels below the end of the scale: a few of relevance propagation's would outshine all


@dataclass(frozen=True)
class Scale:
    """The values between which colours run: evenly to both sides of 0 where a map has negative values, else from its least."""

    low: float
    high: float

    @classmethod
    def of(cls, relevance: np.ndarray) -> Scale:
        """The scale of one map [H, W]; the strongest 0.5 % of its pixels may lie beyond."""
        low = float(relevance.min())
        if low < 0:
            high = float(np.quantile(np.abs(relevance), STRONGEST)) or -low
            return cls(-high, high)
        return cls(low, float(np.quantile(relevance, STRONGEST)))

    def strength(self, relevance: np.ndarray) -> np.ndarray:
        """Values to -1 (most against) .. 0 (nothing) .. 1 (most for); all 0 for a map without differences."""
        start = 0.0 if self.low < 0 else self.low
        return (relevance - start) / (self.high - start) if self.high > start else np.zeros(relevance.shape)


def overlay(pixels: np.ndarray, relevance: np.ndarray, scale: Scale | None = None) -> Image.Image:
    """Relevance [H, W] laid over pixels [H, W, 3] uint8, in grey so that no colour is the picture's own."""
    strength = (scale or Scale.of(relevance)).strength(relevance)
    grey = DIM * np.asarray(Image.fromarray(pixels).convert("L"), np.float64)[..., None]
    alpha = OPAQUE * np.clip(np.abs(strength), 0, 1)[..., None]
    return Image.fromarray((grey + (colours(strength) - grey) * alpha + 0.5).astype(np.uint8))


def outlined(image: Image.Image, mask: np.ndarray | None) -> Image.Image:
    """The image with the region [H, W] bool outlined: white at its border, black around that, to show on any ground."""
    if mask is None:
        return image
    pixels = np.array(image)
    around = _grown(mask) & ~mask
    pixels[_grown(around) & ~mask & ~around] = 0
    pixels[around] = 255
    return Image.fromarray(pixels)


def _grown(mask: np.ndarray) -> np.ndarray:
    """The mask and its neighbours above, below, left and right."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def colours(strength: np.ndarray) -> np.ndarray:
    """Colours [..., 3] in 0..255 of strengths in -1..1."""
    warm = np.array(FOR) + (np.array(MOST) - FOR) * np.clip(strength, 0, 1)[..., None]
    return np.where((strength < 0)[..., None], np.array(AGAINST, np.float64), warm)


def strip(scale: Scale, width: int = 120, height: int = 8) -> Image.Image:
    """The colours of a scale from its low to its high end, over mid grey."""
    values = np.broadcast_to(np.linspace(scale.low, scale.high, width), (height, width))
    return overlay(np.full((height, width, 3), 96, np.uint8), values, scale)


def words(record: ArtefactRecord) -> str:
    """What is known of a file's own heat map; "" for a file without."""
    found = record.heatmap
    if found is None or not found.is_in_file:
        return ""
    if found.rank_correlation is None:
        return "with its heat map; no rank correlation with the float network's: no validation images, or maps of one place"
    ranks = f"{found.rank_correlation:.3f} on average, {found.rank_correlation_low:.3f} at the 5th percentile"
    return f"with its heat map; rank correlation with the float network's: {ranks} of {found.rank_images} images"
