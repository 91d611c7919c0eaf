"""Pictures of evaluations and trainings as PNG, by matplotlib without its global state."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.files import write_atomic
from edgekd.measures.evaluation import Evaluation

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito's palette, told apart with any colour vision.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#777777"
COLOURS = (BLUE, ORANGE, GREEN, RED, PURPLE, "#56B4E9", "#000000")
DPI = 120


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Figure, path: Path) -> None:
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    write_atomic(path, content.getvalue())


def _tidy(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)


def confusion(evaluation: Evaluation, path: Path) -> None:
    """The confusion matrix: shade is the share of the label's images, numbers are counts."""
    names = ["\n".join(textwrap.wrap(c.label_name, 14)) for c in evaluation.classes]
    count = len(names)
    side = max(3.6, 0.8 * count + 1.6)
    figure = _figure(side + 0.6, side)
    axes = figure.subplots()
    shares = [[n / max(1, sum(row)) for n in row] for row in evaluation.confusion]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, row in enumerate(evaluation.confusion):
        for j, n in enumerate(row):
            axes.text(j, i, str(n), ha="center", va="center", color="white" if shares[i][j] > 0.55 else "black")
    axes.set_xticks(range(count), names, rotation=30 if count > 3 else 0, ha="right" if count > 3 else "center")
    axes.set_yticks(range(count), names)
    axes.set(xlabel="answer", ylabel="label", title=f"accuracy {100 * evaluation.accuracy:.2f} %")
    _save(figure, path)


def reliability(evaluation: Evaluation, path: Path) -> None:
    """The reliability diagram: accuracy against confidence per bin, and how many images each bin holds."""
    bins = [b for b in evaluation.reliability if b.count]
    figure = _figure(5, 5.6)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle="--", label="perfectly calibrated")
    for b in bins:
        spread = 1.96 * (b.confidence * (1 - b.confidence) / b.count) ** 0.5
        axes.fill_between(
            [b.low, b.high], b.confidence - spread, b.confidence + spread, color=GREY, alpha=0.18, linewidth=0
        )
    axes.plot([b.confidence for b in bins], [b.accuracy for b in bins], "o-", color=BLUE, label="this network")
    axes.fill_between([], [], color=GREY, alpha=0.18, label="95 % of a perfect one")
    floor = f"{evaluation.ece_noise_floor:.4f}"
    axes.set(ylim=(-0.02, 1.02), ylabel="accuracy", title=f"ECE {evaluation.ece:.4f}, of a perfect network {floor}")
    axes.legend(loc="upper left", frameon=False)
    counts.bar(
        [(b.low + b.high) / 2 for b in bins], [b.count for b in bins], bins[0].high - bins[0].low, color=BLUE, alpha=0.6
    )
    counts.set(xlim=(0, 1), xlabel="confidence", ylabel="images", yscale="log")
    for a in (axes, counts):
        _tidy(a)
    _save(figure, path)


def curves(history: list[dict[str, float]], path: Path) -> None:
    """Loss components, accuracy and learning rate over the epochs of a training log."""
    epochs = [row["epoch"] for row in history]
    figure = _figure(11, 3.6)
    losses, accuracies, rate = figure.subplots(1, 3, width_ratios=(3, 3, 2))
    names = [n for n in history[0] if n.startswith("loss_")] + ["val_nll"]
    for name, colour in zip(names, COLOURS, strict=False):
        style = "-" if name == "val_nll" else "--"
        _line(
            losses,
            epochs,
            history,
            name,
            colour,
            style,
            name.removeprefix("loss_").replace("val_nll", "validation NLL"),
        )
    _line(accuracies, epochs, history, "train_accuracy", ORANGE, "--", "training (augmented)")
    _line(accuracies, epochs, history, "val_accuracy", BLUE, "-", "validation")
    _line(rate, epochs, history, "learning_rate", GREEN, "-", "")
    losses.set(title="loss", ylim=(0, None))
    accuracies.set(title="accuracy")
    rate.set(title="learning rate")
    for axes in (losses, accuracies, rate):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        _tidy(axes)
    losses.legend(frameon=False)
    accuracies.legend(frameon=False, loc="lower right")
    _save(figure, path)


def _line(
    axes: Axes, epochs: list[float], history: list[dict[str, float]], name: str, colour: str, style: str, label: str
) -> None:
    if name in history[0]:
        values: list[Any] = [row[name] for row in history]
        axes.plot(epochs, values, style, color=colour, label=label, marker="o" if len(epochs) == 1 else None)


def comparison(evaluations: Mapping[str, Evaluation], path: Path) -> None:
    """Accuracy with intervals and ECE beside its noise floor, one row per network."""
    names = list(evaluations)
    figure = _figure(9, 1.2 + 0.5 * len(names))
    accuracy, calibration = figure.subplots(1, 2, sharey=True)
    for i, (name, e) in enumerate(evaluations.items()):
        colour = COLOURS[i % len(COLOURS)]
        low, high = (100 * v for v in e.accuracy_interval)
        accuracy.plot([low, high], [i, i], color=colour, linewidth=2)
        accuracy.plot(100 * e.accuracy, i, "o", color=colour, label=name)
        accuracy.annotate(
            f"{100 * e.accuracy:.2f}", (100 * e.accuracy, i), (0, 7), textcoords="offset points", ha="center"
        )
        calibration.barh(i, e.ece, 0.5, color=colour)
        calibration.plot([e.ece_noise_floor] * 2, [i - 0.35, i + 0.35], color="black", linewidth=1.5)
    accuracy.set(xlabel="test accuracy, % (95 % interval)", ylim=(len(names) - 0.4, -0.7))
    accuracy.set_yticks(range(len(names)), names)
    calibration.set(xlabel="ECE (black line: a perfect network's)", xlim=(0, None))
    for axes in (accuracy, calibration):
        _tidy(axes)
    _save(figure, path)
