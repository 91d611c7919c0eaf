"""A deterministic generator of axial brain slices with and without a tumour, so that everything runs without a download.

The pictures imitate what makes the real four-class sets hard: several sequences, slice levels and poses, tumours that
differ in shape, place and surroundings rather than in brightness, and healthy heads with bright spots of their own.
They are made for tests and demonstrations and say nothing about accuracy on patients.

Geometry: head coordinates (u to the right, v to the front) in which the scalp is the unit circle and the brain ends at
`BRAIN`; `level` runs from 0 at the skull base to 1 at the vertex. Every shape is a signed distance in these units
(positive inside), so a slice looks the same at every size; only the noise belongs to the pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.random import Generator, Philox, SeedSequence
from scipy import ndimage

LABEL_NAMES = ("glioma", "meningioma", "notumor", "pituitary")
GLIOMA, MENINGIOMA, NOTUMOR, PITUITARY = range(4)
SLICES_PER_PATIENT = 2
BRAIN = 0.85  # where the brain ends, as a fraction of the way to the scalp's outer edge

Array = np.ndarray
# Mean brightness of each tissue, 0 black to 1 white, in four sequences; see _tissues for what varies.
TISSUES = ("fat", "bone", "marrow", "dura", "csf", "grey", "white", "vessel", "muscle", "choroid",
           "rim", "necrosis", "oedema", "meningioma", "pituitary")  # fmt: skip
SEQUENCES = {
    "t1": (0.85, 0.07, 0.55, 0.28, 0.12, 0.40, 0.56, 0.20, 0.35, 0.36, 0.38, 0.20, 0.37, 0.30, 0.33),
    "t1ce": (0.80, 0.07, 0.50, 0.55, 0.12, 0.36, 0.48, 0.80, 0.33, 0.68, 0.80, 0.20, 0.34, 0.78, 0.68),
    "t2": (0.60, 0.05, 0.30, 0.15, 0.92, 0.56, 0.36, 0.06, 0.25, 0.75, 0.66, 0.92, 0.80, 0.72, 0.68),
    "flair": (0.50, 0.05, 0.25, 0.20, 0.10, 0.54, 0.42, 0.14, 0.28, 0.45, 0.78, 0.26, 0.84, 0.78, 0.72),
}
SEQUENCE_SHARE = (0.05, 0.69, 0.13, 0.13)


@dataclass(frozen=True)
class Phantom:
    """One slice: `image` [H, W] uint8 grey, `mask` [H, W] bool (core and rim, not oedema; empty for notumor), `label`."""

    image: Array
    mask: Array
    label: int


@dataclass
class _Slice:
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


def patient(index: int) -> int:
    """The patient whose slice `index` is: 8 indices in a row are 2 slices each of 4 patients, one of every label.

    Indices 0 and 4 are patient 0 (glioma), 1 and 5 are patient 1 (meningioma), ..., 8 and 12 are patient 4 (glioma).
    A split at a multiple of 8 therefore separates patients and keeps labels balanced.
    """
    return index // (4 * SLICES_PER_PATIENT) * 4 + index % 4


def phantom(seed: int, index: int, size: int = 128, label: int | None = None) -> Phantom:
    """Slice `index` of the set `seed`, `size` pixels square; a pure function of its arguments.

    `label` defaults to index % 4; another one gives the same head with another finding. Slices of one patient share head
    shape, sequence and tumour and differ in level, pose, folding and noise. Equal bytes are promised for one NumPy on
    one kind of processor; elsewhere single pixels may differ by one grey value.
    Raises: ValueError if seed or index is negative, size is under 32, or label is not an index into `LABEL_NAMES`.
    """
    label = index % 4 if label is None else label
    if seed < 0 or index < 0:
        raise ValueError(f"phantom: seed and index must be 0 or more, found seed {seed}, index {index}")
    if size < 32:
        raise ValueError(f"phantom: size must be at least 32 pixels, found {size}")
    if not 0 <= label < len(LABEL_NAMES):
        raise ValueError(
            f"phantom: label must be 0 to {len(LABEL_NAMES) - 1} ({', '.join(LABEL_NAMES)}), found {label}"
        )
    person, number = patient(index), index // 4 % SLICES_PER_PATIENT
    head, finding, view = (
        Generator(Philox(SeedSequence([seed, person, *stream]))) for stream in ((0,), (1, label), (2, number))
    )
    tumour = _draw_tumour(finding, label)
    page = _page(head, view, size, tumour)
    _paint_head(page)
    _paint_brain(page, view)
    _paint_distractors(page, view, label)
    mask = _paint_tumour(page, tumour, finding, view)
    return Phantom(_acquire(page, head, view), mask, label)


@lru_cache(maxsize=64)
def _spline(cells: int, size: int) -> tuple[Array, Array]:
    """Indices [4, size] and weights [4, size] of the cubic B-spline that spreads cells + 3 knots over `size` pixels."""
    place = (np.arange(size) + 0.5) / size * cells
    first = np.floor(place).astype(int)
    t = place - first
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return first + np.arange(4)[:, None], weights.astype(np.float32)


def _field(rng: Generator, cells: int, size: int) -> Array:
    """A smooth random field [size, size], mean 0 and deviation about 1, with features of 1/cells of the picture.

    Sums of products rather than a matrix product: the order of additions must not depend on the BLAS or its threads.
    """
    knots = rng.standard_normal((cells + 3, cells + 3), dtype=np.float32) * np.float32(2.1)
    index, weight = _spline(cells, size)
    rows = sum(weight[k][:, None] * knots[index[k]] for k in range(4))
    columns = np.ascontiguousarray(rows.T)
    return sum(weight[k][:, None] * columns[index[k]] for k in range(4)).T


def _draw_tumour(rng: Generator, label: int) -> dict[str, float]:
    """What is found and where, in head units: every label comes at every level at which it can be, notumor at all."""
    side = rng.choice((-1.0, 1.0))
    low = label == PITUITARY or rng.random() < 0.42
    found = {"label": label, "level": rng.uniform(0.06, 0.40) if low else rng.uniform(0.40, 0.95), "radius": 0.0}
    found |= {"u": 0.0, "v": 0.0, "push": 0.0, "variant": rng.random(), "strength": rng.uniform(0.9, 1.15)}
    if label == GLIOMA:
        found |= {"u": side * rng.uniform(0.22, 0.48), "v": rng.uniform(-0.5, 0.2 if low else 0.48)}
        found |= {"radius": rng.uniform(0.18, 0.31), "push": rng.uniform(0.0, 0.09)}
    elif label == MENINGIOMA:
        radius = rng.uniform(0.17, 0.30)
        if not low and rng.random() < 0.3:  # on the falx
            found |= {"u": side * radius * rng.uniform(0.7, 1.1), "v": rng.choice((-1, 1)) * rng.uniform(0.3, 0.6)}
        else:  # on the convexity; at low levels the face is in front
            angle = rng.uniform(-0.45 if low else -0.47, 0.12 if low else 0.47) * np.pi
            reach = BRAIN - radius * rng.uniform(0.45, 0.85)
            found |= {"u": side * reach * np.cos(angle), "v": reach * np.sin(angle)}
        found |= {"radius": radius, "push": rng.uniform(0.03, 0.10)}
    elif label == PITUITARY:
        found |= {"u": rng.normal(0, 0.02), "v": rng.uniform(0.08, 0.16), "radius": rng.uniform(0.10, 0.2)}
        found |= {"push": rng.uniform(0.0, 0.05)}
    return found


def _page(head: Generator, view: Generator, size: int, tumour: dict[str, float]) -> _Slice:
    """An empty slice: pose, the head's outline, the push of the tumour on what is around it, and the tissues."""
    aspect = head.uniform(0.72, 0.9)
    outline = head.normal(0, (0.02, 0.03, 0.015))
    tissue = _tissues(head)
    level = float(np.clip(tumour["level"] + view.uniform(-0.04, 0.04), 0.03, 0.97))
    zoom = view.uniform(0.82, 1.0) * (1 - 0.25 * max(0.0, level - 0.6))
    turn, (shift_x, shift_y) = np.deg2rad(view.normal(0, 6)), view.uniform(-0.06, 0.06, 2)
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1) / np.float32(zoom)
    x, y = axis[None, :] - np.float32(shift_x), -axis[:, None] - np.float32(shift_y)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = (c * x + s * y) / np.float32(aspect), c * y - s * x
    u += _field(view, 4, size) * np.float32(0.011) + _field(view, 10, size) * np.float32(0.005)
    v += _field(view, 4, size) * np.float32(0.011) + _field(view, 10, size) * np.float32(0.005)
    u *= 1 + np.float32(outline[0]) + np.float32(0.10) * np.clip(v, -0.5, 1)  # the forehead is the narrow end
    rho = np.hypot(u, v)
    rho *= 1 + np.float32(outline[1]) * (u * v) + np.float32(outline[2]) * v
    page = _Slice(u, v, rho, 2 / size / zoom, aspect, level, tissue, np.zeros((size, size), np.float32))
    if tumour["push"]:  # inside the skull, things give way; the skull does not
        du, dv = u - np.float32(tumour["u"]), v - np.float32(tumour["v"])
        far = np.exp(-(du * du + dv * dv) / np.float32(0.25)) * np.clip((BRAIN - rho) * 3, 0, 1)
        far *= np.float32(tumour["push"]) / (np.hypot(du, dv) + np.float32(0.15))
        page.u, page.v = u - du * far, v - dv * far
    return page


