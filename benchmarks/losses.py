"""What each distillation loss gains over the same student without a teacher, on phantoms: alone, and beside `kd`.

    python benchmarks/losses.py [--seeds 3] [--jobs 2]     # runs what is missing in runs/losses, then writes the table
    python benchmarks/losses.py --table                    # writes the table of what is there

One teacher, a small Vision Transformer with a convolutional stem, teaches all. For each seed (first weights, order, views) the
control and every variant start from the same weights and see the same views. A gain is that of all seeds together on the test
phantoms: for each image how often the taught student was right more often than the control, over the seeds; its interval is a
bootstrap over patients, its p the exact sign-flip test by patient. Seconds per epoch are of one thread; beside `kd` a loss
whose teacher side is small finds it in the store already. Writes results/losses.json and results/losses.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

RESULTS = Path(__file__).with_name("results")
FOLDER = Path("runs/losses")
TEACHER_EPOCHS, EPOCHS = 40, 16
SETTINGS = [
    "data.options={train=800, val=400, test=800, size=96}",
    "input.size=64",
    f"cache={FOLDER / 'cache'}",
    "student.width=0.5",
    f"training={{epochs={EPOCHS}, batch_size=32, learning_rate=3e-3}}",
    "teacher.network=vit_tiny_r_s16_p8_224",
    f"teacher.training={{epochs={TEACHER_EPOCHS}, batch_size=32, learning_rate=1e-3, weight_decay=0.05}}",
    "qat.enabled=false",
]
# Weights are those of each loss's paper where it gives one, beside a task loss of weight 1; else what brings the term to the
# size of the task loss.
WEIGHTS = {
    "kd": 1.0,
    "dkd": 1.0,
    "dist": 1.0,
    "logit_std": 1.0,
    "mse": 1.0,
    "ofa": 1.0,
    "cosine_feature": 1.0,
    "attention_transfer": 1000.0,
    "rkd": 1.0,
    "geometric": 1.0,
    "cross_arch": 1.0,
    "gradcam_semantic": 1.0,
    "lrp_semantic": 1.0,
}


def variants():
    """Name -> `distillation.losses` of every student that is taught."""
    alone = {name: {name: weight} for name, weight in WEIGHTS.items()}
    return alone | {f"kd + {name}": {"kd": 1.0, name: WEIGHTS[name]} for name in WEIGHTS if name != "kd"}


def recipe_of(seed, losses=None):
    from edgekd import recipe

    wanted = recipe.load(None, [*SETTINGS, f"seed={seed}", "name=losses"])
    if losses is None:
        return wanted
    told = {"losses": losses, "task_loss_weight": 0.5, "distill_loss_weight": 0.5}
    return wanted.model_copy(update={"distillation": wanted.distillation.model_copy(update=told)})


def train(seed):
    """The control and every student of one seed that is not there yet."""
    import torch
    from rich.console import Console

    from edgekd.errors import EdgekdError
    from edgekd.training import distributed, run, stages, teachers

    torch.set_num_threads(1)
    console = Console(quiet=True)
    first = run.prepare(recipe_of(0), FOLDER, distributed.start(), console)
    teacher = teachers.teacher(first, FOLDER / "teacher")
    if seed is None:
        return
    names = {"control": None} | variants()
    for name, losses in names.items():
        folder = FOLDER / f"seed{seed}" / name.replace(" ", "")
        prepared = run.prepare(recipe_of(seed, losses), folder, distributed.start(), console)
        try:
            made = stages.student(prepared, None if losses is None else teacher, folder)
        except EdgekdError as e:
            print(f"seed {seed}, {name}: {e}", flush=True)
            continue
        print(f"seed {seed}, {name}: {made.manifest.training_seconds / EPOCHS:.1f} s per epoch", flush=True)


def table(seeds):
    """What is there of all seeds: rows of the table."""
    from edgekd.bundle import Bundle
    from edgekd.measures.evaluation import Evaluation

    teacher = Evaluation.load(Bundle.open(FOLDER / "teacher").file("evaluation/test.json"))
    found = {name: answers(name, seeds) for name in ["control", *variants()]}
    rows = [row(name, told, found["control"]) for name, told in found.items() if told]
    control = rows.pop(0)
    document = {
        "cpu": platform.processor() or platform.machine(),
        "teacher": {"accuracy": teacher.accuracy, "interval": teacher.accuracy_interval},
        "control": control,
        "seeds": seeds,
        "images": len(found["control"]["labels"]),
        "settings": SETTINGS,
        "weights": WEIGHTS,
        "rows": rows,
    }
    (RESULTS / "losses.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / "losses.md").write_text(markdown(document))
    print(markdown(document))


def answers(name, seeds):
    """Right answers [S, N] of a variant on the test phantoms over the seeds; None unless all are there."""
    from edgekd.bundle import Bundle

    right, seconds = [], []
    for seed in seeds:
        folder = FOLDER / f"seed{seed}" / name.replace(" ", "")
        if not (folder / "manifest.json").exists():
            return None
        bundle = Bundle.open(folder)
        stored = load_file(bundle.file("evaluation/test.safetensors"))
        right.append(stored["logits"].argmax(1) == stored["labels"])
        seconds.append(bundle.manifest.training_seconds / EPOCHS)
    return {"right": np.array(right), "seconds": seconds, "labels": stored["labels"], "groups": stored["groups"]}


def row(name, told, control):
    """A variant's accuracy, its gain over the control and the test by patient."""
    from edgekd.measures.paired import change_interval, sign_flip_p

    images, seeds = told["right"].shape[1], len(told["right"])
    each = (told["right"].astype(int) - control["right"].astype(int)).sum(0)
    groups = np.unique(told["groups"], return_inverse=True)[1]
    gained, sizes = np.bincount(groups, each).astype(int), np.bincount(groups) * seeds
    return {
        "name": name,
        "accuracy": float(told["right"].mean()),
        "gain_pp": 100 * float(each.sum() / (images * seeds)),
        "interval_pp": [100 * end for end in change_interval(gained, sizes)],
        "p": sign_flip_p(gained),
        "groups": len(gained),
        "seconds_per_epoch": told["seconds"],
    }


