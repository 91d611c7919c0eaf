"""A study on the screen: the table of its variants, what failed, and two studies side by side."""

from __future__ import annotations

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape

from edgekd.measures.intervals import LEVEL, Interval
from edgekd.measures.paired import nll_words, words
from edgekd.reports.screen import Table
from edgekd.studies.comparison import Comparison
from edgekd.studies.hardest import Hard, hardest
from edgekd.studies.result import Gain, Result, Row

DASH = "–"
ON_SCREEN, ON_PAGE = 3, 12  # groups to look at


def show(result: Result, console: Console) -> None:
    """The table, what it means, and the runs that have no answers."""
    table = Table(
        box=SIMPLE, title=escape(headline(result)), title_justify="left", pad_edge=False, collapse_padding=True
    )
    for name in header(result):
        table.add_column(escape(name), justify="left" if name == "variant" else "right", no_wrap=name != "variant")
    table.columns[0].min_width = 7
    for row in result.table:
        table.add_row(*map(escape, cells(row, result)))
    console.print(table)
    for note in notes(result):
        console.print(escape(note), highlight=False, soft_wrap=True)
    for text in unanswered(result):
        console.print(f"[yellow]no answers:[/] {escape(text)}", highlight=False, soft_wrap=True)
    for hard in hardest(result, ON_SCREEN):
        console.print(f"look at: {escape(hard_words(hard, result))}", highlight=False, soft_wrap=True)


def headline(result: Result) -> str:
    """What was studied, in a line."""
    s = result.study
    folds = f"{s.folds} folds" if s.folds else "the recipe's own split"
    if s.only_folds:
        folds = f"{len(s.folds_run)} of {folds}"
    groups = result.groups
    units = "" if groups is None else f" of {len(set(groups.tolist()))} groups"
    seeds = f"{len(s.seeds)} seed{'s' if len(s.seeds) > 1 else ''}"
    return f"{s.name}: {len(result.images)} images{units}, {folds}, {seeds}"


def header(result: Result) -> list[str]:
    """The columns of `cells`."""
    recalls = [f"recall {name}" for name in result.label_names]
    gains = ["gain, pp [95 %]", "p", "p (Holm)"] if result.study.control is not None else []
    change = ["change of NLL [95 %]"] if result.study.control is not None else []
    return ["variant", "accuracy [95 %]", *gains, *recalls, "NLL", *change, "ECE (floor)", "s", "runs"]


def cells(row: Row, result: Result) -> list[str]:
    """One variant as text, in the order of `header`."""
    runs = f"{row.runs}/{row.of_runs}"
    gains = tested(row) if result.study.control is not None else []
    recalls = [DASH if r is None else f"{100 * r:.1f}" for r in row.recalls or [None] * len(result.label_names)]
    accuracy = DASH if row.accuracy is None else percent(row.accuracy, row.interval)
    ece = DASH if row.ece is None else f"{row.ece:.4f} ({row.ece_noise_floor:.4f})"
    numbers = [
        DASH if row.nll is None else f"{row.nll:.4f}",
        *([nll_change(row)] if result.study.control is not None else []),
        ece,
        DASH if row.seconds is None else f"{row.seconds:.0f}",
    ]
    return [row.variant, accuracy, *gains, *recalls, *numbers, runs]


def tested(row: Row) -> list[str]:
    """The gain and its two p; dashes for a variant without an answer to compare, and for the control itself."""
    if row.gain is None:
        return ["control" if row.is_control else DASH, DASH, DASH]
    return [
        words(row.gain.change_pp, row.gain.interval_pp).replace(" pp", ""),
        p_text(row.gain.p),
        p_text(row.gain.p_holm),
    ]


def nll_change(row: Row) -> str:
    """-0.0312 [-0.058, -0.004]; a dash where there is none."""
    if row.gain is None or row.gain.nll_change is None or row.gain.nll_interval is None:
        return DASH
    return nll_words(row.gain.nll_change, row.gain.nll_interval)


