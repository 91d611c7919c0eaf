"""The reference students: who taught them, what they gained, and what their int8 files keep, on one test split.

    python benchmarks/reference_students.py RUN ... [--seed-of RUN ...] [--file-of BUNDLE ...]

RUN is a finished run of a recipe `models/recipes/mri4p-*` with its control: its teachers, control and student are compared in
pairs on the patients of the test split, where its int8 file answers too. How the file's answers differ is read from
results/int8_drift.json, how fast it is from results/student_latency.json. Runs with other seeds add a row each. Of a bundle
whose int8 file alone was made anew, that file is measured again. Names that are not given keep their rows. Writes
results/reference_students.json, .md and .png.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgekd import command, evaluate
from edgekd.bundle import MANIFEST, Bundle
from edgekd.measures.evaluation import Evaluation
from edgekd.measures.paired import nll_words, words
from edgekd.reports.pictures import BLUE, GREEN, GREY, ORANGE, new_figure, save, tidy
from edgekd.training.comparison import changed, paired

RESULTS, MODELS = Path(__file__).parent / "results", Path(__file__).parents[1] / "models"
FILE = "tflite-int8"
COLOURS = {"committee": GREY, "control": ORANGE, "student": BLUE, FILE: GREEN}
NETWORKS = (
    "network",
    "parameters",
    "MACs",
    "accuracy [95 %]",
    "recall {labels}",
    "NLL",
    "ECE (floor)",
)
GAINS = (
    "student",
    "gain over the control, pp [95 %]",
    "p",
    "change of NLL [95 %]",
    "against its committee, pp [95 %]",
    f"`{FILE}` against float, pp (flips)",
    "its sets hold the answer, % [95 %], classes",
    "MB",
    "ms",
    "times as fast as MobileNetV2-224 in float32 [95 %]",
)
SEEDS = (
    "student",
    "seed",
    "validation (NLL)",
    "committee, test",
    "control, test",
    "student, test",
    "gain on test, pp [95 %]",
    "p",
    "change of NLL [95 %]",
)


def measured(e: Evaluation) -> dict[str, Any]:
    """What is told of a network's answers to the test split."""
    told = {"images", "groups", "accuracy", "accuracy_interval", "ece", "ece_noise_floor", "nll"}
    found = e.model_dump(mode="json", include=told)
    sets = e.sets.all.model_dump(mode="json") if e.sets else None
    return found | {"recalls": {c.label_name: c.recall for c in e.classes}, "sets": sets}


def scores(role: str, bundle: Bundle) -> dict[str, Any]:
    """A network and what it answers to the test split."""
    n, val = bundle.manifest.network, Evaluation.load(bundle.file("evaluation/val.json"))
    network = {"network": n.network, "width": n.width, "parameters": n.parameters, "macs": n.macs}
    facts = {"role": role, "size": bundle.manifest.input.size, "seconds": bundle.manifest.training_seconds}
    found = measured(Evaluation.load(bundle.file("evaluation/test.json")))
    return facts | network | found | {"val_accuracy": val.accuracy, "val_nll": val.nll}


def of_file(folder: Path) -> dict[str, Any]:
    """What the int8 file of a run answers to the test split."""
    with tempfile.TemporaryDirectory() as out:
        evaluate.main([str(folder), "--format", FILE, "--out", out])
        found = measured(Evaluation.load(Path(out, "evaluation.json")))
    size = Bundle.open(folder).file(f"artefacts/{FILE}.tflite").stat().st_size
    return {"role": FILE, "size_bytes": size} | found


def of_run(folder: Path) -> dict[str, Any]:
    """Everything of one run, from its bundles."""
    student = Bundle.open(folder)
    teacher = Bundle.open(student.manifest.recipe["teacher"]["bundle"] or folder / "teacher")
    control = Bundle.open(folder / "control") if (folder / "control" / MANIFEST).exists() else None
    members = [Bundle.open(path) for path in sorted((teacher.folder / "members").glob("*"))]
    rows = [scores("teacher", member) for member in members]
    rows.append(scores("committee" if members else "teacher", teacher))
    rows += [scores("control", control)] if control else []
    return {
        "rows": [*rows, scores("student", student)],
        "gain": changed(paired(control, student)) if control else None,
        "against_teacher": changed(paired(teacher, student)),
        "seed": student.manifest.recipe["seed"],
    }


