"""Does DisWOT's score, which costs no training, tell which student will be the best? Beside parameters and MACs.

    python benchmarks/rank_correlation.py [--seeds 2] [--jobs 2]    # trains what is missing in runs/rank, then writes the table
    python benchmarks/rank_correlation.py --table                   # writes the table of what is there

Students of several families and widths learn phantoms from one trained teacher, all in the same way, for each seed (first
weights, order, views). Their accuracy on the test phantoms, the mean over seeds, is set beside what was known before any
training: the score of `edgekd.rank` for the teacher's architecture (mean over draws of first weights), parameters, and MACs.
rho is Spearman's; p is that of a permutation test, two-sided, of this rho alone. With ten students |rho| has to be about 0.65
for p < 0.05, and two rhos differ by chance by as much; so beside each stands the 95 % interval of what it is above the
parameters' rho, a bootstrap over students. Writes results/rank_correlation.json and results/rank_correlation.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

RESULTS = Path(__file__).with_name("results")
FOLDER = Path("runs/rank")
CANDIDATES = (
    "mobilenetv2:0.2",
    "mobilenetv2:0.35",
    "mobilenetv2:0.5",
    "mobilenetv2:0.75",
    "efficientnet_lite0:0.25",
    "efficientnet_lite0:0.5",
    "efficientnet_lite0:0.75",
    "mobilenetv3_small_050",
    "mobilenetv3_small_100",
    "resnet10t",
)
SETTINGS = [
    "data.options={train=640, val=320, test=800, size=96}",
    "input.size=64",
    "distillation={losses={kd=1.0}, task_loss_weight=0.3, distill_loss_weight=0.7}",
    "training={epochs=12, batch_size=16, learning_rate=2e-3}",
    "teacher.training={epochs=20, batch_size=32}",
    "qat.enabled=false",
]
IMAGES, DRAWS = 64, 5
RESAMPLES = 20_000
KNOWN = ("score", "relation", "semantic", "parameters", "macs")  # before any training


def recipe_of(candidate, seed):
    """The recipe that trains a candidate."""
    from edgekd import recipe

    wanted = recipe.load(None, [*SETTINGS, f"cache={FOLDER / 'cache'}", f"seed={seed}", "split_seed=0", "name=rank"])
    return wanted if candidate is None else wanted.model_copy(update={"student": candidate.settings})


def candidates():
    """The students."""
    from edgekd.ranking import candidates as reading

    return reading.parse(CANDIDATES, recipe_of(None, 0).input.size)


def prepared(recipe, folder):
    """A run of a recipe."""
    from rich.console import Console

    from edgekd.training import distributed, run

    return run.prepare(recipe, folder, distributed.start(), Console(quiet=True))


def teacher():
    """The teacher's bundle, trained where it is not there yet."""
    from edgekd.training import teachers

    return teachers.teacher(prepared(recipe_of(None, 0), FOLDER / "teacher"), FOLDER / "teacher")


def folder_of(candidate, seed):
    """Where a student lies."""
    return FOLDER / f"seed{seed}" / candidate.text.replace(":", "-")


def train(jobs):
    """The students of `jobs`, pairs of a candidate and a seed, that are not there yet."""
    from edgekd.training import stages

    for candidate, seed in jobs:
        folder = folder_of(candidate, seed)
        stages.student(prepared(recipe_of(candidate, seed), folder), teacher(), folder)
        print(f"{candidate.text}, seed {seed}", flush=True)


def rate():
    """Scores and costs of all candidates for the teacher's architecture."""
    from edgekd.ranking import rating

    bundle, recipe = teacher(), recipe_of(None, 0)
    return rating.rate(bundle, candidates(), rating.Minibatch.of(bundle, recipe, IMAGES, 0), DRAWS, 0, None)


def rows_of(ranking, seeds):
    """What is known of every candidate before training, beside its accuracies [S]; those alone that have all of them."""
    from edgekd.bundle import Bundle
    from edgekd.measures.evaluation import Evaluation

    records, found = {r.candidate: r for r in ranking.candidates}, []
    for candidate in candidates():
        folders = [folder_of(candidate, seed) for seed in seeds]
        if not all((folder / "manifest.json").exists() for folder in folders):
            continue
        tests = [Evaluation.load(Bundle.open(folder).file("evaluation/test.json")) for folder in folders]
        record = records[candidate.text]
        known = {"relation": float(np.mean(record.relation)), "semantic": float(np.mean(record.semantic))}
        known |= {"score": record.score, "scores": list(record.scores)}
        known |= {"parameters": record.network.parameters, "macs": record.network.macs}
        found.append({"candidate": candidate.text, "accuracies": [test.accuracy for test in tests]} | known)
    return found


