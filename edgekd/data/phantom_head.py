"""The healthy head of the phantom: coordinates, tissues in four sequences, and the anatomy at every slice level.

Geometry: head coordinates (u to the right, v to the front) in which the scalp is the unit circle and the brain ends at
`BRAIN`; `level` runs from 0 at the skull base to 1 at the vertex. Every shape is a signed distance in these units
(positive inside), so a slice looks the same at every size; only the noise belongs to the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator

BRAIN = 0.85  # where the brain ends, as a fraction of the way to the scalp's outer edge

Array = np.ndarray
# Mean brightness of each tissue, 0 black to 1 white, in four sequences; see draw_tissues for what varies.
TISSUES = ("fat", "bone", "marrow", "dura", "csf", "grey", "white", "vessel", "muscle", "choroid",
           "rim", "necrosis", "oedema", "meningioma", "pituitary")  # fmt: skip
SEQUENCES = {
    "t1": (0.85, 0.07, 0.55, 0.28, 0.12, 0.40, 0.56, 0.20, 0.35, 0.36, 0.38, 0.16, 0.34, 0.33, 0.33),
    "t1ce": (0.80, 0.07, 0.50, 0.55, 0.12, 0.36, 0.48, 0.80, 0.33, 0.68, 0.80, 0.20, 0.34, 0.78, 0.68),
    "t2": (0.60, 0.05, 0.30, 0.15, 0.92, 0.56, 0.36, 0.06, 0.25, 0.75, 0.66, 0.92, 0.82, 0.62, 0.62),
    "flair": (0.50, 0.05, 0.25, 0.20, 0.10, 0.54, 0.42, 0.14, 0.28, 0.45, 0.78, 0.26, 0.84, 0.78, 0.72),
}
SEQUENCE_SHARE = (0.05, 0.69, 0.13, 0.13)


@dataclass
class Page:
    """A slice while it is painted: coordinates and canvas, all [H, W] float32, and what one patient's slices share."""

    u: Array
    v: Array
    rho: Array  # 0 at the centre, 1 at the scalp's outer edge
    pixel: float  # the width of a pixel in head units
    aspect: float  # the head's width over its length
    level: float
    tissue: dict[str, float]
    canvas: Array

    def soft(self, distance: Array, width: float = 1.0) -> Array:
        """Membership [H, W] in [0, 1] of a signed distance: the share of the pixel that lies inside."""
        return np.clip(distance / np.float32(self.pixel * width) + np.float32(0.5), 0, 1)

    def paint(self, membership: Array, value: float | Array) -> None:
        """Lay `value` over the canvas where `membership` is 1."""
        self.canvas += membership * (value - self.canvas)

    def distance(self, u: float, v: float) -> Array:
        """Distance to a point in units of the head's half length, without the stretch of the head's aspect."""
        return np.hypot((self.u - np.float32(u)) * np.float32(self.aspect), self.v - np.float32(v))

    def ellipse(self, u: float, v: float, ru: float, rv: float, degrees: float = 0.0) -> Array:
        """Membership of an ellipse around (u, v) with half axes (ru, rv), turned anticlockwise."""
        c, s = np.float32(np.cos(np.deg2rad(degrees))), np.float32(np.sin(np.deg2rad(degrees)))
        du, dv = self.u - np.float32(u), self.v - np.float32(v)
        reach = np.hypot((c * du + s * dv) / np.float32(ru), (c * dv - s * du) / np.float32(rv))
        return self.soft((1 - reach) * np.float32(min(ru, rv)))


@lru_cache(maxsize=64)
def _spline(cells: int, size: int) -> tuple[Array, Array]:
    """Indices [4, size] and weights [4, size] of the cubic B-spline that spreads cells + 3 knots over `size` pixels."""
    place = (np.arange(size) + 0.5) / size * cells
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return first + np.arange(4)[:, None], weights.astype(np.float32)


def field(rng: Generator, cells: int, size: int) -> Array:
    """A smooth random field [size, size], mean 0 and deviation about 1, with features of 1/cells of the picture.

    Sums of products rather than a matrix product: the order of additions must not depend on the BLAS or its threads.
    """
    knots = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32) * np.float32(2.1)
    index, weight = _spline(cells, size)
    rows = sum(weight[k][:, None] * knots[index[k]] for k in range(4))
    columns = np.ascontiguousarray(rows.T)
    return sum(weight[k][:, None] * columns[index[k]] for k in range(4)).T


