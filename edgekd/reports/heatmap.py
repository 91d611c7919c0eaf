"""A map of relevance as colours over its picture, by Pillow and NumPy alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

# From what speaks against a class to what speaks for it; told apart with any colour vision, and on black as on white.
AGAINST, FOR, MOST = (0, 114, 178), (213, 94, 0), (255, 214, 70)
OPAQUE = 0.8  # of the strongest relevance


@dataclass(frozen=True)
class Scale:
    """The values between which colours run: evenly to both sides of 0 where a map has negative values, else from its least."""

    low: float
    high: float

    @classmethod
    def of(cls, relevance: np.ndarray) -> Scale:
        """The scale of one map [H, W]."""
        low, high = float(relevance.min()), float(relevance.max())
        if low < 0:
            high = max(high, -low)
            low = -high
        return cls(low, high)

    def strength(self, relevance: np.ndarray) -> np.ndarray:
        """Values to -1 (most against) .. 0 (nothing) .. 1 (most for); all 0 for a map without differences."""
        start = 0.0 if self.low < 0 else self.low
        return (relevance - start) / (self.high - start) if self.high > start else np.zeros(relevance.shape)


def overlay(pixels: np.ndarray, relevance: np.ndarray, scale: Scale | None = None) -> Image.Image:
    """Relevance [H, W] laid over pixels [H, W, 3] uint8, in grey so that no colour is the picture's own."""
    strength = (scale or Scale.of(relevance)).strength(relevance)
    grey = np.asarray(Image.fromarray(pixels).convert("L"), np.float64)[..., None]
    alpha = OPAQUE * np.clip(np.abs(strength), 0, 1)[..., None]
    return Image.fromarray((grey + (colours(strength) - grey) * alpha + 0.5).astype(np.uint8))


def colours(strength: np.ndarray) -> np.ndarray:
    """Colours [..., 3] in 0..255 of strengths in -1..1."""
    warm = np.array(FOR) + (np.array(MOST) - FOR) * np.clip(strength, 0, 1)[..., None]
    return np.where((strength < 0)[..., None], np.array(AGAINST, np.float64), warm)


def strip(scale: Scale, width: int = 120, height: int = 8) -> Image.Image:
    """The colours of a scale from its low to its high end, over mid grey."""
    values = np.broadcast_to(np.linspace(scale.low, scale.high, width), (height, width))
    return overlay(np.full((height, width, 3), 96, np.uint8), values, scale)