def _tissues(rng: Generator) -> dict[str, float]:
    """Brightness of every tissue in one patient's sequence."""
    sequence = rng.choice(tuple(SEQUENCES), p=SEQUENCE_SHARE)
    means = np.array(SEQUENCES[sequence]) + rng.normal(0, 0.025, len(TISSUES))
    return dict(zip(TISSUES, np.clip(means, 0.02, 1).tolist(), strict=True))


def _paint_head(page: _Slice) -> None:
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


def _paint_brain(page: _Slice, rng: Generator) -> None:
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


def _paint_cortex(page: _Slice, rng: Generator, depth: float) -> None:
    """White matter, folded grey matter and sulci: the zero lines of a random field meander as sulci do."""
    t, size = page.tissue, page.canvas.shape[0]
    folds = _field(rng, 18, size) + np.float32(0.5) * _field(rng, 30, size)
    slope = np.hypot(*np.gradient(folds)) / np.float32(page.pixel)
    line = np.abs(folds) / (slope + np.float32(4.0))  # about the distance to the nearest sulcus
    inward = np.float32(BRAIN - 0.01) - page.rho
    near = np.clip((np.float32(depth) - inward) / np.float32(0.09), 0, 1)
    page.paint(page.soft(inward), t["white"] + np.float32(0.015) * _field(rng, 20, size))
    grey = np.maximum(page.soft(np.float32(0.045) - line) * near, page.soft(np.float32(0.045) - inward))
    page.paint(grey * page.soft(inward), t["grey"])
    width = rng.uniform(0.004, 0.018)  # sulci widen with age
    page.paint(page.soft(np.float32(width) * near - line) * near * page.soft(inward), t["csf"])


