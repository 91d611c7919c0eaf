"""What each distillation loss gains over the same student without a teacher, on phantoms: alone, and beside `kd`.

    python benchmarks/losses.py [--seeds 3] [--jobs 2]     # runs what is missing in runs/losses, then writes the table
    python benchmarks/losses.py --table                    # writes the table of what is there

The default teacher, a Vision Transformer's blocks over a small ResNet, teaches all, on smaller pictures. For each seed (first
weights, order, views) the control and every variant start from the same weights and see the same views. A gain is that of all
seeds together on the test phantoms: for each image how often the taught student was right more often than the control, over
the seeds; its interval is over patients (Student's t, jackknife), its p the exact sign-flip test by patient, without a
correction for the number of losses. Then each loss is timed: epochs of all losses in turn, in rounds, one thread, first with
nothing in the store and then with what it keeps. Writes results/losses.json and results/losses.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

RESULTS = Path(__file__).with_name("results")
FOLDER = Path("runs/losses")
EPOCHS, ROUNDS = 12, 3
SETTINGS = [
    "data.options={train=640, val=320, test=800, size=96}",
    "input.size=64",
    f"cache={FOLDER / 'cache'}",
    "student.width=0.5",
    f"training={{epochs={EPOCHS}, batch_size=16, learning_rate=2e-3}}",
    "teacher.training={epochs=20, batch_size=32}",
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
    "l2_feature": 1.0,
    "attention_transfer": 1.0,
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
    """The recipe of a variant; of the control without losses."""
    from edgekd import recipe

    wanted = recipe.load(None, [*SETTINGS, f"seed={seed}", "name=losses"])
    if losses is None:
        return wanted
    told = {"losses": losses, "task_loss_weight": 0.5, "distill_loss_weight": 0.5}
    return wanted.model_copy(update={"distillation": wanted.distillation.model_copy(update=told)})


def teacher():
    """The teacher's bundle, trained where it is not there yet."""
    from rich.console import Console

    from edgekd.training import distributed, run, teachers

    folder = FOLDER / "teacher"
    prepared = run.prepare(recipe_of(0), folder, distributed.start(), Console(quiet=True))
    return teachers.teacher(prepared, folder)


def train(runs):
    """The students of `runs`, pairs of a variant and a seed, that are not there yet."""
    from rich.console import Console

    from edgekd.training import distributed, run, stages

    told = {"control": None} | variants()
    for name, seed in runs:
        losses, folder = told[name], FOLDER / f"seed{seed}" / name.replace(" ", "")
        prepared = run.prepare(recipe_of(seed, losses), folder, distributed.start(), Console(quiet=True))
        stages.student(prepared, None if losses is None else teacher(), folder)
        print(f"{name}, seed {seed}", flush=True)


def speeds():
    """Seconds per epoch [ROUNDS] of each loss alone: (nothing in the store, what it keeps in the store)."""
    found = {name: ([], []) for name in WEIGHTS}
    for index in range(ROUNDS):
        for name in WEIGHTS if index % 2 else reversed(WEIGHTS):
            with tempfile.TemporaryDirectory() as cache:
                for seconds in found[name]:
                    seconds.append(one_epoch(name, cache))
        print(f"timed round {index + 1} of {ROUNDS}", flush=True)
    return found


class Silent:
    """Is told of the progress and keeps it to itself."""

    def step(self, *progress):
        pass

    def epoch(self, history):
        pass


def one_epoch(name, cache):
    """Seconds of the training steps of one epoch."""
    from rich.console import Console

    from edgekd.networks import build
    from edgekd.training import distributed, run, stages
    from edgekd.training.loop import Trainer
    from edgekd.training.objective import LabelObjective

    losses = variants()[name]
    wanted = recipe_of(1, losses)
    settings = wanted.training.model_copy(update={"epochs": 1})
    prepared = run.prepare(wanted, FOLDER, distributed.start(), Console(quiet=True))
    prepared = replace(prepared, recipe=wanted.model_copy(update={"cache": cache, "training": settings}))
    labels = LabelObjective(settings, prepared.labels, len(prepared.label_names), prepared.processes)
    network = build(wanted.student, len(prepared.label_names), wanted.input.size)
    objective = stages.distilling(prepared, labels, network, teacher())
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(network, objective, prepared.task(0.0), settings, prepared.processes, Path(folder), "")
        history = trainer.fit(Silent()).history
    return len(prepared.rows("train")) / history[0]["images_per_s"]


