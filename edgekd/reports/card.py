"""The model card of a bundle: what it is, how well it does, what it must not be used for."""

from __future__ import annotations

from pathlib import Path

from edgekd.bundle import Manifest
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.paired import words
from edgekd.reports import heatmap
from edgekd.reports.evaluation import percent, with_interval
from edgekd.reports.significance import by_group

CARD = """# {name}: {role}

{network} ({parameters:.2f} M parameters, {macs:.1f} M multiply-accumulates) for {size} px RGB images of the classes
{labels}.{teacher}

| split | images | accuracy (95 % interval) | macro F1 | ECE (noise floor) | NLL |
|---|---|---|---|---|---|
{rows}

The calibration temperature {temperature:.4f} was fitted on the validation split and is applied in this table. Intervals are
bootstrap intervals{groups}.
{note}
- Input: uint8 RGB, {fit} to {size} px ({kernel}), then (x / 255 - {mean}) / {std}.
- Training: {seconds}, seed {seed}; `manifest.json` holds the whole recipe and the versions.
- Licence of data and weights: {licence}.
- Golden vectors (`golden/`) are synthetic pictures with the exact input and logits that each device must reproduce.

{int8}**Research demonstration, not a medical device.** It has seen no patients of yours, knows only these classes, and
answers with one of them whatever it is shown.
"""


def model_card(manifest: Manifest, folder: Path) -> str:
    """The card's Markdown, from the manifest and the evaluations in `folder`."""
    m, n = manifest, manifest.network
    evaluations = {split: Evaluation.load(folder / f"evaluation/{split}.json") for split in ("val", "test")}
    teacher = (
        f" Distilled from `{m.teacher.network}` ({m.teacher.parameters / 1e6:.2f} M parameters)." if m.teacher else ""
    )
    return CARD.format(
        name=m.name,
        role=m.role,
        network=f"`{n.network}`"
        + (" of Keras" if n.framework == "keras" else "")
        + (f" of width {n.width}" if n.width != 1 else ""),
        parameters=n.parameters / 1e6,
        macs=n.macs / 1e6,
        size=m.input.size,
        labels=", ".join(m.label_names),
        teacher=teacher,
        rows="\n".join(_row(split, e) for split, e in evaluations.items()),
        int8=_int8(manifest),
        temperature=m.temperature,
        groups=" over groups of the data (patients, where it names them), not single images"
        if evaluations["test"].groups
        else "",
        note=f"\n**About the data.** {note}\n" if (note := m.recipe.get("data", {}).get("note")) else "",
        fit="squashed" if m.input.fit == "squash" else "resized and cropped",
        kernel=m.input.kernel,
        mean=list(m.input.mean),
        std=list(m.input.std),
        seconds=f"{m.training_seconds:.0f} s" if m.training_seconds else "time not recorded",
        seed=m.seed,
        licence=m.licence or "not stated in the recipe",
    )


def _row(split: str, e: Evaluation) -> str:
    floor = f"{e.ece:.4f} ({e.ece_noise_floor:.4f})"
    return f"| {split} | {e.images} | {with_interval(e)} | {percent(e.macro.f1)} | {floor} | {e.nll:.4f} |"


ARTEFACTS = """## Files

{verdict}Each file was verified in its runtime before it got its name. Drift is against the float network on the validation
split ({images} images); there the temperature was fitted for the very file, so that its ECE after it flatters: for the
float network the test split's stands above, for a file `python -m edgekd.benchmark` measures it. "Same answers": as the
reference. `artefacts/NAME.json` holds the details and the flipped images.

| format | from | MB | change of accuracy [95 %] | flips | p (by group) | McNemar p | ECE val, fitted | same answers |
|---|---|---|---|---|---|---|---|---|
{rows}
{maps}
"""


def _int8(manifest: Manifest) -> str:
    """The section on artefacts; "" while there are none."""
    records = manifest.artefacts
    if not records:
        return ""
    rows = [
        f"| {name} | {r.source} | {sum(f.size_bytes for f in r.files.values()) / 1e6:.2f} "
        f"| {words(r.drift_pp, r.drift_interval_pp)} | {r.flips} | {by_group(r)} | {r.mcnemar_p:.3f} "
        f"| {r.ece_before:.3f} → {r.ece:.3f} | {100 * r.top1_agreement:.1f} % |"
        for name, r in sorted(records.items())
    ]
    verdict = f"{_sentence(manifest.quantization.verdict)}\n\n" if manifest.quantization else ""
    maps = "".join(f"\n- `{name}`: {text}." for name, r in sorted(records.items()) if (text := heatmap.words(r)))
    images = max(r.val_images for r in records.values())
    return ARTEFACTS.format(verdict=verdict, images=images, rows="\n".join(rows), maps=f"{maps}\n" if maps else "")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