def _paint_ventricles(page: _Slice, rng: Generator, weight: float) -> None:
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


def _paint_midline(page: _Slice, rng: Generator, whole: bool, weight: float) -> None:
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


def _paint_base(page: _Slice, rng: Generator, weight: float) -> None:
    """Cerebellum, brain stem, petrous bones, cisterns, sella; below that the orbits and the nose."""
    t, size = page.tissue, page.canvas.shape[0]
    folia = np.sin(page.distance(0, 0.1) * np.float32(70) + _field(rng, 6, size))
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


def _paint_face(page: _Slice, rng: Generator, weight: float) -> None:
    """Orbits with eyes, the air of the nose and its bright walls."""
    t, size = page.tissue, page.canvas.shape[0]
    front = (
        page.soft(page.v - np.float32(0.42) + np.float32(0.12) * np.abs(page.u)) * page.soft(0.93 - page.rho) * weight
    )
    page.paint(front, t["muscle"] + np.float32(0.08) * _field(rng, 14, size))
    for side in (-1, 1):
        page.paint(page.ellipse(side * 0.36, 0.58, 0.22, 0.24, side * 15) * weight, t["fat"])
        page.paint(page.ellipse(side * 0.36, 0.68, 0.16, 0.13) * weight, t["csf"])
        page.paint(page.ellipse(side * 0.28, 0.45, 0.03, 0.16, side * -18) * weight, t["muscle"])
    page.paint(page.ellipse(0, 0.55, 0.13, 0.27) * weight, t["choroid"] * 0.8)
    page.paint(page.ellipse(0, 0.56, 0.10, 0.24) * weight, 0.03)
    page.paint(page.soft(np.float32(0.012) - np.abs(page.u)) * page.ellipse(0, 0.56, 0.1, 0.24) * weight, t["muscle"])