def markdown(document):
    """The table of a document."""
    by_name = {found["name"]: found for found in document["rows"]}
    lines = [
        "| loss | alone, pp [95 %] | p | s per epoch | beside `kd`, pp [95 %] | p | s per epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in document["weights"]:
        cells = [cell(by_name.get(name)), cell(by_name.get(f"kd + {name}"))]
        lines.append(f"| `{name}` | {cells[0]} | {cells[1]} |")
    return "\n".join(lines) + "\n"


def cell(found):
    """Gain, p and seconds per epoch of a variant."""
    if found is None:
        return "– | – | –"
    low, high = found["interval_pp"]
    seconds = np.median(found["seconds_per_epoch"])
    return f"{found['gain_pp']:+.2f} [{low:.1f}, {high:.1f}] | {found['p']:.3f} | {seconds:.1f}"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--jobs", type=int, default=2, help="processes at a time, of one thread each")
    arguments.add_argument("--table", action="store_true", help="train nothing")
    arguments.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    arguments.add_argument("--teacher", action="store_true", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    seeds = list(range(1, args.seeds + 1))
    if args.teacher or args.seed is not None:
        train(args.seed)
        return
    if not args.table:
        run_all([["--teacher"]], 1)
        run_all([["--seed", str(seed)] for seed in seeds], args.jobs)
    table(seeds)


def run_all(commands, jobs):
    """Run this script with each of the arguments, some at a time."""
    environment, waiting, running = os.environ | {"OMP_NUM_THREADS": "1"}, list(commands), []
    while waiting or running:
        while waiting and len(running) < jobs:
            running.append(subprocess.Popen([sys.executable, __file__, *waiting.pop(0)], env=environment))
        if running.pop(0).wait():
            sys.exit("a run failed")


if __name__ == "__main__":
    main()
