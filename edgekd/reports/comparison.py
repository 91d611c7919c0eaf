"""Teacher, control and student side by side on the screen, with what the distillation gained."""

from __future__ import annotations

from rich.console import Console

from edgekd.bundle import Bundle
from edgekd.measures.drift import Drift
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.paired import fewest_groups
from edgekd.reports.evaluation import show_comparison


def show(made: dict[str, Bundle], evaluations: dict[str, Evaluation], gain: Drift | None, console: Console) -> None:
    """The table of networks by role, and the gain in a sentence."""
    facts = {role: _facts(bundle) for role, bundle in made.items()}
    show_comparison(evaluations, facts, console, f"test split, {evaluations['student'].images} images")
    if gain:
        console.print(_sentence(gain), highlight=False, soft_wrap=True)


def _facts(bundle: Bundle) -> dict[str, str]:
    n = bundle.manifest.network
    return {
        "params": f"{n.parameters / 1e6:.2f} M",
        "MACs": f"{n.macs / 1e6:.0f} M",
        "time": f"{bundle.manifest.training_seconds:.0f} s",
    }


def _sentence(gain: Drift) -> str:
    verdict = "significant" if gain.is_significant else "not significant"
    least = gain.smallest_significant_pp
    if least is None:
        could = "so few of them cannot show that anything is"
    elif gain.groups is None:
        could = f"on so many at least {least:.2f} pp could be"
    else:
        could = f"it takes {fewest_groups()} groups that all change one way, {least:.2f} pp at least"
    return (
        f"distillation against the same student without a teacher: {gain}; {len(gain.flips)} answers differ "
        f"({verdict}; {could}); NLL {gain.nll_words}"
    )