def _paint_distractors(page: _Slice, rng: Generator, label: int) -> None:
    """What is bright or dark without being a tumour: vessels in every head, harmless variants mostly in healthy ones."""
    t, size = page.tissue, page.canvas.shape[0]
    brain = page.soft(BRAIN - 0.03 - page.rho)
    course = _field(rng, 9, size)
    slope = np.hypot(*np.gradient(course)) / np.float32(page.pixel)
    parts = np.clip(_field(rng, 8, size) * 2 - np.float32(rng.uniform(1.2, 2.6)), 0, 1)
    page.paint(page.soft(np.float32(0.008) - np.abs(course) / (slope + 1)) * parts * brain, t["vessel"])
    for _ in range(rng.poisson(2.5 if label == NOTUMOR else 1.0)):
        angle, reach, kind = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.78), rng.random()
        u, v = reach * np.cos(angle), reach * np.sin(angle)
        if kind < 0.45:  # a spot of small vessel disease, or a vessel seen end on
            value, radius = t["oedema"] if kind < 0.2 else t["vessel"], rng.uniform(0.015, 0.04)
        elif kind < 0.75:  # a cyst, smooth and as dark or bright as the fluid
            value, radius = t["csf"], rng.uniform(0.02, 0.08)
        else:  # calcified or fatty falx, bright choroid plexus: on or near the midline
            u, value, radius = rng.normal(0, 0.06), t["fat"] if kind < 0.9 else t["choroid"], rng.uniform(0.02, 0.05)
        page.paint(page.ellipse(u, v, radius, radius * rng.uniform(0.7, 1.5), rng.uniform(0, 180)) * brain, value)


def _paint_tumour(page: _Slice, tumour: dict[str, float], finding: Generator, view: Generator) -> Array:
    """Paint the tumour, if any, and give its mask [H, W] bool."""
    painters = {GLIOMA: _paint_glioma, MENINGIOMA: _paint_meningioma, PITUITARY: _paint_pituitary}
    if tumour["label"] == NOTUMOR:
        return np.zeros(page.canvas.shape, bool)
    radius = tumour["radius"] * view.uniform(0.8, 1.0)
    return painters[int(tumour["label"])](page, tumour, radius, finding) >= 0.5


