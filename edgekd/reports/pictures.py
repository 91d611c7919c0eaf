"""Pictures of evaluations and trainings as PNG, by matplotlib without its global state."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import cycle, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.files import write_atomic
from edgekd.measures.evaluation import Bin, Evaluation
from edgekd.measures.explanations import RANDOM
from edgekd.measures.faithfulness import CURVES, RISES
from edgekd.measures.paired import words
from edgekd.reports.lettering import lettering

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from edgekd.measures.drift import Drift
    from edgekd.measures.trust import Trust
    from edgekd.reports.explanation import Row

# Okabe & Ito's palette, told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, "#56B4E9", "#000000")
DPI = 120
MANY = 24  # classes; above, the matrix is drawn without numbers and with some of the names


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of so many inches whose parts keep clear of each other."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_atomic(path, content.getvalue())


def tidy(axes: Axes) -> None:
    """A light grid, and no frame above and on the right."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.grid(alpha=0.25)


def confusion(evaluation: Evaluation, path: Path) -> None:
    """The confusion matrix: shade is the share of the label's images, numbers are counts."""
    side = max(3.6, 0.8 * min(len(evaluation.classes), MANY) + 1.6)
    figure = new_figure(side + 0.6, side)
    draw_confusion(figure.subplots(), evaluation)
    save(figure, path)


