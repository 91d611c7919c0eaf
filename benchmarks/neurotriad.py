"""NeuroTriad-ViT's table (Zenodo 17494928) at phantom scale, beside what it states: make neurotriad.

    python benchmarks/neurotriad.py            # trains what is missing in runs/neurotriad; stopped at any moment, it goes on
    python benchmarks/neurotriad.py --table    # the table of what is there

Its ViT, its hybrid, its three ensembles and its two students, each by the recipe of its name, on generated slices: small forms
of the networks from random weights, smaller pictures, fewer epochs. So the accuracies stand for the machinery and not for the
source, whose own are of 2,311 images that it dealt itself. Parameters are counted on the networks of the recipes, at full size.
Writes results/neurotriad.json and results/neurotriad.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

RESULTS = Path(__file__).with_name("results")
FOLDER = Path("runs/neurotriad")
SCALE = [
    "data.options={train=640, val=320, test=800, size=96}",
    "data.note=",
    "input.size=64",
    "augment.elastic_alpha=12.0",
    "augment.elastic_sigma=3.0",
    "qat.enabled=false",
]
TRAINING = (
    "{epochs=12, batch_size=16, learning_rate=1e-3, schedule='plateau', warmup_epochs=1.0, early_stopping_patience=6}"
)
STUDENT = (
    "{epochs=16, batch_size=16, learning_rate=2e-3, schedule='plateau', warmup_epochs=1.0, early_stopping_patience=6}"
)
MEMBERS = {  # of the committees, as here: of VGG's 133 M parameters 120 M are in two dense layers
    "efficientnet_b2": "{network='efficientnet_b0'}",
    "densenet121": "{network='densenet121'}",
    "vgg16": "{network='vgg11_bn', options={mlp_ratio=0.125}}",
}
RATES = {"vgg16": "2e-4"}  # of members: nothing is normalized in VGG's dense layers, and at 1e-3 it stays at chance
EXPLAINED = 16  # images
SMALL = {  # recipe -> the form of its teacher here
    "neurotriad-mobilenetv2": "{network='neurotriad_vit', options={depth=6, dim=192, heads=3}, input_size=96}",
    "neurotriad-hybrid": "{network='hybrid_cnn_vit', options={backbone='resnet10t', vit='vit_tiny_patch16_224'}}",
}


@dataclass(frozen=True)
class Entry:
    """A line of the source's table, and the recipe and role of the network that stands for it here."""

    name: str
    recipe: str
    role: str  # teacher or student
    accuracy: str  # as stated, %
    parameters: str = ""  # as stated


TABLE = (
    Entry("ViT", "neurotriad-mobilenetv2", "teacher", "94.6", "235 M"),
    Entry("hybrid EfficientNet-B0 + ViT", "neurotriad-hybrid", "teacher", "94.72", "90.5 M"),
    Entry("DenseNet121 + VGG16", "committee-densenet121-vgg16", "teacher", "92.8"),
    Entry("EfficientNet-B2 + DenseNet121", "committee-b2-densenet121", "teacher", "92.43"),
    Entry("EfficientNet-B2 + VGG16", "committee-b2-vgg16", "teacher", "92.0"),
    Entry("EfficientNet-Lite0, taught", "neurotriad-efficientnet-lite0", "student", "93–94", "7.9 M"),
    Entry("MobileNetV2, taught", "neurotriad-mobilenetv2", "student", "~94"),
)
STUDENTS = tuple(entry.recipe for entry in TABLE if entry.role == "student")


def recipe_of(name, *settings):
    """A recipe of the source on phantoms, at their scale."""
    from edgekd import command, recipe

    shared = [*SCALE, f"cache={FOLDER / 'cache'}", f"training={STUDENT}"]
    own = [setting for setting in shared if not setting.startswith("data.")]
    made = command.on_data(recipe.load(name, ["student.weights=", *own, *settings]), "phantom", [])
    return recipe.overridden(made, [setting for setting in shared if setting.startswith("data.")])


def teacher_recipe(name):
    """The recipe with its teacher in a small form; a committee's members are bundles that are there."""
    if not name.startswith("committee"):
        small = SMALL.get(name, SMALL["neurotriad-mobilenetv2"])
        return recipe_of(name, f"teacher={small}", f"teacher.training={TRAINING}")
    from edgekd import recipe

    members = [member.network for member in recipe.load(name).teacher.members]
    listed = ", ".join(f"{{bundle='{FOLDER / 'members' / member}'}}" for member in members)
    return recipe_of(name, f"teacher.members=[{listed}]")


def member_recipe(network):
    """A recipe whose teacher is one member of the committees."""
    training = [f"teacher.training={TRAINING}"]
    training += [f"teacher.training.learning_rate={RATES[network]}"] if network in RATES else []
    return recipe_of("neurotriad-mobilenetv2", f"teacher={MEMBERS[network]}", *training)


def trained(recipe, folder):
    """The bundle of a recipe's teacher in `folder`, trained where it is not there yet."""
    from edgekd.training import teachers

    return teachers.teacher(prepared(recipe, folder), folder)


def prepared(recipe, folder):
    """A run of a recipe."""
    from edgekd.reports import screen
    from edgekd.training import distributed, run

    return run.prepare(recipe, folder, distributed.start(), screen.console())


def folder_of(recipe, role):
    """Where the network of a line lies."""
    shared = recipe in STUDENTS and role == "teacher"  # both students have one teacher
    return FOLDER / ("neurotriad-mobilenetv2" if shared else recipe) / role