def correlations(rows):
    """Spearman's rho of everything known with the mean accuracy, its p, and its difference from the parameters' rho."""
    from scipy.stats import permutation_test, spearmanr

    accuracy = np.array([np.mean(row["accuracies"]) for row in rows])
    if len(set(accuracy)) < 3:
        return {}
    values = {name: np.array([row[name] for row in rows], float) for name in KNOWN}
    draws = np.random.default_rng(0).integers(len(rows), size=(RESAMPLES // 10, len(rows)))
    draws = [drawn for drawn in draws if len(set(accuracy[drawn])) > 2]
    found = {}
    for name, known in values.items():
        test = permutation_test(
            (known,), lambda x: spearmanr(x, accuracy)[0], permutation_type="pairings", n_resamples=RESAMPLES, rng=0
        )
        difference = [
            spearmanr(known[d], accuracy[d])[0] - spearmanr(values["parameters"][d], accuracy[d])[0] for d in draws
        ]
        low, high = np.nanquantile(difference, (0.025, 0.975))
        found[name] = {
            "rho": float(test.statistic),
            "p": float(test.pvalue),
            "over_parameters": [float(low), float(high)],
        }
    return found


def table(seeds):
    """Write what is there of all seeds."""
    from edgekd.bundle import Bundle
    from edgekd.devices.runner import cpu_name
    from edgekd.measures.evaluation import Evaluation

    bundle, ranking = Bundle.open(FOLDER / "teacher"), rate()
    rows = rows_of(ranking, seeds)
    document = {
        "cpu": cpu_name(),
        "teacher": bundle.manifest.network.model_dump()
        | {"accuracy": Evaluation.load(bundle.file("evaluation/test.json")).accuracy},
        "settings": SETTINGS,
        "seeds": seeds,
        "images": IMAGES,
        "draws": DRAWS,
        "rows": rows,
        "correlations": correlations(rows),
    }
    (RESULTS / "rank_correlation.json").write_text(json.dumps(document, indent=1) + "\n")
    (RESULTS / "rank_correlation.md").write_text(markdown(document))
    print(markdown(document))


def markdown(document):
    """The students by accuracy, then the correlations."""
    lines = ["| student | accuracy, % | score | parameters | MACs |", "|---|---|---|---|---|"]
    for row in sorted(document["rows"], key=lambda row: -np.mean(row["accuracies"])):
        cells = f"{100 * np.mean(row['accuracies']):.2f} | {row['score']:.4f} | {row['parameters'] / 1e6:.2f} M"
        lines.append(f"| `{row['candidate']}` | {cells} | {row['macs'] / 1e6:.1f} M |")
    lines += [
        "",
        "| known before training | Spearman's rho | p | rho over that of the parameters, 95 % |",
        "|---|---|---|---|",
    ]
    for name, found in document["correlations"].items():
        low, high = found["over_parameters"]
        beside = "" if name == "parameters" else f"{low:+.2f} to {high:+.2f}"
        p = f"{found['p']:.3f}" if found["p"] >= 0.001 else "< 0.001"
        lines.append(f"| {name} | {found['rho']:+.2f} | {p} | {beside} |")
    return "\n".join(lines) + "\n"


def main(argv=None):
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seeds", type=int, default=2)
    arguments.add_argument("--jobs", type=int, default=2, help="processes at a time, of one thread each")
    arguments.add_argument("--table", action="store_true", help="train nothing")
    arguments.add_argument("--job", type=int, help=argparse.SUPPRESS)
    args = arguments.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    seeds = list(range(1, args.seeds + 1))
    if args.job is not None:
        train([(candidate, seed) for seed in seeds for candidate in candidates()][args.job :: args.jobs])
        return
    if not args.table:
        teacher()
        run_jobs(args)
    table(seeds)


def run_jobs(args):
    """Share the students among processes of this script."""
    own = [sys.executable, __file__, "--seeds", str(args.seeds), "--jobs", str(args.jobs)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    jobs = [subprocess.Popen([*own, "--job", str(job)], env=environment) for job in range(args.jobs)]
    if any([job.wait() for job in jobs]):  # noqa: C419 - wait for all
        sys.exit("a student failed")


if __name__ == "__main__":
    main()
