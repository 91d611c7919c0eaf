"""The README's table of artefacts on devices, out of finished benchmarks.

    python benchmarks/device_table.py runs/benchmark/mri4p-mobilenetv2 runs/benchmark/mri4p-efficientnet-lite0 ...

Networks of which no benchmark is given keep their rows. Writes results/devices.json and results/devices.md, and each whole
report with its raw samples as results/NAME.report.json.gz.
p is that of the test by group, McNemar's in reports of older versions. An emulated row has no time; what it tells instead is
how its probabilities differ from this machine's on the same images.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from edgekd.benchmarking.schema import ANSWERS, HardwareMeasurement, Report, Row, read_report

RESULTS = Path(__file__).with_name("results")
MEASURED = """| network | artefact | MiB | accuracy [95 %] | Δ pp (p) | flips | ECE (noise) | 1 thread | 2 threads | RAM |
|---|---|---|---|---|---|---|---|---|---|"""
EMULATED = """| network | device | artefact | images | other answers | largest Δ probability | M instructions | of these SDOT |
|---|---|---|---|---|---|---|---|"""


def measured_rows(report: Report, device: str) -> list[dict]:
    """One dict per artefact, times of all thread counts together; memory is that of one thread."""
    found: dict[str, dict] = {}
    for row in report.rows:
        measurement = row.measurement
        if row.device != device or not isinstance(measurement, HardwareMeasurement):
            continue
        numbers = found.setdefault(row.format, {"network": report.bundle.name, "format": row.format} | numerics(row))
        latency = measurement.latency
        numbers["ms"][str(row.threads)] = {"median": latency.median_ms, "p90": latency.p90_ms, "runs": latency.count}
        if row.threads == 1:
            numbers["ram_mib"] = measurement.memory.increase_mib
    return list(found.values())


def numerics(row: Row) -> dict:
    """Accuracy and drift of a row's own answers."""
    e, d = row.numerics.evaluation, row.numerics.drift
    scores = e.model_dump(include={"images", "accuracy", "accuracy_interval", "ece", "ece_noise_floor"})
    change = ("accuracy_change_pp", "interval_pp", "groups", "p", "mcnemar_p")
    drift = d.model_dump(include=set(change)) | {"flips": len(d.flips)} if d else {}
    return scores | drift | {"size_bytes": row.size_bytes, "ms": {}}


def emulated_rows(report: Report, here: str, answers: dict[str, np.ndarray]) -> list[dict]:
    """One dict per emulated row, compared with the row of the same artefact on the device `here`."""
    own = {row.format: row for row in report.rows if row.device == here and row.threads == 1}
    found = []
    for row in report.rows:
        if row.measurement.provenance != "emulated" or row.format not in own:
            continue
        at_home = dict(zip(own[row.format].numerics.indices, answers[own[row.format].numerics.answers], strict=True))
        expected = np.array([at_home[i] for i in row.numerics.indices])
        probs = answers[row.numerics.answers]
        emulation = row.measurement.emulation
        facts = {"network": report.bundle.name, "device": row.device, "format": row.format, "cpu": emulation.cpu_model}
        facts |= {"images": len(probs), "other_answers": int((probs.argmax(1) != expected.argmax(1)).sum())}
        facts |= {"largest_change": float(np.abs(probs - expected).max()), "instructions": emulation.instructions}
        facts |= {"runtime": f"{row.ran.name} {row.ran.version} ({row.ran.delegate})"}
        found.append(facts)
    return found


def readme_rows(results: dict) -> list[str]:
    """Both tables, line by line."""
    lines = MEASURED.splitlines() + [measured_line(r) for r in results["measured"]]
    emulated = [r for r in results["emulated"] if r["format"] != "tflite-fp16"]  # runs the kernels of float32
    return [*lines, "", *EMULATED.splitlines(), *map(emulated_line, emulated)]


def measured_line(r: dict) -> str:
    """A row of the first table."""
    low, high = (100 * v for v in r["accuracy_interval"])
    cells = (
        r["network"],
        r["format"],
        f"{r['size_bytes'] / 2**20:.2f}",
        f"{100 * r['accuracy']:.2f} [{low:.2f}, {high:.2f}]",
        f"{r['accuracy_change_pp']:+.2f} ({r['mcnemar_p'] if r.get('p') is None else r['p']:.2f})",
        str(r["flips"]),
        f"{r['ece']:.3f} ({r['ece_noise_floor']:.3f})",
        *(f"{r['ms'][n]['median']:.2f} / {r['ms'][n]['p90']:.2f}" if n in r["ms"] else "" for n in ("1", "2")),
        f"{r['ram_mib']:.1f}",
    )
    return "| " + " | ".join(cells) + " |"


def emulated_line(r: dict) -> str:
    """A row of the second table."""
    counts = [r["instructions"].get(kind) for kind in ("total", "sdot")]
    cells = (
        r["network"],
        f"{r['device']} ({r['cpu']})",
        r["format"],
        str(r["images"]),
        str(r["other_answers"]),
        "0, equal to the bit" if r["largest_change"] == 0 else f"{r['largest_change']:.1g}",
        *("" if count is None else f"{count / 1e6:.1f}" for count in counts),
    )
    return "| " + " | ".join(cells) + " |"


def put(rows: list[dict], network: str, new: list[dict]) -> None:
    """Set a network's rows where it has some already, or at the end."""
    places = [place for place, row in enumerate(rows) if row["network"] == network]
    rows[:] = [row for row in rows if row["network"] != network]
    begin = places[0] if places else len(rows)
    rows[begin:begin] = new


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", help="folders of finished benchmarks")
    parser.add_argument("--here", default="local", help="the device whose times are shown (default: local)")
    args = parser.parse_args()
    path = RESULTS / "devices.json"
    results = json.loads(path.read_text()) if path.exists() else {"measured": [], "emulated": []}
    for folder in map(Path, args.folders):
        report, answers = read_report(folder), load_file(folder / ANSWERS)
        put(results["measured"], report.bundle.name, measured_rows(report, args.here))
        put(results["emulated"], report.bundle.name, emulated_rows(report, args.here, answers))
        packed = gzip.compress((folder / "report.json").read_bytes(), mtime=0)
        (RESULTS / f"{report.bundle.name}.report.json.gz").write_bytes(packed)
    path.write_text(json.dumps(results, indent=1) + "\n")
    text = "\n".join(readme_rows(results)) + "\n"
    (RESULTS / "devices.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