def of_seed(found: dict[str, Any]) -> dict[str, Any]:
    """What is kept of a run with one seed."""
    rows = {row["role"]: row for row in found["rows"]}
    accuracies = {role: rows[role]["accuracy"] for role in ("committee", "control", "student") if role in rows}
    validation = {name: rows["student"][name] for name in ("val_accuracy", "val_nll")}
    return accuracies | validation | {"gain": found["gain"]}


def drift_of(name: str) -> dict[str, Any] | None:
    """How the int8 file's answers differ from the float student's, where that was measured; of the graph that it ships from."""
    path = RESULTS / "int8_drift.json"
    rows = json.loads(path.read_text(encoding="utf-8")).get(name, []) if path.exists() else []
    source = Bundle.open(MODELS / name).manifest.artefacts[FILE].source if (MODELS / name).exists() else "qat"
    kind, _, method = source.partition("-")
    graph = f"{kind} ({method})" if method else kind  # as int8_drift.py calls them
    found = [row for row in rows if (row["graph"], row["runtime_format"]) == (graph, FILE)]
    return found[0] if found else None


def network_row(row: dict[str, Any], again: bool = False) -> str:
    """One network as a row of Markdown; a teacher that was trained once more, `again`, teaches what follows."""
    width = "" if row["width"] == 1 else f" × {row['width']:g}"
    name = (
        "committee of both"
        if row["role"] == "committee"
        else f"{row['role']} `{row['network']}`{width}, {row['size']} px"
    )
    name += ", trained once more for the next" if again else ""
    cells = [name, f"{row['parameters'] / 1e6:.2f} M", f"{row['macs'] / 1e6:,.0f} M", *answered(row)]
    return line(cells)


def answered(row: dict[str, Any]) -> list[str]:
    """What it answers, as the cells of a row."""
    low, high = (100 * v for v in row["accuracy_interval"])
    return [
        f"{100 * row['accuracy']:.2f} [{low:.1f}, {high:.1f}]",
        " / ".join(f"{100 * recall:.1f}" for recall in row["recalls"].values()),
        f"{row['nll']:.4f}",
        f"{row['ece']:.4f} ({row['ece_noise_floor']:.4f})",
    ]


def gain_row(name: str, found: dict[str, Any], latency: dict[str, Any]) -> str:
    """What a student gained, and what its file keeps and costs."""
    gain, against, drift, timed = found["gain"], found["against_teacher"], drift_of(name), latency.get(f"{name} {FILE}")
    cells = [
        f"`{name}`",
        *(gained(gain) if gain else ("no control", "", "")),
        words(against["accuracy_change_pp"], against["interval_pp"]).replace(" pp", ""),
        f"{drift['accuracy_change_pp']:+.2f} ({drift['flips']})" if drift else "",
        sets_of(found["file"]),
        f"{found['file']['size_bytes'] / 1e6:.2f}",
        f"{timed['wall_ms']:.2f}" if timed else "",
        f"{timed['times_as_fast']:.1f} [{timed['interval'][0]:.1f}, {timed['interval'][1]:.1f}]" if timed else "",
    ]
    return line(cells)


def gained(gain: dict[str, Any]) -> tuple[str, str, str]:
    """A change of accuracy, its p, and the change of NLL."""
    change_pp = words(gain["accuracy_change_pp"], gain["interval_pp"]).replace(" pp", "")
    return change_pp, f"{gain['p']:.3f}", nll_words(gain["nll_change"], gain["nll_interval"])


def sets_of(file: dict[str, Any]) -> str:
    """How often the conformal sets of a file hold the right class, and how many classes they have."""
    if not file["sets"]:
        return "–"
    low, high = (100 * v for v in file["sets"]["coverage_interval"])
    return f"{100 * file['sets']['coverage']:.1f} [{low:.1f}, {high:.1f}], {file['sets']['mean_size']:.2f}"


def seed_row(name: str, seed: str, found: dict[str, Any]) -> str:
    """One seed of a student."""
    accuracies = (f"{100 * found[role]:.2f}" if role in found else "–" for role in ("committee", "control", "student"))
    validation = f"{100 * found['val_accuracy']:.2f} ({found['val_nll']:.4f})"
    gain = gained(found["gain"]) if found["gain"] else ("–", "–", "–")
    return line([f"`{name}`", seed, validation, *accuracies, *gain])


