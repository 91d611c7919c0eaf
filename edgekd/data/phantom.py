"""A deterministic generator of axial brain slices with and without a tumour, so that everything runs without a download.

The pictures imitate what makes the real four-class sets hard: several sequences, slice levels and poses, tumours that
differ in shape, place and surroundings rather than in brightness, and healthy heads with bright spots of their own.
They are made for tests and demonstrations and say nothing about accuracy on patients. The head is in `phantom_head`,
with the coordinates that are used here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator, Philox, SeedSequence

from edgekd.data.phantom_head import BRAIN, Array, Page, draw_tissues, field, paint_brain, paint_head

LABEL_NAMES = ("glioma", "meningioma", "notumor", "pituitary")
GLIOMA, MENINGIOMA, NOTUMOR, PITUITARY = range(4)
SLICES_PER_PATIENT = 2


@dataclass(frozen=True)
class Phantom:
    """One slice: `image` [H, W] uint8 grey, `mask` [H, W] bool (core and rim, not oedema; empty for notumor), `label`."""

    image: Array
    mask: Array
    label: int


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
    paint_head(page)
    paint_brain(page, view)
    _paint_distractors(page, view, label)
    mask = _paint_tumour(page, tumour, finding, view)
    return Phantom(_acquire(page, head, view), mask, label)


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


def _page(head: Generator, view: Generator, size: int, tumour: dict[str, float]) -> Page:
    """An empty slice: pose, the head's outline, the push of the tumour on what is around it, and the tissues."""
    aspect = head.uniform(0.72, 0.9)
    outline = head.normal(0, (0.02, 0.03, 0.015))
    tissue = draw_tissues(head)
    level = float(np.clip(tumour["level"] + view.uniform(-0.04, 0.04), 0.03, 0.97))
    zoom = view.uniform(0.82, 1.0) * (1 - 0.25 * max(0.0, level - 0.6))
    turn, (shift_x, shift_y) = np.deg2rad(view.normal(0, 6)), view.uniform(-0.06, 0.06, 2)
    axis = ((np.arange(size, dtype=np.float32) + 0.5) * 2 / size - 1) / np.float32(zoom)
    x, y = axis[None, :] - np.float32(shift_x), -axis[:, None] - np.float32(shift_y)
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    u, v = (c * x + s * y) / np.float32(aspect), c * y - s * x
    u += field(view, 4, size) * np.float32(0.011) + field(view, 10, size) * np.float32(0.005)
    v += field(view, 4, size) * np.float32(0.011) + field(view, 10, size) * np.float32(0.005)
    u *= 1 + np.float32(outline[0]) + np.float32(0.10) * np.clip(v, -0.5, 1)  # the forehead is the narrow end
    rho = np.hypot(u, v)
    rho *= 1 + np.float32(outline[1]) * (u * v) + np.float32(outline[2]) * v
    page = Page(u, v, rho, 2 / size / zoom, aspect, level, tissue, np.zeros((size, size), np.float32))
    if tumour["push"]:  # inside the skull, things give way; the skull does not
        du, dv = u - np.float32(tumour["u"]), v - np.float32(tumour["v"])
        far = np.exp(-(du * du + dv * dv) / np.float32(0.25)) * np.clip((BRAIN - rho) * 3, 0, 1)
        far *= np.float32(tumour["push"]) / (np.hypot(du, dv) + np.float32(0.15))
        page.u, page.v = u - du * far, v - dv * far
    return page


def _paint_distractors(page: Page, rng: Generator, label: int) -> None:
    """What is bright or dark without being a tumour: vessels in every head, harmless variants mostly in healthy ones."""
    t, size = page.tissue, page.canvas.shape[0]
    brain = page.soft(BRAIN - 0.03 - page.rho)
    course = field(rng, 9, size)
    slope = np.hypot(*np.gradient(course)) / np.float32(page.pixel)
    parts = np.clip(field(rng, 8, size) * 2 - np.float32(rng.uniform(1.2, 2.6)), 0, 1)
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


def _paint_tumour(page: Page, tumour: dict[str, float], finding: Generator, view: Generator) -> Array:
    """Paint the tumour, if any, and give its mask [H, W] bool."""
    painters = {GLIOMA: _paint_glioma, MENINGIOMA: _paint_meningioma, PITUITARY: _paint_pituitary}
    if tumour["label"] == NOTUMOR:
        return np.zeros(page.canvas.shape, bool)
    radius = tumour["radius"] * view.uniform(0.8, 1.0)
    return painters[int(tumour["label"])](page, tumour, radius, finding) >= 0.5