def teach(job):
    """Train what is missing: the ViT and its students (job 0), all else (job 1)."""
    from edgekd.training import stages

    if job == 0:
        for name in ("neurotriad-mobilenetv2", "neurotriad-efficientnet-lite0"):
            recipe = teacher_recipe(name)
            teacher = trained(recipe, folder_of(name, "teacher"))
            for role, taught_by in (("control", None), ("student", teacher)):
                stages.student(prepared(recipe, folder_of(name, role)), taught_by, folder_of(name, role))
        return
    trained(teacher_recipe("neurotriad-hybrid"), folder_of("neurotriad-hybrid", "teacher"))
    for network in MEMBERS:
        trained(member_recipe(network), FOLDER / "members" / network)
    for entry in TABLE:
        if entry.recipe.startswith("committee"):
            trained(teacher_recipe(entry.recipe), folder_of(entry.recipe, "teacher"))


def full_size(entry):
    """The parameters of the recipe's own network with four classes, counted on tensors without values."""
    import torch

    from edgekd import recipe
    from edgekd.networks import build, cost

    r = recipe.load(entry.recipe)
    sections = [r.student] if entry.role == "student" else list(r.teacher.sections.values())
    with torch.device("meta"):
        random = [s.model_copy(update={"weights": "", "pretrained": False}) for s in sections]
        return sum(cost.parameters(build(section, 4, r.input.size)) for section in random)


def measured(folder):
    """What the bundle in a folder says of the test phantoms; None where it is not there yet."""
    from safetensors.numpy import load_file

    from edgekd.bundle import Bundle
    from edgekd.measures.calibration import ece, softmax
    from edgekd.measures.evaluation import Evaluation

    if not (folder / "manifest.json").exists():
        return None
    bundle = Bundle.open(folder)
    test, stored = (bundle.file(f"evaluation/test.{kind}") for kind in ("json", "safetensors"))
    e, answers = Evaluation.load(test), load_file(stored)
    return {
        "accuracy": e.accuracy,
        "interval": e.accuracy_interval,
        "macro_f1": e.macro.f1,
        "temperature": bundle.manifest.temperature,
        "ece_before": ece(softmax(answers["logits"]), answers["labels"]),
        "ece": e.ece,
        "ece_noise_floor": e.ece_noise_floor,
        "parameters": bundle.manifest.network.parameters,
        "seconds": bundle.manifest.training_seconds,
    }


def explain():
    """Insertion, deletion and localisation of Grad-CAM, and LIME where it is installed, for the MobileNetV2 that was taught."""
    from importlib.util import find_spec

    from edgekd import evaluate

    methods = "gradcam,lime" if find_spec("skimage") else "gradcam"
    folder = str(folder_of("neurotriad-mobilenetv2", "student"))
    asked = ["--faithfulness", "--method", methods, "--images", str(EXPLAINED), "--resume"]
    evaluate.main([folder, *asked, "--out", str(FOLDER / "explanations")])


def table():
    """Write and print what is there."""
    from edgekd.devices.runner import cpu_name

    lines = []
    for entry in TABLE:
        found = measured(folder_of(entry.recipe, entry.role))
        control = measured(folder_of(entry.recipe, "control")) if entry.role == "student" else None
        lines.append(vars(entry) | {"full_size": full_size(entry), "here": found, "control": control})
    document = {"cpu": cpu_name(), "settings": SCALE, "training": TRAINING, "student_training": STUDENT}
    document |= {"members": MEMBERS, "rates": RATES, "small": SMALL, "rows": lines}
    (RESULTS / "neurotriad.json").write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "neurotriad.md").write_text(markdown(document))
    print(markdown(document))


def markdown(document):
    """The source's table and ours side by side."""
    head = ("network", "stated, %", "phantoms, % [95 %]", "macro F1", "T", "ECE before → after (noise)")
    head += ("parameters: stated", "of the recipe", "here")
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for row in document["rows"]:
        for role, found in (("", row["here"]), (" (control)", row["control"])):
            if role and found is None:
                continue
            stated = ("", "", "") if role else (row["accuracy"], row["parameters"], f"{row['full_size'] / 1e6:.1f} M")
            lines.append(
                "| " + " | ".join((row["name"] + role, stated[0], *cells(found), *stated[1:], small(found))) + " |"
            )
    return "\n".join(lines) + "\n"


def cells(found):
    """Accuracy, F1, temperature and calibration."""
    if found is None:
        return ("not run yet", "", "", "")
    low, high = (100 * end for end in found["interval"])
    ece = f"{found['ece_before']:.3f} → {found['ece']:.3f} ({found['ece_noise_floor']:.3f})"
    accuracy = f"{100 * found['accuracy']:.2f} [{low:.1f}, {high:.1f}]"
    return accuracy, f"{found['macro_f1']:.3f}", f"{found['temperature']:.2f}", ece


def small(found):
    """Parameters of the small form."""
    return "" if found is None else f"{found['parameters'] / 1e6:.2f} M"


def main(argv=None):
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--table", action="store_true", help="train nothing")
    arguments.add_argument("--job", type=int, help=argparse.SUPPRESS)
    args = arguments.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    if args.job is not None:
        teach(args.job)
        return
    if not args.table:
        own, environment = [sys.executable, __file__, "--job"], os.environ | {"OMP_NUM_THREADS": "1"}
        jobs = [subprocess.Popen([*own, str(job)], env=environment) for job in (0, 1)]
        if any([job.wait() for job in jobs]):  # noqa: C419 - wait for both
            sys.exit("a training failed; the same command goes on")
        explain()
    table()


if __name__ == "__main__":
    main()