def _paint_glioma(page: _Slice, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """Irregular and infiltrating: oedema around, often a ring around a dead core; a third do not enhance."""
    t, size = page.tissue, page.canvas.shape[0]
    inside = page.soft(BRAIN - 0.03 - page.rho)
    rough = _field(rng, 8, size) * np.float32(0.6) + _field(rng, 18, size) * np.float32(0.3)
    depth = radius * (1 + np.float32(0.42) * rough) - page.distance(tumour["u"], tumour["v"])
    spread = np.float32(radius * rng.uniform(0.2, 0.9))
    wave = _field(rng, 6, size) * np.float32(radius * 0.5)
    page.paint(page.soft(depth + spread + wave, 4) * inside * 0.9, t["oedema"])
    core = page.soft(depth, 1.5) * inside
    texture = np.float32(0.07) * _field(rng, 16, size)
    if tumour["variant"] < 0.2:  # low grade
        page.paint(page.soft(depth, 4) * inside, 0.6 * t["oedema"] + 0.4 * t["necrosis"] + texture)
        return core
    page.paint(core, t["rim"] * tumour["strength"] + 1.5 * texture)
    if tumour["variant"] < 0.9:
        ring = np.float32(radius * rng.uniform(0.2, 0.5)) * (1 + np.float32(0.5) * wave / np.float32(radius))
        page.paint(page.soft(depth - ring, 2) * inside, t["necrosis"] + texture)
    return core


def _paint_meningioma(page: _Slice, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """Smooth, rounded, even, sitting on the dura with a tail along it and a cleft of fluid towards the brain."""
    t, size = page.tissue, page.canvas.shape[0]
    inside = page.soft(np.float32(BRAIN + 0.015) - page.rho)
    distance = page.distance(tumour["u"], tumour["v"])
    depth = radius * (1 + np.float32(0.13) * _field(rng, 6, size) + np.float32(0.04) * _field(rng, 14, size)) - distance
    page.paint(page.soft(depth + 0.10 * radius, 6) * inside * 0.5 * (tumour["variant"] < 0.5), t["oedema"])
    page.paint(page.soft(depth + 0.014) * inside * 0.7, t["csf"])
    tail = page.soft(np.float32(0.02) - np.abs(page.rho - BRAIN)) * page.soft(1.5 * radius - distance, 4)
    value = t["meningioma"] * tumour["strength"] + np.float32(0.04) * _field(rng, 18, size)
    page.paint(tail * 0.7, value)
    body = page.soft(depth) * inside
    page.paint(body, value)
    return body


def _paint_pituitary(page: _Slice, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """On the midline in the sella, rounded or a little lobed, at times with a cyst or an outgrowth upwards or sideways."""
    t, size = page.tissue, page.canvas.shape[0]
    stretch = rng.uniform(0.85, 1.3)
    reach = np.hypot((page.u - tumour["u"]) * page.aspect / stretch, page.v - tumour["v"])
    depth = radius * (1 + np.float32(0.10) * _field(rng, 7, size)) - reach
    if rng.random() < 0.35:
        bud = page.distance(tumour["u"] + rng.normal(0, 0.08), tumour["v"] + rng.uniform(-0.05, 0.1))
        depth = np.maximum(depth, 0.75 * radius - bud)
    page.paint(page.soft(depth + 0.012), t["csf"])
    body = page.soft(depth)
    page.paint(body, t["pituitary"] * tumour["strength"] + np.float32(0.03) * _field(rng, 18, size))
    if tumour["variant"] < 0.2:
        page.paint(page.soft(depth - 0.5 * radius, 2), t["necrosis"])
    return body


def _acquire(page: _Slice, head: Generator, view: Generator) -> Array:
    """What the scanner makes of it: blur, coil bias, Rician noise, window and gamma; [H, W] uint8."""
    size = page.canvas.shape[0]
    gamma, gain, noise = head.uniform(0.75, 1.3), head.uniform(0.88, 1.22), head.uniform(0.005, 0.026)
    image = ndimage.gaussian_filter(page.canvas, view.uniform(0.35, 0.8) * size / 128, truncate=2.5)
    image *= 1 + np.float32(0.10) * _field(view, 2, size)
    real, imaginary = view.standard_normal((2, size, size), dtype=np.float32) * np.float32(noise)
    image = np.hypot(image + real, imaginary) * np.float32(gain)
    return (np.clip(image, 0, 1) ** np.float32(gamma) * 255 + 0.5).astype(np.uint8)