def p_text(p: float) -> str:
    """0.031, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def percent(share: float, interval: Interval | None) -> str:
    """93.40 [91.2, 95.1], in per cent."""
    return f"{100 * share:.2f}" + ("" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]")


def notes(result: Result) -> list[str]:
    """How the figures are to be read, and who differs from the control."""
    unit = "image" if result.groups is None else "group (patient)"
    where = "out of fold" if result.study.folds else "on the test split"
    lines = [f"Every figure is of answers {where}; intervals are of 95 %, by {unit}."]
    control, rows = result.study.control, [row for row in result.table if row.gain]
    if not rows:
        return lines
    holm = f"the same for {len(rows)} variants together, and what to judge by" if len(rows) > 1 else "the same, of one"
    lines.append(
        f"gain: over {control}, paired by image, fold and seed; p: sign-flip test by {unit}, of each variant alone; "
        f"p (Holm): {holm}."
    )
    if len({row.runs for row in result.table if row.runs}) > 1:
        lines.append(
            "runs are lacking: accuracies are each of a variant's own images, and only gains compare variants."
        )
    return [*lines, *_verdict(rows, control)]


def _verdict(rows: list[Row], control: str | None) -> list[str]:
    clear = [(row.variant, row.gain.change_pp) for row in rows if row.gain and row.gain.p_holm < LEVEL]
    found = []
    for word, sign in (("better", 1), ("worse", -1)):
        if names := [name for name, change in clear if change * sign > 0]:
            found.append(f"{word} than {control} at {100 * LEVEL:.0f} %: {', '.join(names)}")
    return found or [f"no variant differs from {control} by more than chance at {100 * LEVEL:.0f} %."]


def unanswered(result: Result) -> list[str]:
    """The runs without answers and why, those of one reason together."""
    found: dict[tuple[str, str], list[str]] = {}
    for run in result.runs:
        if run.reason:
            found.setdefault((run.variant, run.reason), []).append(f"fold {run.fold} seed {run.seed}")
    return [f"{variant} ({', '.join(runs)}): {reason}" for (variant, reason), runs in found.items()]


def hard_header(result: Result) -> list[str]:
    """The columns of `hard_cells`."""
    unit = "image" if result.groups is None else "group, by one of its images"
    return [unit, "images", "label", "called", "wrong answers", "of all wrong", "probability of the label"]


def hard_cells(hard: Hard, result: Result) -> list[str]:
    """One group to look at as text, in the order of `hard_header`."""
    label, called = result.label_names[hard.label], result.label_names[hard.called]
    wrong = f"{hard.wrong} of {hard.answers}"
    return [hard.example, f"{hard.images}", label, called, wrong, f"{100 * hard.share:.1f} %", f"{hard.confidence:.2f}"]


def hard_words(hard: Hard, result: Result) -> str:
    """images/a.png and 15 more of its group, labelled "a", called "b": 24 of 32 answers are wrong (32.0 % of all wrong)."""
    example, _, label, called, wrong, share, _ = hard_cells(hard, result)
    more = "" if hard.images == 1 else f" and {hard.images - 1} more of its group"
    return f"{example}{more}, labelled {label!r}, called {called!r}: {wrong} answers are wrong ({share} of all wrong)"


def show_comparison(found: Comparison, names: tuple[str, str], console: Console) -> None:
    """What changed from one study to the other, variant by variant."""
    units = "" if found.groups is None else f" of {found.groups} groups"
    title = f"{names[1]} against {names[0]}: {found.images} images{units} and {len(found.seeds)} seeds in common"
    table = Table(box=SIMPLE, title=escape(title), title_justify="left", pad_edge=False, collapse_padding=True)
    for name in ("variant", "before", "after", "change, pp [95 %]", "p", "p (Holm)"):
        table.add_column(escape(name), justify="left" if name == "variant" else "right", no_wrap=name != "variant")
    for c in found.changes:
        table.add_row(*map(escape, (c.variant, f"{100 * c.before:.2f}", f"{100 * c.after:.2f}", *_change(c.gain))))
    console.print(table)
    for text, variants in (("only before", found.only_before), ("only after", found.only_after)):
        if variants:
            console.print(f"[yellow]{text}:[/] {escape(', '.join(variants))}", highlight=False, soft_wrap=True)


def _change(gain: Gain) -> tuple[str, str, str]:
    return words(gain.change_pp, gain.interval_pp).replace(" pp", ""), p_text(gain.p), p_text(gain.p_holm)


def markdown(result: Result) -> str:
    """The table in Markdown."""
    rows = [header(result), ["---"] * len(header(result)), *(cells(row, result) for row in result.table)]
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([f"{headline(result)}.", "", *lines, "", *notes(result), ""])
