"""The reference students: who taught them, what they gained, and what their int8 files keep, on one test split.

    python benchmarks/reference_students.py RUN ... [--seed-of RUN ...]

RUN is a finished run of a recipe `models/recipes/mri4p-*` with its control: its teachers, control and student are compared in
pairs on the patients of the test split. What the int8 files answer there is read from results/int8_drift.json, how fast they
are from results/student_latency.json. Runs with other seeds add a row each. Names that are not given keep their rows. Writes
results/reference_students.json, .md and .png.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from edgekd import command
from edgekd.bundle import Bundle
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.paired import nll_words, words
from edgekd.reports.pictures import BLUE, GREEN, GREY, ORANGE, new_figure, save, tidy
from edgekd.training.comparison import paired

RESULTS = Path(__file__).parent / "results"
FILE = "tflite-int8"
COLOURS = {"committee": GREY, "teacher": GREY, "control": ORANGE, "student": BLUE, FILE: GREEN}
NETWORKS = """| network | parameters | MACs | accuracy [95 %] | recall {labels} | NLL | ECE (floor) |
|---|---|---|---|---|---|---|"""
GAINS = (
    "student",
    "gain over the control, pp [95 %]",
    "p",
    "change of NLL [95 %]",
    "against its committee, pp [95 %]",
    f"`{FILE}` against float, pp (flips)",
    "MB",
    "ms",
    "times as fast as MobileNetV2-224 in float32 [95 %]",
)
SEEDS = """| student | seed | control | student | gain, pp [95 %] | p | change of NLL [95 %] |
|---|---|---|---|---|---|---|"""


def scores(role: str, bundle: Bundle) -> dict[str, Any]:
    """A network and what it answers on the test split."""
    e, n = Evaluation.load(bundle.file("evaluation/test.json")), bundle.manifest.network
    found = e.model_dump(
        mode="json", include={"images", "groups", "accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll"}
    )
    network = {"network": n.network, "width": n.width, "parameters": n.parameters, "macs": n.macs}
    size = {
        "size": bundle.manifest.input.size,
        "val_accuracy": Evaluation.load(bundle.file("evaluation/val.json")).accuracy,
    }
    recalls = {c.label_name: c.recall for c in e.classes}
    return {"role": role} | network | size | found | {"recalls": recalls, "seconds": bundle.manifest.training_seconds}


def change(before: Bundle, after: Bundle) -> dict[str, Any]:
    """The change from one network to another, paired by image, with intervals and test by group."""
    found = paired(before, after)
    return found.facts | {"nll_change": found.nll_change, "nll_interval": list(found.nll_interval)}


def of_run(folder: Path) -> dict[str, Any]:
    """Everything of one run, from its bundles."""
    student, control, teacher = (Bundle.open(folder / part) for part in ("", "control", "teacher"))
    members = [Bundle.open(path) for path in sorted((folder / "teacher/members").glob("*"))]
    rows = [scores("teacher", member) for member in members]
    rows += [
        scores("committee" if members else "teacher", teacher),
        scores("control", control),
        scores("student", student),
    ]
    return {
        "rows": rows,
        "gain": change(control, student),
        "against_teacher": change(teacher, student),
        "seed": student.manifest.recipe["seed"],
    }


def of_seed(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run with another seed."""
    accuracies = {row["role"]: row["accuracy"] for row in found["rows"]}
    return {"control": accuracies["control"], "student": accuracies["student"], "gain": found["gain"]}


def of_file(name: str) -> dict[str, Any] | None:
    """What the int8 file answers on the test split."""
    path = RESULTS / "int8_drift.json"
    rows = json.loads(path.read_text(encoding="utf-8")).get(name, []) if path.exists() else []
    found = [row for row in rows if (row["graph"], row["runtime_format"]) == ("qat", FILE)]
    return found[0] if found else None


def network_row(row: dict[str, Any]) -> str:
    """One network as a row of Markdown."""
    low, high = (100 * v for v in row["accuracy_interval"])
    width = "" if row["width"] == 1 else f" × {row['width']:g}"
    name = (
        "committee of both"
        if row["role"] == "committee"
        else f"{row['role']} `{row['network']}`{width}, {row['size']} px"
    )
    cells = (
        name,
        f"{row['parameters'] / 1e6:.2f} M",
        f"{row['macs'] / 1e6:,.0f} M",
        f"{100 * row['accuracy']:.2f} [{low:.1f}, {high:.1f}]",
        " / ".join(f"{100 * recall:.1f}" for recall in row["recalls"].values()),
        f"{row['nll']:.4f}",
        f"{row['ece']:.4f} ({row['ece_noise_floor']:.4f})",
    )
    return "| " + " | ".join(cells) + " |"


def file_row(row: dict[str, Any]) -> str:
    """The int8 file among the networks."""
    low, high = (100 * v for v in row["accuracy_interval"])
    accuracy = f"{100 * row['accuracy']:.2f} [{low:.1f}, {high:.1f}]"
    return f"| its `{FILE}` | | | {accuracy} | | {row['nll']:.4f} | {row['ece']:.4f} ({row['ece_noise_floor']:.4f}) |"


