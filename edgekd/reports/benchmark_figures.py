"""The benchmark page's figures. Each function gives an SVG element; widths suit a phone, and larger screens scale them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from edgekd.benchmarking.schema import HardwareMeasurement, Row
from edgekd.measures.evaluation import Evaluation
from edgekd.reports.drawing import Box, Drawing, Scale, place, shorten

MIB = 2**20
WIDTH = 360.0
INK = {"fp32": "fp32", "fp16": "fp16", "static_wi8_ai8": "int8"}
MAX_CLASSES = 16
BINS = 90
STRIP = 42.0  # height of a histogram with its label
Timed = Sequence[tuple[Row, HardwareMeasurement]]


def trade_off(rows: Sequence[Row], float_accuracy: float | None, device: str) -> str:
    """Accuracy over latency, area being size; over size alone where time does not exist. Threads are in the circles."""
    timed = all(isinstance(row.measurement, HardwareMeasurement) for row in rows)
    unit = "median in ms" if timed else "size in MiB"
    values = [_across(row) for row in rows]
    words = "; ".join(_words(row) for row in rows)
    drawing = Drawing(WIDTH, 290, f"Accuracy over {unit} on {device}. {words}.")
    x = Scale(0, max(values) * 1.12, 44, WIDTH - 10)
    y = _accuracies(rows, float_accuracy)
    _grid(drawing, x, y, f"{unit}, on {device}", "%")
    if float_accuracy is not None:
        drawing.line(44, y(100 * float_accuracy), WIDTH - 10, y(100 * float_accuracy), "dashed")
    largest = max(row.size_bytes for row in rows)
    spots = [
        (row, x(value), y(100 * row.numerics.evaluation.accuracy), max(5.0, 15 * (row.size_bytes / largest) ** 0.5))
        for row, value in zip(rows, values, strict=True)
    ]
    _trails(drawing, spots)
    for row, cx, cy, radius in sorted(spots, key=lambda spot: -spot[3]):
        drawing.circle(cx, cy, radius, f"spot {INK[row.scheme]}", _words(row))
        if timed:
            drawing.text(cx, cy + 4, str(row.threads), "t small", "middle")
    _labels(drawing, spots, (44, 4, WIDTH, 246))
    return drawing.markup()


Spots = Sequence[tuple[Row, float, float, float]]  # row, x, y, radius


def _trails(drawing: Drawing, spots: Spots) -> None:
    """A line through the circles of one artefact, from one number of threads to the next."""
    for name in dict.fromkeys(row.format for row, *_ in spots):
        (row, x, y, _), *others = (spot for spot in spots if spot[0].format == name)
        if others:
            points = [(x, y), *((x2, y2) for _, x2, y2, _ in others)]
            drawing.outline(points, f"curve thin {INK[row.scheme]}")


def _across(row: Row) -> float:
    m = row.measurement
    return m.latency.median_ms if isinstance(m, HardwareMeasurement) else row.size_bytes / MIB


def _words(row: Row) -> str:
    m = row.measurement
    time = f", {m.latency.median_ms:.2f} ms" if isinstance(m, HardwareMeasurement) else ""
    size, accuracy = row.size_bytes / MIB, 100 * row.numerics.evaluation.accuracy
    return f"{row.format}, {_threads(row)}: {accuracy:.2f} %, {size:.2f} MiB{time}"


def _threads(row: Row) -> str:
    return f"{row.threads} thread{'s' if row.threads > 1 else ''}"


def _accuracies(rows: Sequence[Row], float_accuracy: float | None) -> Scale:
    """From the lowest to the highest accuracy in %, with air, and never so narrow that noise looks large."""
    found = [100 * row.numerics.evaluation.accuracy for row in rows]
    found += [] if float_accuracy is None else [100 * float_accuracy]
    air = max(0.25 * (max(found) - min(found)), 0.6)
    return Scale(min(found) - air, max(found) + air, 240, 14)


def _grid(drawing: Drawing, x: Scale, y: Scale, below: str, unit: str) -> None:
    for tick in y.ticks():
        drawing.line(x.start, y(tick), x.end, y(tick), "grid")
        drawing.text(x.start - 5, y(tick) + 4, f"{tick:g}", "t small quiet", "end")
    for tick in x.ticks():
        drawing.line(x(tick), y.start, x(tick), y.start + 4, "axis")
        drawing.text(x(tick), y.start + 16, f"{tick:g}", "t small quiet", "middle")
    drawing.line(x.start, y.start, x.end, y.start, "axis")
    drawing.text(x.end, y.start + 34, below, "t quiet", "end")
    drawing.text(2, y.end - 3, unit, "t small quiet")


def _labels(drawing: Drawing, spots: Spots, frame: Box) -> None:
    """Each format once, beside its slowest circle, clear of circles and of other labels."""
    taken: list[Box] = [(x - r, y - r, x + r, y + r) for _, x, y, r in spots]
    named = set()
    for row, x, y, radius in sorted(spots, key=lambda spot: spot[0].threads):
        if row.format not in named:
            named.add(row.format)
            box = place(row.format, x, y, radius, taken, frame)
            taken.append(box)
            drawing.text(box[0], box[3] - 2, row.format)


def recall(row: Row) -> str:
    """Recall of each class before (the reference, on the same images) and after; the classes that change most."""
    drift, known = row.numerics.drift, [c for c in row.numerics.evaluation.classes if c.images]
    change = drift.recall_change_pp if drift else {}
    moved = [(c, 100 * c.recall, 100 * c.recall - (change.get(c.label_name) or 0.0)) for c in known]
    kept = {id(m) for m in sorted(moved, key=lambda m: -abs(m[1] - m[2]))[:MAX_CLASSES]}
    shown = [m for m in moved if id(m) in kept]
    words = "; ".join(f"{c.label_name} {before:.1f} % to {after:.1f} %" for c, after, before in shown)
    drawing = Drawing(WIDTH, 24 * len(shown) + 34, f"Recall of each class before and after, {row.format}: {words}.")
    low = min([90.0, *(min(after, before) - 2 for _, after, before in shown)])
    x = Scale(max(low, 0), 100, 112, WIDTH - 44)
    bottom = 24.0 * len(shown) + 8
    for tick in x.ticks(4):
        drawing.line(x(tick), 4, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 16, f"{tick:g} %", "t small quiet", "middle")
    for i, (c, after, before) in enumerate(shown):
        y = 24.0 * i + 17
        drawing.text(104, y + 4, shorten(c.label_name, 15), "t", "end")
        drawing.line(x(before), y, x(after), y, "change worse" if after < before else "change better")
        drawing.circle(x(before), y, 5, "before", f"{c.label_name}: before {before:.1f} %")
        drawing.circle(x(after), y, 4, f"after {INK[row.scheme]}", f"{c.label_name}: after {after:.1f} %")
        value = f"{after - before:+.1f}".replace("-", "−") if abs(after - before) > 1e-9 else "0"
        drawing.text(WIDTH - 2, y + 4, value, "t small quiet", "end")
    return drawing.markup()


def reliability(e: Evaluation, name: str) -> str:
    """Accuracy over confidence, 15 bins; how full a bin is shows in its ink."""
    full = [b for b in e.reliability if b.count]
    words = "; ".join(f"{b.count} images at {b.confidence:.2f}: {b.accuracy:.2f}" for b in full)
    drawing = Drawing(240, 232, f"Reliability of {name}, ECE {e.ece:.3f}. Accuracy by confidence: {words}.")
    x, y = Scale(0, 1, 34, 232), Scale(0, 1, 200, 8)
    for tick in (0, 0.5, 1):
        drawing.line(34, y(tick), 232, y(tick), "grid")
        drawing.text(29, y(tick) + 4, f"{tick:g}", "t small quiet", "end")
        drawing.text(x(tick), 214, f"{tick:g}", "t small quiet", "middle")
    most = max((b.count for b in full), default=1)
    for b in full:
        ink = 1 + round(3 * (b.count / most) ** 0.5)
        hint = f"{b.count} images, confidence {b.confidence:.3f}, accuracy {b.accuracy:.3f}"
        drawing.box(x(b.low) + 0.5, y(b.accuracy), x(b.high) - x(b.low) - 1, 200 - y(b.accuracy), f"bin ink{ink}", hint)
        drawing.line(x(b.confidence), y(b.confidence), x(b.confidence), y(b.accuracy), "gap")
        drawing.circle(x(b.confidence), y(b.accuracy), 2.5, "dot")
    drawing.line(34, 200, 232, 8, "dashed")
    drawing.text(232, 229, "confidence", "t small quiet", "end")
    return drawing.markup()


def distributions(timed: Timed, device: str) -> str:
    """Histograms of the raw samples, over a scale of factors; median, p90, p99, and the median of each round."""
    samples = [np.fromiter(chain.from_iterable(m.latency.samples_ms), float) for _, m in timed]
    low = max(min(float(s.min()) for s in samples), 1e-6)
    high = max(max(m.latency.p99_ms for _, m in timed) * 1.1, low * 1.2)
    beyond = sum(int((s > high).sum()) for s in samples)
    words = "; ".join(_times(row, m) for row, m in timed) + (f"; {beyond} samples lie further right" if beyond else "")
    bottom = STRIP * len(timed) + 6
    drawing = Drawing(WIDTH, bottom + 40, f"Latency on {device}: {words}.")
    x = Scale(low / 1.03, high, 4, WIDTH - 6, is_log=True)
    for tick in x.ticks(8):
        drawing.line(x(tick), 2, x(tick), bottom, "grid")
        drawing.text(x(tick), bottom + 15, f"{tick:.3g}", "t small quiet", "middle")
    for i, ((row, m), found) in enumerate(zip(timed, samples, strict=True)):
        _histogram(drawing, row, m, found, x, STRIP * (i + 1))
    more = f" ({beyond} beyond)" if beyond else ""
    drawing.text(WIDTH - 6, bottom + 33, f"ms of one image{more}", "t quiet", "end")
    return drawing.markup()


def _times(row: Row, m: HardwareMeasurement) -> str:
    t = m.latency
    return f"{row.format}, {_threads(row)}: median {t.median_ms:.2f} ms, p90 {t.p90_ms:.2f}, p99 {t.p99_ms:.2f}"


def _histogram(
    drawing: Drawing, row: Row, m: HardwareMeasurement, samples: np.ndarray, x: Scale, bottom: float
) -> None:
    edges = np.geomspace(x.low, x.high, BINS + 1)
    count, _ = np.histogram(samples, edges)
    tall = bottom - 24 * count / max(count.max(), 1)
    steps = [(x(float(edges[j])), float(t)) for i, t in enumerate(tall) for j in (i, i + 1)]
    drawing.outline([(x.start, bottom), *steps, (x.end, bottom)], f"area {INK[row.scheme]}", closed=True)
    for value, style, height in ((m.latency.median_ms, "mark", 24), (m.latency.p90_ms, "mark thin", 16)):
        drawing.line(x(value), bottom, x(value), bottom - height, style)
    drawing.line(x(m.latency.p99_ms), bottom, x(m.latency.p99_ms), bottom - 8, "mark thin")
    for value in m.latency.round_medians_ms:
        drawing.circle(x(value), bottom + 3, 1.8, "dot")
    right = x(m.latency.median_ms) < (x.start + x.end) / 2
    text = f"{row.format}, {_threads(row)}: {m.latency.median_ms:.2f} ms"
    drawing.text(x.end if right else x.start, bottom - 29, text, "t", "end" if right else "start")


def sustained(timed: Timed, device: str) -> str:
    """Images per second over a long run."""
    runs = [(row, m.sustained) for row, m in timed if m.sustained]
    words = "; ".join(f"{row.format}: {s.last_over_first:.0%} of its first speed at the end" for row, s in runs)
    drawing = Drawing(WIDTH, 220, f"Speed over time on {device}: {words}.")
    x = Scale(0, max(s.seconds for _, s in runs), 44, WIDTH - 10)
    y = Scale(0, max(w.images_per_s for _, s in runs for w in s.windows) * 1.1, 170, 14)
    _grid(drawing, x, y, "s of a run without a pause", "images / s")
    for row, s in runs:
        points = [(x(w.start_s), y(w.images_per_s)) for w in s.windows] + [
            (x(s.seconds), y(s.windows[-1].images_per_s))
        ]
        drawing.outline(points, f"curve {INK[row.scheme]}")
        text = f"{row.format}, {_threads(row)}: {s.last_over_first:.0%} of its first speed"
        drawing.text(x.end, points[-1][1] + 15, text, "t", "end")
    return drawing.markup()
