"""LIME: a linear model of which superpixels the probability needs (Ribeiro et al., KDD 2016).

Written on scikit-image and scikit-learn: the package `lime` is no longer kept up, and draws with matplotlib at its import.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from edgekd.preprocess import Colour
from edgekd.runtimes import Session
from edgekd.runtimes.sessions import streamed
from edgekd.section import Section

PACKAGES = ("skimage", "sklearn")


class Options(Section):
    """SLIC cuts the picture into about `superpixels`; half of them are hidden, under `colour`, in each sample but the first."""

    samples: int = Field(1000, ge=2)
    superpixels: int = Field(60, ge=2)
    compactness: float = Field(10.0, gt=0)  # SLIC: of place against colour
    kernel_width: float = Field(0.25, gt=0)
    penalty: float = Field(1.0, ge=0)  # of the ridge regression
    seed: int = Field(0, ge=0)
    colour: Colour = (124, 116, 104)


def explain(session: Session, pixels: np.ndarray, target: int, options: Options) -> np.ndarray:
    """The weight of each pixel's superpixel in the linear model of the target's probability: [S, S] float32."""
    segments = superpixels(pixels, options)
    rng = np.random.default_rng(options.seed)
    shown = rng.random((options.samples, int(segments.max()) + 1)) < 0.5
    shown[0] = True

    def samples() -> Iterator[np.ndarray]:
        for row in shown:
            picture = pixels.copy()
            picture[~row[segments]] = options.colour
            yield picture

    probs = streamed(session, samples())[:, target]
    return fit(shown, probs, options)[segments].astype(np.float32)


def superpixels(pixels: np.ndarray, options: Options) -> np.ndarray:
    """The superpixel [S, S] of each pixel, from 0."""
    from skimage.segmentation import slic

    return slic(pixels, n_segments=options.superpixels, compactness=options.compactness, start_label=0)


def fit(shown: np.ndarray, probs: np.ndarray, options: Options) -> np.ndarray:
    """Coefficients [F] of the ridge regression of probs [N] on shown [N, F], each sample weighted by its nearness.

    With d the cosine distance to the whole picture, the weight is sqrt(exp(-d²/width²)).
    """
    from sklearn.linear_model import Ridge

    near = np.sqrt(shown.mean(1))  # the cosine of a row of 0 and 1 with the row of 1
    weights = np.sqrt(np.exp(-((1 - near) ** 2) / options.kernel_width**2))
    return Ridge(alpha=options.penalty).fit(shown, probs, weights).coef_