def gain_row(name: str, found: dict[str, Any], latency: dict[str, Any]) -> str:
    """What a student gained, and what its file keeps and costs."""
    gain, against, file, timed = found["gain"], found["against_teacher"], of_file(name), latency.get(f"{name} {FILE}")
    cells = [
        f"`{name}`",
        words(gain["accuracy_change_pp"], gain["interval_pp"]).replace(" pp", ""),
        f"{gain['p']:.3f}",
        nll_words(gain["nll_change"], gain["nll_interval"]),
        words(against["accuracy_change_pp"], against["interval_pp"]).replace(" pp", ""),
        f"{file['accuracy_change_pp']:+.2f} ({file['flips']})" if file else "",
        f"{file['size_bytes'] / 1e6:.2f}" if file else "",
        f"{timed['wall_ms']:.2f}" if timed else "",
        f"{timed['times_as_fast']:.1f} [{timed['interval'][0]:.1f}, {timed['interval'][1]:.1f}]" if timed else "",
    ]
    return "| " + " | ".join(cells) + " |"


def seed_row(name: str, seed: str, found: dict[str, Any]) -> str:
    """One seed of a student."""
    gain = found["gain"]
    cells = (
        f"`{name}`",
        seed,
        f"{100 * found['control']:.2f}",
        f"{100 * found['student']:.2f}",
        words(gain["accuracy_change_pp"], gain["interval_pp"]).replace(" pp", ""),
        f"{gain['p']:.3f}",
        nll_words(gain["nll_change"], gain["nll_interval"]),
    )
    return "| " + " | ".join(cells) + " |"


def tables(results: dict[str, Any], latency: dict[str, Any]) -> list[str]:
    """The tables of models/README.md, in Markdown."""
    first = next(iter(results.values()))["rows"]
    taught = [row for row in first if row["role"] in ("teacher", "committee")]
    lines = [NETWORKS.format(labels=" / ".join(first[0]["recalls"])), *map(network_row, taught)]
    for name, found in results.items():
        lines += [network_row(row) for row in found["rows"] if row["role"] in ("control", "student")]
        file = of_file(name)
        lines += [file_row(file)] if file else []
    made = ["\n".join(lines)]
    head = "| " + " | ".join(GAINS) + " |\n|" + "---|" * len(GAINS)
    made.append("\n".join([head, *(gain_row(name, found, latency) for name, found in results.items())]))
    seeds = [
        seed_row(n, seed, one)
        for n, f in results.items()
        if len(f["seeds"]) > 1
        for seed, one in sorted(f["seeds"].items())
    ]
    return made + (["\n".join([SEEDS, *seeds])] if seeds else [])


def draw(results: dict[str, Any], path: Path) -> None:
    """Accuracy of committee, control, student and int8 file with intervals over patients, a panel for each student."""
    figure = new_figure(4.2 * len(results), 3.1)
    panels = figure.subplots(1, len(results), sharey=True, sharex=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, results.items(), strict=True):
        rows = {row["role"]: row for row in found["rows"] if row["role"] != "teacher" or len(found["rows"]) == 3}
        rows |= {FILE: file} if (file := of_file(name)) else {}
        for i, (role, row) in enumerate(rows.items()):
            low, high = (100 * v for v in row["accuracy_interval"])
            axes.plot([low, high], [i, i], color=COLOURS[role], linewidth=2)
            axes.plot(100 * row["accuracy"], i, "o", color=COLOURS[role])
            above = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{100 * row['accuracy']:.2f}", (100 * row["accuracy"], i), **above)
        student = rows["student"]
        gain = found["gain"]
        title = f"{name.removeprefix('mri4p-')}, {student['size']} px\n"
        title += f"gain {words(gain['accuracy_change_pp'], gain['interval_pp'])}, p = {gain['p']:.3f}"
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="accuracy, % (95 % interval over patients)", ylim=(len(rows) - 0.4, -0.8))
        axes.set_yticks(range(len(rows)), list(rows))
        axes.margins(x=0.1)
        tidy(axes)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "runs", nargs="*", metavar="RUN", help="the run that ships, with teacher and control, or several"
    )
    parser.add_argument(
        "--seed-of", nargs="+", metavar="RUN", default=[], help="runs of the same recipes with other seeds"
    )
    args = parser.parse_args()
    path = RESULTS / "reference_students.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for folder in map(Path, args.runs):
        name, found = Bundle.open(folder).manifest.name, of_run(folder)
        results[name] = found | {"seeds": results.get(name, {}).get("seeds", {}) | {str(found["seed"]): of_seed(found)}}
    for folder in map(Path, args.seed_of):
        name, found = Bundle.open(folder).manifest.name, of_run(folder)
        results[name]["seeds"][str(found["seed"])] = of_seed(found)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    timed = RESULTS / "student_latency.json"
    latency = json.loads(timed.read_text(encoding="utf-8"))["table"] if timed.exists() else {}
    text = "\n\n".join(tables(results, latency)) + "\n"
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(results, path.with_suffix(".png"))
    sys.stdout.write(text)


if __name__ == "__main__":
    command.run(lambda _: main())