def draw_tissues(rng: Generator) -> dict[str, float]:
    """Brightness of every tissue in one patient's sequence."""
    sequence = rng.choice(tuple(SEQUENCES), p=SEQUENCE_SHARE)
    means = np.array(SEQUENCES[sequence]) + rng.normal(0, 0.025, len(TISSUES))
    return dict(zip(TISSUES, np.clip(means, 0.02, 1).tolist(), strict=True))


def paint_head(page: Page) -> None:
    """Scalp, skull with marrow, dura and the fluid around the brain: a profile from the outside inwards."""
    t = page.tissue
    edges = (0.84, 0.855, 0.865, 0.875, 0.89, 0.905, 0.92, 0.935, 0.95, 0.985, 1.0, 1.012)
    values = (
        t["csf"],
        t["csf"],
        t["dura"],
        t["bone"],
        t["bone"],
        t["marrow"],
        t["marrow"],
        t["bone"],
        t["fat"],
        t["fat"],
    )
    page.canvas[:] = np.interp(page.rho, edges, (*values, t["muscle"], 0.0))


def paint_brain(page: Page, rng: Generator) -> None:
    """The brain at this level; the parts fade into each other between levels."""
    level = page.level
    base = float(np.clip((0.40 - level) / 0.08, 0, 1))
    middle = float(np.clip((0.82 - level) / 0.08, 0, 1)) * (1 - base)
    _paint_cortex(page, rng, depth=rng.uniform(0.2, 0.32) + 0.3 * max(0.0, level - 0.6) / 0.4)
    if middle > 0:
        _paint_ventricles(page, rng, middle)
    _paint_midline(page, rng, whole=level > 0.78, weight=1 - base)
    if base > 0:
        _paint_base(page, rng, base)


def _paint_cortex(page: Page, rng: Generator, depth: float) -> None:
    """White matter, folded grey matter and sulci: the zero lines of a random field meander as sulci do."""
    t, size = page.tissue, page.canvas.shape[0]
    folds = field(rng, 18, size) + np.float32(0.5) * field(rng, 30, size)
    slope = np.hypot(*np.gradient(folds)) / np.float32(page.pixel)
    line = np.abs(folds) / (slope + np.float32(4.0))  # about the distance to the nearest sulcus
    inward = np.float32(BRAIN - 0.01) - page.rho
    near = np.clip((np.float32(depth) - inward) / np.float32(0.09), 0, 1)
    page.paint(page.soft(inward), t["white"] + np.float32(0.015) * field(rng, 20, size))
    grey = np.maximum(page.soft(np.float32(0.045) - line) * near, page.soft(np.float32(0.045) - inward))
    page.paint(grey * page.soft(inward), t["grey"])
    width = rng.uniform(0.004, 0.018)  # sulci widen with age
    page.paint(page.soft(np.float32(width) * near - line) * near * page.soft(inward), t["csf"])


def _paint_ventricles(page: Page, rng: Generator, weight: float) -> None:
    """Deep grey matter, lateral and third ventricles, choroid plexus; never quite symmetric."""
    t, wide = page.tissue, rng.uniform(0.6, 1.5)
    upper = page.level > 0.62
    for side in (-1, 1):
        w, lift = wide * rng.uniform(0.75, 1.3), rng.normal(0, 0.015)
        if upper:
            page.paint(page.ellipse(side * 0.13, lift, 0.055 * w, 0.36, side * 8) * weight, t["csf"])
            continue
        page.paint(page.ellipse(side * 0.17, -0.05, 0.12, 0.15, side * 12) * weight, t["grey"])
        page.paint(page.ellipse(side * 0.34, 0.10, 0.08, 0.17, side * -14) * weight * 0.8, t["grey"])
        page.paint(page.ellipse(side * 0.19, 0.29, 0.07, 0.11, side * -20) * weight, t["grey"])
        page.paint(page.ellipse(side * 0.11, 0.27 + lift, 0.045 * w, 0.15, side * -22) * weight, t["csf"])
        page.paint(page.ellipse(side * 0.27, -0.36 + lift, 0.055 * w, 0.17, side * 24) * weight, t["csf"])
        page.paint(page.ellipse(side * 0.25, -0.30 + lift, 0.03, 0.07, side * 24) * weight, t["choroid"])
        page.paint(page.ellipse(side * 0.66, 0.10, 0.10, 0.022, side * 20) * weight, t["csf"])  # Sylvian fissure
    if not upper:
        page.paint(page.ellipse(0, -0.02, 0.012 + 0.01 * wide, 0.13) * weight, t["csf"])


