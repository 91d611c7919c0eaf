"""The recipes of the published systems on real slices, split by true patients, at a size that two cores can train.

    python benchmarks/published_systems.py            # trains what is missing in runs/published; stopped, it goes on
    python benchmarks/published_systems.py --table    # the table of what is there; other rows stay as they are stored

Run it in a folder with data/ and weights/ as the recipes name them. Each recipe runs as it stands but for what SYSTEMS says:
smaller pictures, fewer epochs, and where no ImageNet weights are at hand a smaller network that has them. The test patients
chose nothing: sizes and epochs are what two cores can do. Writes results/published_systems.{json,md}.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
FOLDER = Path("runs/published")
LITE0, DEIT = "weights/efficientnet_lite0.imagenet.safetensors", "weights/deit_tiny_patch16_224.imagenet.safetensors"
VIT = (f"teacher={{network='deit_tiny_patch16_224', weights='{DEIT}', input_size=128}}",)
VIT_TRAINING = "teacher.training={epochs=5, batch_size=32, learning_rate=2e-4, weight_decay=0.05, label_smoothing=0.05}"
STAGES = """teacher.training.stages=[{train='head', epochs=3, learning_rate=1e-3},
 {train='top', top_fraction=0.3, epochs=3, learning_rate=3e-4}, {train='all', epochs=4, learning_rate=3e-4}]"""
SHORT = "training={epochs=8, batch_size=32, learning_rate=1e-3, weight_decay=0.05, label_smoothing=0.05, images_per_class=250}"


@dataclass(frozen=True)
class System:
    """A recipe, the command that runs it, and what is set beside it; `teacher`: the run whose teacher serves it."""

    recipe: str
    settings: tuple[str, ...]
    command: str = "distill"
    teacher: str = ""
    also: tuple[str, ...] = ("--control", "--no-qat")
    note: str = ""


SYSTEMS = (
    System(
        "efficientnetv2s-stages",
        (
            "input.size=128",
            "teacher.network=dualpool",
            "teacher.options={backbone='efficientnet_lite0'}",
            f"teacher.weights={LITE0}",
            "teacher.pretrained=false",
            STAGES.replace("\n", ""),
            "teacher.training.warmup_epochs=0.0",
        ),
        command="train",
        also=("--results",),
        note="EfficientNet-Lite0 under the two poolings in place of EfficientNetV2-S, 128 px, stages of 3, 3 and 4 epochs",
    ),
    System(
        "cross-architecture-figshare",
        ("input.size=128", "teacher.training.epochs=6", "training.epochs=8"),
        note="128 px, 6 epochs of the teacher and 8 of the student",
    ),
    System(
        "gradcam-l2",
        (*VIT, VIT_TRAINING, "input.size=64", SHORT),
        note="64 px, 8 epochs of 1,000 pictures; the teacher sees 128 px",
    ),
    System(
        "neurotriad-mobilenetv2",
        (*VIT, VIT_TRAINING, "input.size=96", SHORT, "training.warmup_epochs=1.0"),
        teacher="gradcam-l2",
        note="DeiT-Tiny (128 px) in place of ViT-Base, 96 px, 8 epochs of 1,000 pictures",
    ),
    System(
        "neurotriad-efficientnet-lite0",
        (*VIT, VIT_TRAINING, "input.size=96", SHORT, "training.warmup_epochs=1.0"),
        teacher="gradcam-l2",
        note="DeiT-Tiny (128 px) in place of ViT-Base, 96 px, 8 epochs of 1,000 pictures",
    ),
    System(
        "lrp-cosine",
        (*VIT, VIT_TRAINING, "input.size=64", SHORT),
        teacher="gradcam-l2",
        note="64 px, 8 epochs of 1,000 pictures; the same teacher",
    ),
)


def arguments_of(system):
    """The command line of one system, to be shown and to be run."""
    settings = list(system.settings)
    if system.teacher:
        settings = [s for s in settings if not s.startswith("teacher")]
        settings.append(f"teacher={{bundle='{FOLDER / system.teacher / 'teacher'}'}}")
    sets = [part for setting in settings for part in ("--set", setting)]
    out = ["--recipe", system.recipe, "--out", str(FOLDER / system.recipe), "--resume"]
    return ["-m", f"edgekd.{system.command}", *out, *system.also, *sets]


def measured(folder):
    """What a bundle says of the test patients."""
    from edgekd.bundle import Bundle
    from edgekd.measures.evaluation import Evaluation

    if not (folder / "manifest.json").exists():
        return None
    bundle = Bundle.open(folder)
    e, n = Evaluation.load(bundle.file("evaluation/test.json")), bundle.manifest.network
    told = {"images", "groups", "accuracy", "accuracy_interval", "nll", "ece", "ece_noise_floor"}
    network = {"network": n.network, "parameters": n.parameters, "size": bundle.manifest.input.size}
    recalls = {c.label_name: c.recall for c in e.classes}
    return network | e.model_dump(mode="json", include=told) | {"macro_f1": e.macro.f1, "recalls": recalls}


def change(before, after):
    """What changed from one bundle to another, paired by image, tested by patient; None where one is not there yet."""
    from edgekd.bundle import Bundle
    from edgekd.training.comparison import changed, paired

    if not all((side / "manifest.json").exists() for side in (before, after)):
        return None
    return changed(paired(Bundle.open(before), Bundle.open(after)))


def collected(stored):
    """Everything that has been trained here; of a recipe of which nothing is, what `stored` says."""
    earlier = {row["recipe"]: row for row in stored["rows"]}
    rows = []
    for system in SYSTEMS:
        folder, shared = FOLDER / system.recipe, FOLDER / (system.teacher or system.recipe)
        if not folder.exists() and system.recipe in earlier:
            rows.append(earlier[system.recipe])
            continue
        roles = {"teacher": shared / "teacher"}
        roles |= {} if system.command == "train" else {"control": folder / "control", "student": folder}
        found = {role: measured(path) for role, path in roles.items()}
        row = {"recipe": system.recipe, "note": system.note, "settings": list(system.settings), "networks": found}
        row |= {"teacher_of": system.teacher}
        results = shared / "teacher" / "results" / "test_results_final.json"
        row |= {"results": json.loads(results.read_text()) if results.exists() else None}
        rows.append(row | {"gain": None if system.command == "train" else change(folder / "control", folder)})
    return {"rows": rows, "lrp_cosine_against_gradcam_l2": change(FOLDER / "gradcam-l2", FOLDER / "lrp-cosine")}


def markdown(document):
    """One line per network; a teacher that serves several recipes stands with the first."""
    from reference_students import gained, table

    head = ("recipe", "network", "accuracy [95 %]", "macro F1", "NLL", "ECE (floor)")
    head += ("gain, pp [95 %]", "p", "change of NLL [95 %]")
    lines = []
    for row in document["rows"]:
        for role, found in row["networks"].items():
            if found is None or (role == "teacher" and row["teacher_of"]):
                continue
            gain = row["gain"] if role == "student" else None
            name = f"{role} `{found['network']}`, {found['size']} px"
            lines.append(line_of(row, name, found, gained(gain) if gain else ("", "", "")))
        if row["results"]:  # of `train --results`: beside the plain view
            five, moved = row["results"]["tta"], row["results"]["tta_against_plain"]
            (low, high), pp = moved["interval_pp"], moved["accuracy_change_pp"]
            told = (f"{pp:+.2f} [{low:.1f}, {high:.1f}]", f"{moved['p']:.3f}", "")
            lines.append(line_of(row, "the same, mean of five views", five | {"ece_noise_floor": None}, told))
    return table(head, lines) + "\n"


def line_of(row, name, found, told):
    """A row of Markdown."""
    from reference_students import line

    return line((f"`{row['recipe']}`", name, *scored(found), *told))


def scored(found):
    """The cells of what a network answers."""
    low, high = (100 * end for end in found["accuracy_interval"])
    floor = "" if found["ece_noise_floor"] is None else f" ({found['ece_noise_floor']:.3f})"
    accuracy = f"{100 * found['accuracy']:.2f} [{low:.1f}, {high:.1f}]"
    return accuracy, f"{found['macro_f1']:.3f}", f"{found['nll']:.3f}", f"{found['ece']:.3f}{floor}"


def main(argv=None):
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("recipes", nargs="*", metavar="RECIPE", help="those alone (default: all)")
    arguments.add_argument("--table", action="store_true", help="train nothing")
    args = arguments.parse_args(argv)
    for system in SYSTEMS:
        if args.table or (args.recipes and system.recipe not in args.recipes):
            continue
        asked = arguments_of(system)
        print("python", *asked, flush=True)
        if subprocess.run([sys.executable, *asked]).returncode:
            sys.exit("a training failed; the same command goes on")
    path = RESULTS / "published_systems.json"
    document = collected(json.loads(path.read_text()))
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "published_systems.md").write_text(markdown(document))
    print(markdown(document))


if __name__ == "__main__":
    main()