def draw_confusion(axes: Axes, evaluation: Evaluation) -> None:
    """The confusion matrix on `axes`."""
    names, fonts = lettering([c.label_name for c in evaluation.classes])
    count = len(names)
    shares = [[n / max(1, sum(row)) for n in row] for row in evaluation.confusion]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(evaluation.confusion if count <= MANY else ()):
        for j, n in enumerate(row):
            axes.text(j, i, str(n), ha="center", va="center", color="white" if shares[i][j] > 0.55 else "black")
    ticks = range(0, count, -(-count // MANY))
    shown = [names[i] for i in ticks]
    flat = max(map(len, shown)) <= 8 or count <= 2
    turned = 0 if flat else 90 if any("\n" in name for name in shown) or count > MANY else 30
    side_of_text = "right" if turned == 30 else "center"
    axes.set_xticks(ticks, shown, rotation=turned, ha=side_of_text, parse_math=False, fontfamily=fonts)
    axes.set_yticks(ticks, shown, parse_math=False, fontfamily=fonts)
    axes.set(xlabel="answer", ylabel="label", title=f"accuracy {100 * evaluation.accuracy:.2f} %")


def reliability(evaluation: Evaluation, path: Path) -> None:
    """The reliability diagram: accuracy against confidence per bin, and how many images each bin holds."""
    bins = [b for b in evaluation.reliability if b.count]
    figure = new_figure(6, 6.6)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    for b in bins:
        axes.fill_between([b.low, b.high], *_band(b), color=GREY, alpha=0.18, linewidth=0)
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o-", color=BLUE, label="this network")
    axes.fill_between([], [], color=GREY, alpha=0.18, label="95 % of a perfect one")
    floor = f"{evaluation.ece_noise_floor:.4f} (95 %: up to {evaluation.ece_noise_p95:.4f})"
    axes.set(ylim=(-0.02, 1.02), ylabel="accuracy")
    axes.set_title(f"ECE {evaluation.ece:.4f}; of a perfect network {floor}", fontsize="medium")
    for b in bins:
        middle = (b.low + b.high) / 2
        counts.bar(middle, b.count, b.high - b.low, color=BLUE, alpha=0.6, edgecolor="white")
        text = str(b.count) if b.count < 10_000 else f"{b.count / 1000:.0f}k"
        counts.annotate(text, (middle, b.count), (0, 2), textcoords="offset points", ha="center", fontsize="x-small")
    most = max(b.count for b in bins)
    counts.set(xlim=(0, 1), ylim=(0.5, 4 * most), xlabel="confidence", ylabel="images", yscale="log")
    counts.yaxis.set_major_formatter("{x:,.0f}")
    for a in (axes, counts):
        tidy(a)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    save(figure, path)


def _band(b: Bin) -> tuple[float, float]:
    """Between which accuracies 95 % of perfectly calibrated networks are, with the images of this bin."""
    from scipy.stats import binom

    low, high = binom.ppf((0.025, 0.975), b.count, min(b.confidence, 1.0)) / b.count
    return float(low), float(high)


def curves(history: list[dict[str, float]], path: Path) -> None:
    """Loss components, accuracy and learning rate over the epochs of a training log; draws the columns that are there."""
    figure = new_figure(11, 3.6)
    draw_curves(figure.subplots(1, 3, width_ratios=(3, 3, 2)), history)
    save(figure, path)


def draw_curves(panels: Sequence[Axes], history: list[dict[str, float]]) -> None:
    """Losses, accuracies and learning rate on three axes; a dotted line parts two stages."""
    from matplotlib.ticker import MaxNLocator

    losses, accuracies, rate = panels
    names = list(dict.fromkeys(n for row in history for n in row if n.startswith("loss_")))
    for i, (name, colour) in enumerate(zip(names, cycle(COLOURS[1:]), strict=False)):
        # Where the colours are used up, the dashes change.
        _line(losses, history, name, colour, ("--", ":", "-.")[i // len(COLOURS[1:]) % 3], name.removeprefix("loss_"))
    if len(names) != 1:
        _line(losses, history, "train_loss", GREY, "-", "training, total")
    _line(losses, history, "val_nll", BLUE, "-", "validation NLL")
    _line(accuracies, history, "train_accuracy", ORANGE, "--", "training (augmented)")
    _line(accuracies, history, "val_accuracy", BLUE, "-", "validation")
    _line(rate, history, "learning_rate", GREEN, "-", "")
    for axes, title in ((losses, "loss"), (accuracies, "accuracy"), (rate, "learning rate")):
        first, last = history[0]["epoch"], history[-1]["epoch"]
        space = 0.5 if first == last else 0.02 * (last - first)
        axes.set(title=title, xlabel="epoch", xlim=(first - space, last + space))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        tidy(axes)
        if axes.lines and axes is not rate:
            axes.legend(frameon=False)
        for before, row in pairwise(history):
            if row.get("stage") != before.get("stage"):
                axes.axvline(before["epoch"] + 0.5, color=GREY, linewidth=0.8, linestyle=":")
    losses.set_ylim(0, None)


def _line(axes: Axes, history: list[dict[str, float]], name: str, colour: str, style: str, label: str) -> None:
    points = [(row["epoch"], row[name]) for row in history if name in row]
    if points:
        axes.plot(
            *zip(*points, strict=True), style, color=colour, label=label, marker="o" if len(points) == 1 else None
        )


def comparison(evaluations: Mapping[str, Evaluation], path: Path, gain: Drift | None = None) -> None:
    """Accuracy with intervals and ECE beside its noise floor, one row per network; above them the student's gain, if known."""
    names, fonts = lettering(list(evaluations), 20, 2)
    figure = new_figure(9, (1.6 if gain else 1.2) + 0.5 * len(names))
    if gain:
        change = words(gain.accuracy_change_pp, gain.interval_pp)
        units = f"{gain.groups} groups" if gain.groups else f"{gain.images} images"
        figure.suptitle(f"taught against untaught: {change} accuracy, p = {gain.p:.3f} by {units}")
    accuracy, calibration = figure.subplots(1, 2, sharey=True)
    for i, e in enumerate(evaluations.values()):
        colour = COLOURS[i % len(COLOURS)]
        low, high = (100 * v for v in e.accuracy_interval)
        accuracy.plot([low, high], [i, i], color=colour, linewidth=2)
        accuracy.plot(100 * e.accuracy, i, "o", color=colour)
        above = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
        accuracy.annotate(f"{100 * e.accuracy:.2f}", (100 * e.accuracy, i), **above)
        calibration.barh(i, e.ece, 0.5, color=colour)
        calibration.plot([e.ece_noise_floor] * 2, [i - 0.35, i + 0.35], color="black", linewidth=1.5)
        beside = {"xytext": (5, 0), "textcoords": "offset points", "va": "center"}
        calibration.annotate(f"{e.ece:.4f}", (max(e.ece, e.ece_noise_floor), i), **beside)
    accuracy.set(xlabel="accuracy, % (95 % interval)", ylim=(len(names) - 0.4, -0.7))
    accuracy.margins(x=0.12)
    accuracy.set_yticks(range(len(names)), names, parse_math=False, fontfamily=fonts)
    widest = max(max(e.ece, e.ece_noise_floor) for e in evaluations.values())
    calibration.set(xlabel="ECE (black line: a perfect network's)", xlim=(0, 1.2 * widest or 1))
    for axes in (accuracy, calibration):
        tidy(axes)
    save(figure, path)


def faithfulness(trust: Trust, path: Path) -> None:
    """Mean curves: one panel for each kind, one line for each method, solid for the first network and dashed for others."""
    figure = new_figure(12, 4.2)
    panels = figure.subplots(1, len(CURVES), sharey=True)
    methods = list(dict.fromkeys(row.method for row in trust.rows if row.curves))
    for axes, curve in zip(panels, CURVES, strict=True):
        for row in trust.rows:
            if curve not in row.curves:
                continue
            colour = GREY if row.method == RANDOM else COLOURS[methods.index(row.method) % len(COLOURS)]
            points = row.curves[curve].points
            line = "-" if row.network == trust.rows[0].network else "--"
            shares = [i / (len(points) - 1) for i in range(len(points))]
            axes.plot(shares, points, line, color=colour, linewidth=1.5, label=f"{row.method}, {row.network}")
        better = "higher" if curve in RISES else "lower"
        axes.set(xlabel="share of pixels changed", title=f"{curve.replace('_', ' ')} ({better} is better)", xlim=(0, 1))
        tidy(axes)
    panels[0].set(ylabel="probability of the answer", ylim=(0, 1.02))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    save(figure, path)


def explained(row: Row, path: Path) -> None:
    """A picture and its maps side by side; the true region is outlined where it is known."""
    from PIL import Image

    from edgekd.reports import heatmap

    maps = list(row.maps.items())
    who, answer = next(iter(row.answers.items()))
    told = f"{who}: {answer.label_name}, {100 * answer.confidence:.1f} %"
    (title, label), fonts = lettering([told, f"label: {row.label_name}" if row.label_name else ""], 36, 2)
    figure = new_figure(2.3 * (len(maps) + 1), 3.0)
    panels = figure.subplots(1, len(maps) + 1)
    seen = heatmap.outlined(Image.fromarray(maps[0][1].pixels), row.mask)
    panels[0].imshow(seen)
    panels[0].set_title(title, fontsize="small", parse_math=False, fontfamily=fonts)
    known = [label] * bool(label) + ["true region outlined"] * (row.mask is not None)
    below = "\n".join(known) or "as the network sees it"
    panels[0].set_xlabel(below, fontsize="small", parse_math=False, fontfamily=fonts)
    for axes, ((method, network), found) in zip(panels[1:], maps, strict=True):
        axes.imshow(heatmap.outlined(found.overlay(), row.mask))
        axes.set_title(f"{method}, {network}", fontsize="small", parse_math=False)
        place = row.place(found.relevance)
        axes.set_xlabel(f"{100 * place.mass:.0f} % inside" if place else "", fontsize="small")
    for axes in panels:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    save(figure, path)