def _paint_midline(page: Page, rng: Generator, whole: bool, weight: float) -> None:
    """The cleft between the hemispheres, the falx in it and the sagittal sinus at its ends."""
    t = page.tissue
    ends = page.soft(BRAIN - page.rho) * weight
    if not whole:
        ends = ends * np.clip((np.abs(page.v + np.float32(0.03)) - np.float32(0.38)) / np.float32(0.05), 0, 1)
    off = np.abs(page.u + np.float32(0.006) * np.sin(page.v * np.float32(rng.uniform(8, 16))))
    page.paint(page.soft(np.float32(rng.uniform(0.008, 0.022)) - off) * ends, t["csf"])
    page.paint(page.soft(np.float32(0.006) - off) * ends * 0.8, t["dura"])
    for end, radius in ((-0.85, 0.05), (0.85, 0.03)):
        page.paint(page.ellipse(0, end, radius, radius) * weight, t["vessel"])


def _paint_base(page: Page, rng: Generator, weight: float) -> None:
    """Cerebellum, brain stem, petrous bones, cisterns, sella; below that the orbits and the nose."""
    t, size = page.tissue, page.canvas.shape[0]
    folia = np.sin(page.distance(0, 0.1) * np.float32(70) + field(rng, 6, size))
    cerebellum = page.ellipse(0, -0.46, 0.56, 0.34) * weight
    page.paint(page.ellipse(0, -0.44, 0.60, 0.38) * weight, t["csf"])
    page.paint(cerebellum, t["grey"] + folia * np.float32((t["white"] - t["grey"]) * 0.4))
    for side in (-1, 1):
        page.paint(page.ellipse(side * 0.48, -0.12, 0.27, 0.055, side * -24) * weight * 0.85, t["bone"])
        page.paint(page.ellipse(side * 0.48, 0.36, 0.32, 0.028, side * 14) * weight * 0.75, t["bone"])
        page.paint(page.ellipse(side * 0.24, -0.42, 0.10, 0.15, side * 15) * weight, t["white"])
    page.paint(page.ellipse(0, 0.10, 0.22, 0.14) * weight, t["csf"])
    page.paint(page.ellipse(0, -0.13, 0.20, 0.15) * weight, t["white"])
    page.paint(page.ellipse(0, -0.29, 0.07, 0.04) * weight, t["csf"])
    deep = float(np.clip((0.26 - page.level) / 0.08, 0, 1))
    page.paint(page.ellipse(0, 0.13, 0.16, 0.10) * weight * deep, t["marrow"] * 0.7)
    page.paint(page.ellipse(0, 0.12, rng.uniform(0.05, 0.09), 0.04) * weight, t["pituitary"] * 0.9)  # the healthy gland
    for side in (-1, 1):
        page.paint(page.ellipse(side * 0.13, 0.12, 0.03, 0.03) * weight, t["vessel"])  # carotid arteries
    page.paint(page.ellipse(0, 0.03, 0.022, 0.022) * weight, t["vessel"])  # basilar artery
    if deep > 0:
        _paint_face(page, rng, deep)


def _paint_face(page: Page, rng: Generator, weight: float) -> None:
    """Orbits with eyes, the air of the nose and its bright walls."""
    t, size = page.tissue, page.canvas.shape[0]
    front = (
        page.soft(page.v - np.float32(0.42) + np.float32(0.12) * np.abs(page.u)) * page.soft(0.93 - page.rho) * weight
    )
    page.paint(front, t["muscle"] + np.float32(0.08) * field(rng, 14, size))
    for side in (-1, 1):
        page.paint(page.ellipse(side * 0.36, 0.58, 0.22, 0.24, side * 15) * weight, t["fat"])
        page.paint(page.ellipse(side * 0.36, 0.68, 0.16, 0.13) * weight, t["csf"])
        page.paint(page.ellipse(side * 0.28, 0.45, 0.03, 0.16, side * -18) * weight, t["muscle"])
    page.paint(page.ellipse(0, 0.55, 0.13, 0.27) * weight, t["choroid"] * 0.8)
    page.paint(page.ellipse(0, 0.56, 0.10, 0.24) * weight, 0.03)
    page.paint(page.soft(np.float32(0.012) - np.abs(page.u)) * page.ellipse(0, 0.56, 0.1, 0.24) * weight, t["muscle"])
