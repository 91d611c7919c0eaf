"""Pictures with what a network answered: some drawn at random, and its surest mistakes; right and wrong are marked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgekd.reports.lettering import lettering
from edgekd.reports.pictures import GREEN, RED, new_figure, save

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS, ROWS = 6, 2  # of each of the two parts
RIGHT, WRONG = "✓", "✗"


def chosen(probs: np.ndarray, labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows [<= 12] drawn at random, and those of the surest wrong answers [<= 12], surest first.

    Shapes: probs [N, K], labels [N].
    """
    count, answers = COLUMNS * ROWS, probs.argmax(1)
    drawn = np.random.default_rng(seed).permutation(len(labels))[:count]
    wrong = np.flatnonzero(answers != labels)
    return drawn, wrong[np.argsort(-probs[wrong].max(1), kind="stable")][:count]


def draw(pixels: np.ndarray, probs: np.ndarray, labels: np.ndarray, label_names: Sequence[str], path: Path) -> None:
    """Write the grid; pixels [N, S, S, 3] uint8, probs [N, K], labels [N]."""
    names, fonts = lettering(list(label_names), 16, 1)
    parts = chosen(probs, labels)
    rows = [-(-len(part) // COLUMNS) for part in parts]
    figure = new_figure(2.0 * COLUMNS, 2.45 * sum(rows) + 0.5 * sum(map(bool, rows)))
    right = int((probs[parts[0]].argmax(1) == labels[parts[0]]).sum())
    titles = (
        f"{len(parts[0])} of {len(labels)} images, drawn at random: {right} right",
        f"the {len(parts[1])} surest of {int((probs.argmax(1) != labels).sum())} wrong answers",
    )
    shown = [(part, count, title) for part, count, title in zip(parts, rows, titles, strict=True) if count]
    figures = figure.subfigures(len(shown), 1, squeeze=False, height_ratios=[count for _, count, _ in shown])[:, 0]
    for sub, (part, count, title) in zip(figures, shown, strict=True):
        sub.suptitle(title)
        for place, axes in enumerate(sub.subplots(count, COLUMNS, squeeze=False).flat):
            if place < len(part):
                row = part[place]
                _picture(axes, pixels[row], probs[row], int(labels[row]), names, fonts)
            else:
                axes.axis("off")
    save(figure, path)


def _picture(
    axes: Axes, pixels: np.ndarray, probs: np.ndarray, label: int, names: Sequence[str], fonts: Sequence[str]
) -> None:
    """One picture in a frame: the answer and how sure it was, and of a wrong one the label."""
    answer = int(probs.argmax())
    is_right = answer == label
    colour = GREEN if is_right else RED
    axes.imshow(pixels, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(color=colour, linewidth=3)
    text = f"{RIGHT if is_right else WRONG} {names[answer]} {100 * probs[answer]:.0f} %"
    text += "" if is_right else f"\nis {names[label]}"
    axes.set_title(text, color=colour, fontsize="small", parse_math=False, fontfamily=list(fonts))