def _paint_glioma(page: Page, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """Irregular and infiltrating: oedema around, often a ring around a dead core; a third do not enhance."""
    t, size = page.tissue, page.canvas.shape[0]
    inside = page.soft(BRAIN - 0.03 - page.rho)
    rough = field(rng, 8, size) * np.float32(0.6) + field(rng, 18, size) * np.float32(0.3)
    depth = radius * (1 + np.float32(0.4) * np.clip(rough, -0.8, 1)) - page.distance(tumour["u"], tumour["v"])
    spread = np.float32(radius * rng.uniform(0.2, 0.9))
    wave = field(rng, 6, size) * np.float32(radius * 0.5)
    page.paint(page.soft(depth + spread + wave, 4) * inside * 0.9, t["oedema"])
    core = page.soft(depth, 1.5) * inside
    texture = np.float32(0.08) * field(rng, 16, size)
    if tumour["variant"] < 0.2:  # low grade
        page.paint(page.soft(depth, 4) * inside, 0.6 * t["oedema"] + 0.4 * t["necrosis"] + texture)
        return core
    page.paint(core, t["rim"] * tumour["strength"] + 1.5 * texture)
    if tumour["variant"] < 0.9:
        ring = np.float32(radius * rng.uniform(0.2, 0.5)) * (1 + np.float32(0.5) * wave / np.float32(radius))
        page.paint(page.soft(depth - ring, 2) * inside, t["necrosis"] + texture)
    return core


def _paint_meningioma(page: Page, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """Smooth, rounded, even, sitting on the dura with a tail along it and a cleft of fluid towards the brain."""
    t, size = page.tissue, page.canvas.shape[0]
    inside = page.soft(np.float32(BRAIN + 0.015) - page.rho)
    distance = page.distance(tumour["u"], tumour["v"])
    depth = radius * (1 + np.float32(0.13) * field(rng, 6, size) + np.float32(0.04) * field(rng, 14, size)) - distance
    page.paint(page.soft(depth + 0.10 * radius, 6) * inside * 0.5 * (tumour["variant"] < 0.5), t["oedema"])
    page.paint(page.soft(depth + 0.014) * inside * 0.7, t["csf"])
    tail = page.soft(np.float32(0.02) - np.abs(page.rho - BRAIN)) * page.soft(1.5 * radius - distance, 4)
    value = t["meningioma"] * tumour["strength"] + np.float32(0.04) * field(rng, 18, size)
    page.paint(tail * 0.7, value)
    body = page.soft(depth) * inside
    page.paint(body, value)
    return body


def _paint_pituitary(page: Page, tumour: dict[str, float], radius: float, rng: Generator) -> Array:
    """On the midline in the sella, rounded or a little lobed, at times with a cyst or an outgrowth upwards or sideways."""
    t, size = page.tissue, page.canvas.shape[0]
    stretch = rng.uniform(0.85, 1.3)
    reach = np.hypot((page.u - tumour["u"]) * page.aspect / stretch, page.v - tumour["v"])
    depth = radius * (1 + np.float32(0.10) * field(rng, 7, size)) - reach
    if rng.random() < 0.35:
        bud = page.distance(tumour["u"] + rng.normal(0, 0.08), tumour["v"] + rng.uniform(-0.05, 0.1))
        depth = np.maximum(depth, 0.75 * radius - bud)
    page.paint(page.soft(depth + 0.012), t["csf"])
    body = page.soft(depth)
    page.paint(body, t["pituitary"] * tumour["strength"] + np.float32(0.03) * field(rng, 18, size))
    if tumour["variant"] < 0.2:
        page.paint(page.soft(depth - 0.5 * radius, 2), t["necrosis"])
    return body


def _acquire(page: Page, head: Generator, view: Generator) -> Array:
    """What the scanner makes of it: blur, coil bias, Rician noise, window and gamma; [H, W] uint8."""
    from scipy.ndimage import gaussian_filter

    size = page.canvas.shape[0]
    gamma, gain, noise = head.uniform(0.75, 1.3), head.uniform(0.88, 1.22), head.uniform(0.005, 0.026)
    image = gaussian_filter(page.canvas, view.uniform(0.35, 0.8) * size / 128, truncate=2.5)
    image *= 1 + np.float32(0.10) * field(view, 2, size)
    real, imaginary = view.standard_normal((2, size, size), dtype=np.float32) * np.float32(noise)
    image = np.hypot(image + real, imaginary) * np.float32(gain)
    return (np.clip(image, 0, 1) ** np.float32(gamma) * 255 + 0.5).astype(np.uint8)