def tables(results: dict[str, Any], latency: dict[str, Any]) -> list[str]:
    """The tables of models/README.md, in Markdown."""
    first = next(iter(results.values()))["rows"]
    labels = " / ".join(first[0]["recalls"])
    networks, shown = [], list[list[Any]]()
    for found in results.values():
        teaching = [row for row in found["rows"] if row["role"] in ("teacher", "committee")]
        answers = [{name: value for name, value in row.items() if name != "seconds"} for row in teaching]
        if answers not in shown:  # a student whose committee was trained apart from the others'
            networks += [network_row(row, again=bool(shown)) for row in teaching]
            shown.append(answers)
        networks += [network_row(row) for row in found["rows"] if row["role"] in ("control", "student")]
        networks.append(line([f"its `{FILE}`", "", "", *answered(found["file"])]))
    gains = [gain_row(name, found, latency) for name, found in results.items()]
    seeds = [
        seed_row(n, seed, one)
        for n, f in results.items()
        if len(f["seeds"]) > 1
        for seed, one in sorted(f["seeds"].items())
    ]
    made = [table([cell.format(labels=labels) for cell in NETWORKS], networks), table(GAINS, gains)]
    return made + ([table(SEEDS, seeds)] if seeds else [])


def table(head: Sequence[str], rows: list[str]) -> str:
    """A table of Markdown."""
    return "\n".join([line(head), "|" + "---|" * len(head), *rows])


def line(cells: Sequence[str]) -> str:
    """A row of it."""
    return "| " + " | ".join(cells) + " |"


def draw(results: dict[str, Any], path: Path) -> None:
    """Accuracy of committee, control, student and int8 file with intervals over patients, a panel for each student."""
    figure = new_figure(4.2 * len(results), 3.1)
    panels = figure.subplots(1, len(results), sharey=True, sharex=True, squeeze=False)[0]
    for axes, (name, found) in zip(panels, results.items(), strict=True):
        rows = {row["role"]: row for row in found["rows"] if row["role"] in COLOURS}
        rows[FILE] = found["file"]
        for role, row in rows.items():
            i = list(COLOURS).index(role)
            low, high = (100 * v for v in row["accuracy_interval"])
            axes.plot([low, high], [i, i], color=COLOURS[role], linewidth=2)
            axes.plot(100 * row["accuracy"], i, "o", color=COLOURS[role])
            above = {"xytext": (0, 7), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{100 * row['accuracy']:.2f}", (100 * row["accuracy"], i), **above)
        student = rows["student"]
        title, gain = f"{name.removeprefix('mri4p-')}, {student['size']} px\n", found["gain"]
        title += (
            f"gain {words(gain['accuracy_change_pp'], gain['interval_pp'])}, p = {gain['p']:.3f}"
            if gain
            else "no control"
        )
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="accuracy, % (95 % interval over patients)", ylim=(len(COLOURS) - 0.4, -0.8))
        axes.set_yticks(range(len(COLOURS)), list(COLOURS))
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
    parser.add_argument("--file-of", nargs="+", metavar="BUNDLE", default=[], help="bundles with a new int8 file")
    args = parser.parse_args()
    path = RESULTS / "reference_students.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for folder in map(Path, args.runs):
        name, found = Bundle.open(folder).manifest.name, of_run(folder)
        found["file"] = of_file(folder)
        results[name] = found | {"seeds": results.get(name, {}).get("seeds", {}) | {str(found["seed"]): of_seed(found)}}
    for folder in map(Path, args.seed_of):
        name, found = Bundle.open(folder).manifest.name, of_run(folder)
        results[name]["seeds"][str(found["seed"])] = of_seed(found)
    for folder in map(Path, args.file_of):
        results[Bundle.open(folder).manifest.name]["file"] = of_file(folder)
    path.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    timed = RESULTS / "student_latency.json"
    latency = json.loads(timed.read_text(encoding="utf-8"))["table"] if timed.exists() else {}
    text = "\n\n".join(tables(results, latency)) + "\n"
    path.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(results, path.with_suffix(".png"))
    sys.stdout.write(text)


if __name__ == "__main__":
    command.run(lambda _: main())
