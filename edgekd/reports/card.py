"""The model card of a bundle: what it is, how well it does, what it must not be used for."""

from __future__ import annotations

from pathlib import Path

from edgekd.bundle import Manifest
from edgekd.measures.evaluation import Evaluation
from edgekd.reports.evaluation import percent, with_interval

CARD = """# {name}: {role}

{network} ({parameters:.2f} M parameters, {macs:.1f} M multiply-accumulates) for {size} px RGB images of the classes
{labels}.{teacher}

| split | images | accuracy (95 % interval) | macro F1 | ECE (noise floor) | NLL |
|---|---|---|---|---|---|
{rows}

The calibration temperature {temperature:.4f} was fitted on the validation split and is applied in this table. Intervals are
bootstrap intervals{groups}.

- Input: uint8 RGB, {fit} to {size} px ({kernel}), then (x / 255 - {mean}) / {std}.
- Training: {seconds:.0f} s, seed {seed}; `manifest.json` holds the whole recipe and the versions.
- Licence of data and weights: {licence}.
- Golden vectors (`golden/`) are synthetic pictures with the exact input and logits that each device must reproduce.

**Research demonstration, not a medical device.** It has seen no patients of yours, knows only these classes, and answers with
one of them whatever it is shown.
"""


def model_card(manifest: Manifest, folder: Path) -> str:
    """The card's Markdown, from the manifest and the evaluations in `folder`."""
    m, n = manifest, manifest.network
    evaluations = {side: Evaluation.load(folder / f"evaluation/{side}.json") for side in ("val", "test")}
    teacher = (
        f" Distilled from `{m.teacher.network}` ({m.teacher.parameters / 1e6:.2f} M parameters)." if m.teacher else ""
    )
    return CARD.format(
        name=m.name,
        role=m.role,
        network=f"`{n.network}`" + (f" of width {n.width}" if n.width != 1 else ""),
        parameters=n.parameters / 1e6,
        macs=n.macs / 1e6,
        size=m.input.size,
        labels=", ".join(m.label_names),
        teacher=teacher,
        rows="\n".join(_row(side, e) for side, e in evaluations.items()),
        temperature=m.calibration_temperature["torch"],
        groups=" over groups (patients), not single images" if evaluations["test"].groups else "",
        fit="squashed" if m.input.fit == "squash" else "resized and cropped",
        kernel=m.input.kernel,
        mean=list(m.input.mean),
        std=list(m.input.std),
        seconds=m.training_seconds,
        seed=m.seed,
        licence=m.licence or "not stated in the recipe",
    )


def _row(side: str, e: Evaluation) -> str:
    floor = f"{e.ece:.4f} ({e.ece_noise_floor:.4f})"
    return f"| {side} | {e.images} | {with_interval(e)} | {percent(e.macro.f1)} | {floor} | {e.nll:.4f} |"
