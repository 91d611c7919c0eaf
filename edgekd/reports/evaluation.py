"""An evaluation, and several side by side, as tables on the screen."""

from __future__ import annotations

from collections.abc import Mapping

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.measures.evaluation import Evaluation
from edgekd.measures.selective import Sets
from edgekd.reports.screen import Table


def percent(fraction: float) -> str:
    """93.4 %."""
    return f"{100 * fraction:.2f} %"


def with_interval(evaluation: Evaluation) -> str:
    """Accuracy with its interval: 93.40 % [91.20, 95.10]."""
    low, high = evaluation.accuracy_interval
    return f"{percent(evaluation.accuracy)} [{100 * low:.2f}, {100 * high:.2f}]"


def show(evaluation: Evaluation, console: Console) -> None:
    """Headline, scores per class and confusion matrix."""
    e = evaluation
    console.print(_headline(e))
    table = Table("class", "images", "precision", "recall", "F1", "AUC", title="per class", title_justify="left")
    for c in e.classes:
        auc = "–" if c.auc is None else f"{c.auc:.4f}"
        table.add_row(escape(c.label_name), str(c.images), percent(c.precision), percent(c.recall), percent(c.f1), auc)
    for name, a in (("macro", e.macro), ("weighted", e.weighted)):
        table.add_row(name, "", percent(a.precision), percent(a.recall), percent(a.f1), "", style="dim")
    _right(table)
    console.print(table)
    console.print(_confusion(e))
    if e.sets:
        console.print(_sets(e.sets))


def _headline(e: Evaluation) -> Table:
    sampled = f"{e.images} images" + (f" of {e.groups} groups; intervals resample groups" if e.groups else "")
    table = Table(title=sampled, title_justify="left", box=None, show_header=False)
    low, high = e.macro_f1_interval
    auc = "–" if e.macro_auc is None else f"{e.macro_auc:.4f}"
    verdict = "within noise" if e.ece <= e.ece_noise_p95 else "above noise"
    floor = f"a perfect model shows {e.ece_noise_floor:.4f}, up to {e.ece_noise_p95:.4f}: {verdict}"
    table.add_row("accuracy", with_interval(e))
    table.add_row("macro F1", f"{percent(e.macro.f1)} [{100 * low:.2f}, {100 * high:.2f}]")
    table.add_row("macro AUC", auc)
    table.add_row("ECE", f"{e.ece:.4f} ({floor})")
    table.add_row(
        "ECE otherwise",
        f"adaptive {e.adaptive_ece:.4f}, class-wise {e.classwise_ece:.4f}, debiased {e.debiased_ece:.4f}",
    )
    table.add_row("NLL, Brier", f"{e.nll:.4f}, {e.brier:.4f}")
    if e.selective:
        surest = ", ".join(f"{percent(a)} of the surest {c} %" for c, a in e.selective.accuracy_at.items())
        table.add_row("if it may be silent", f"{surest}; AURC {e.selective.aurc:.4f}")
    return table


def _sets(sets: Sets) -> Table:
    wanted = f"right class inside for {percent(1 - sets.alpha)} of images, by validation"
    title = f"sets of possible classes: {wanted}; none or all for {percent(sets.unsure)}"
    table = Table("class", "images", "inside [95 %]", "classes in a set [95 %]", title=title, title_justify="left")
    for name, s in {**sets.classes, "all": sets.all}.items():
        low, high = s.coverage_interval
        size = "{:.2f} [{:.2f}, {:.2f}]".format(s.mean_size, *s.mean_size_interval)
        inside = f"{percent(s.coverage)} [{100 * low:.2f}, {100 * high:.2f}]"
        table.add_row(escape(name), str(s.images), escape(inside), escape(size))
    if group := sets.by_group:
        low, high = group.coverage_interval
        inside = f"{percent(group.coverage)} [{100 * low:.2f}, {100 * high:.2f}]"
        table.add_row("all, each group once", f"of {group.groups}", escape(inside), "", style="dim")
    _right(table)
    return table


def _confusion(e: Evaluation) -> Table:
    names = [escape(c.label_name) for c in e.classes]
    table = Table("label \\ answer", *names, title="confusion", title_justify="left")
    for i, (name, row) in enumerate(zip(names, e.confusion, strict=True)):
        table.add_row(name, *(f"[bold]{n}[/]" if i == j else str(n) if n else "·" for j, n in enumerate(row)))
    _right(table)
    return table


def show_comparison(
    evaluations: Mapping[str, Evaluation], facts: Mapping[str, Mapping[str, str]], console: Console, title: str
) -> None:
    """One row per network: accuracy with interval, calibration, and whatever `facts` says of each."""
    columns = list(dict.fromkeys(name for row in facts.values() for name in row))
    header = ("network", "accuracy [95 %]", "ECE (noise)", "NLL", *(escape(c) for c in columns))
    table = Table(*header, title=escape(title), title_justify="left", box=SIMPLE, pad_edge=False, collapse_padding=True)
    for name, e in evaluations.items():
        row = facts.get(name, {})
        calibration = f"{e.ece:.4f} ({e.ece_noise_floor:.4f})"
        table.add_row(
            escape(name), with_interval(e), calibration, f"{e.nll:.4f}", *(escape(row.get(c, "")) for c in columns)
        )
    _right(table)
    console.print(table)


def _right(table: Table) -> None:
    for column in table.columns[1:]:
        column.justify, column.no_wrap = "right", True
    table.columns[0].min_width = 7  # names are folded before figures are cut