def table(seeds, timed):
    """Write what is there of all seeds, and the times."""
    from edgekd.bundle import Bundle
    from edgekd.measures.evaluation import Evaluation

    taught_by = Evaluation.load(Bundle.open(FOLDER / "teacher").file("evaluation/test.json"))
    found = {name: answers(name, seeds) for name in ["control", *variants()]}
    rows = [row(name, right, found["control"]) for name, right in found.items() if right]
    control = rows.pop(0)
    document = {
        "cpu": cpu(),
        "teacher": {"accuracy": taught_by.accuracy, "interval": taught_by.accuracy_interval},
        "control": control,
        "seeds": seeds,
        "settings": SETTINGS,
        "weights": WEIGHTS,
        "rows": rows,
        "seconds_per_epoch": timed,
    }
    (RESULTS / "losses.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / "losses.md").write_text(markdown(document))
    print(markdown(document))


def answers(name, seeds):
    """Right answers [S, N] of a variant on the test phantoms over the seeds; None unless all are there."""
    from edgekd.bundle import Bundle

    right = []
    for seed in seeds:
        folder = FOLDER / f"seed{seed}" / name.replace(" ", "")
        if not (folder / "manifest.json").exists():
            return None
        stored = load_file(Bundle.open(folder).file("evaluation/test.safetensors"))
        right.append(stored["logits"].argmax(1) == stored["labels"])
    return {"right": np.array(right), "groups": stored["groups"]}


def row(name, told, control):
    """A variant's accuracy, its gain over the control and the test by patient."""
    from edgekd.measures.clustered import gain_interval
    from edgekd.measures.paired import sign_flip_p

    images, seeds = told["right"].shape[1], len(told["right"])
    each = (told["right"].astype(int) - control["right"].astype(int)).sum(0)
    groups = np.unique(told["groups"], return_inverse=True)[1]
    gained, sizes = np.bincount(groups, each).astype(int), np.bincount(groups) * seeds
    return {
        "name": name,
        "accuracy": float(told["right"].mean()),
        "gain_pp": 100 * float(each.sum() / (images * seeds)),
        "interval_pp": [100 * end for end in gain_interval(gained, sizes)],
        "p": sign_flip_p(gained),
        "groups": len(gained),
        "images": images,
    }


def markdown(document):
    """The table of a document."""
    by_name = {found["name"]: found for found in document["rows"]}
    lines = [
        "| loss | weight | alone, pp [95 %] | p | beside `kd`, pp [95 %] | p | s per epoch: first, again |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, weight in document["weights"].items():
        cells = [cell(by_name.get(name)), cell(by_name.get(f"kd + {name}"))]
        first, again = (np.median(seconds) for seconds in document["seconds_per_epoch"].get(name, ([np.nan], [np.nan])))
        lines.append(f"| `{name}` | {weight:g} | {cells[0]} | {cells[1]} | {first:.1f}, {again:.1f} |")
    return "\n".join(lines) + "\n"


def cell(found):
    """Gain and p of a variant."""
    if found is None:
        return "– | –"
    low, high = found["interval_pp"]
    p = "< 0.001" if found["p"] < 0.001 else f"{found['p']:.3f}"
    return f"{found['gain_pp']:+.2f} [{low:.1f}, {high:.1f}] | {p}"


def cpu():
    """The processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=3)
    arguments.add_argument("--jobs", type=int, default=2, help="processes at a time, of one thread each")
    arguments.add_argument("--table", action="store_true", help="train nothing")
    arguments.add_argument("--job", type=int, help=argparse.SUPPRESS)
    args = arguments.parse_args()
    import torch

    torch.set_num_threads(1)
    seeds, times = list(range(1, args.seeds + 1)), FOLDER / "times.json"
    if args.job is not None:  # variants one after the other, so that what was stopped half-way has whole rows
        train([(name, seed) for name in ("control", *variants()) for seed in seeds][args.job :: args.jobs])
        return
    if not args.table:
        teacher()
        run_jobs(args)
        times.write_text(json.dumps(speeds()))
    table(seeds, json.loads(times.read_text()) if times.exists() else {})


def run_jobs(args):
    """Share the runs among processes of this script."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    own = [sys.executable, __file__, "--seeds", str(args.seeds), "--jobs", str(args.jobs)]
    jobs = [subprocess.Popen([*own, "--job", str(job)], env=environment) for job in range(args.jobs)]
    if any([job.wait() for job in jobs]):  # noqa: C419 - wait for all
        sys.exit("a run failed")


if __name__ == "__main__":
    main()
