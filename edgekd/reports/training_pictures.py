"""A whole training and its test in one picture: curves, confusion, and each class with and without test-time augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.measures.evaluation import Evaluation
from edgekd.reports.lettering import lettering
from edgekd.reports.pictures import BLUE, ORANGE, draw_confusion, draw_curves, new_figure, save, tidy

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def results(history: list[dict[str, float]], plain: Evaluation, averaged: Evaluation, path: Path) -> None:
    """Curves above; the confusion of the plain views and the accuracy of each class below."""
    figure = new_figure(12, 8.4)
    grid = figure.add_gridspec(2, 8, height_ratios=(1, 1.25))
    draw_curves([figure.add_subplot(grid[0, part]) for part in (slice(0, 3), slice(3, 6), slice(6, 8))], history)
    draw_confusion(figure.add_subplot(grid[1, :4]), plain)
    _classes(figure.add_subplot(grid[1, 4:]), plain, averaged)
    save(figure, path)


def _classes(axes: Axes, plain: Evaluation, averaged: Evaluation) -> None:
    """Accuracy of each class and of all, two bars each."""
    names, fonts = lettering([*(c.label_name for c in plain.classes), "all"])
    for shift, colour, label, found in ((-0.2, BLUE, "plain", plain), (0.2, ORANGE, "mean of five views", averaged)):
        shares = [*(c.recall for c in found.classes), found.accuracy]
        for place, share in enumerate(shares):
            axes.bar(place + shift, 100 * share, 0.38, color=colour, label=label if not place else None)
            axes.annotate(
                f"{100 * share:.1f}",
                (place + shift, 100 * share),
                (0, 2),
                textcoords="offset points",
                ha="center",
                fontsize="x-small",
            )
    axes.set_xticks(range(len(names)), names, parse_math=False, fontfamily=fonts)
    axes.set(ylabel="right, % of the class", ylim=(0, 118), title="by class, test split")
    axes.legend(frameon=False, ncols=2, loc="upper center")
    tidy(axes)
