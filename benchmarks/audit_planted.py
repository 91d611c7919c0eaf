"""Planted copies: recall and precision of `edgekd.audit` and imagededup for every kind of copy, side by side in one run.

    python benchmarks/audit_planted.py [--manifest FILE --distinct COLUMN] [--imagededup PYTHON [--cnn-weights FILE]]

Clean images come from the phantom and, with --manifest, from real slices: a CSV with file and group (patient), of which one
file is taken for each value in the column --distinct that says what is the same slice (mri4p: figshare_slice, from an
independent matching; rows without a value are left out). Hard negatives are among them: neighbouring slices, further slices
of the same patient, and other patients in the same pose. `--imagededup` names the Python of an environment with imagededup;
without it that part is skipped. Its CNN method runs on the network that it downloads, or with --cnn-weights on timm's
mobilenetv2_100 (ImageNet). Writes results/audit_planted.json and .md.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from planting import KINDS

from edgekd.auditing import listing, matching, reading
from edgekd.auditing.views import VIEWS
from edgekd.data.phantom import patient, phantom
from edgekd.recipe import AuditRecipe

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SIZE, SEED = 224, 7
LIMITS = ("0", "4", "8", "10")


def save_phantom(task: tuple[str, int]) -> None:
    path, index = task
    Image.fromarray(phantom(SEED, index, SIZE).image).save(path, compress_level=1)


def phantoms(folder: Path, count: int) -> dict[str, str]:
    """Write phantoms as PNG; name -> patient."""
    folder.mkdir(parents=True)
    names = [f"phantom-{index:05d}" for index in range(count)]
    with ProcessPoolExecutor() as pool:
        list(pool.map(save_phantom, ((str(folder / f"{n}.png"), i) for i, n in enumerate(names)), chunksize=16))
    return {name: f"phantom {patient(index)}" for index, name in enumerate(names)}


def slices(manifest: Path, distinct: str, folder: Path, count: int) -> dict[str, str]:
    """Copy the first file of each distinct slice; name -> group."""
    folder.mkdir(parents=True, exist_ok=True)
    with manifest.open(newline="", encoding="utf-8") as file:
        rows = {r[distinct]: r for r in reversed(list(csv.DictReader(file))) if r[distinct]}
    # Whole groups in a random order, so that the neighbours of a slice are there too.
    groups = np.random.default_rng(SEED).permutation(sorted({r["group"] for r in rows.values()}))
    rank = {group: place for place, group in enumerate(groups.tolist())}
    found = {}
    for row in sorted(rows.values(), key=lambda r: (rank[r["group"]], r["file"]))[:count]:
        name = row["file"].replace("/", "-").rpartition(".")[0]
        Image.open(manifest.parent / row["file"]).convert("L").save(folder / f"{name}.png", compress_level=1)
        found[name] = row["group"]
    return found


def plant(folder: Path, clean: list[str], share: float) -> dict[str, tuple[str, str]]:
    """Write copies of every kind of a share of the clean images; name of the copy -> (clean image, kind)."""
    planted = {}
    for number, (kind, change) in enumerate(KINDS.items()):
        rng = np.random.default_rng([SEED, number])
        for name in rng.permutation(clean)[: round(share * len(clean))].tolist():
            copy = f"copy-{number:02d}-{name}"
            change(Image.open(folder / f"{name}.png"), rng).save(folder / f"{copy}.png", compress_level=1)
            planted[copy] = (name, kind)
    return planted


def edgekd_pairs(folder: Path) -> tuple[dict[tuple[str, str], str], float]:
    """Pairs that are copies -> the view, and the seconds."""
    started = time.perf_counter()
    facts = reading.read(listing.of_folder(folder))
    matches = matching.match(facts, AuditRecipe())
    names = [Path(e.name).stem for e in facts.entries]
    # All pairs of equal images: the report chains them, which says the same.
    equal = defaultdict(list)
    for name, digest in zip(names, facts.pixels, strict=True):
        equal[digest].append(name)
    stand_in = {name: members for members in equal.values() for name in members}
    found = {(a, b): "exact" for members in equal.values() for a in members for b in members if a < b}
    for row in range(len(matches.compared)):
        if matches.compared.similarity[row] < matches.settings.duplicate:
            break
        i, j = matches.compared.pairs[row]
        view = VIEWS[matches.compared.view[row]].kind
        found.update({tuple(sorted((a, b))): view for a in stand_in[names[i]] for b in stand_in[names[j]]})
    return found, time.perf_counter() - started


def imagededup_pairs(python: str, folder: Path, method: str, limits: tuple[str, ...]) -> dict:
    """What `imagededup_pairs.py` prints, or {"skipped": why}."""
    if not python:
        return {"skipped": "no --imagededup"}
    command = [python, str(HERE / "imagededup_pairs.py"), str(folder), method, *limits]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        return {"skipped": (done.stderr.strip().splitlines() or ["failed"])[-1][:200]}
    found = json.loads(done.stdout.splitlines()[-1])
    for limit in found["limits"].values():
        limit["pairs"] = [tuple(sorted((Path(a).stem, Path(b).stem))) for a, b in limit["pairs"]]
    return found


def judge(pairs: set[tuple[str, str]], groups: dict[str, str], planted: dict[str, tuple[str, str]]) -> dict:
    """Recall and precision per kind, and how many pairs of clean images are flagged, by what they have in common."""
    origin = {name: name for name in groups} | {copy: name for copy, (name, _) in planted.items()}
    right, wrong = Counter(), Counter()
    among_clean = Counter()
    for a, b in pairs:
        for copy in {a, b} & planted.keys():
            (right if origin[a] == origin[b] else wrong)[planted[copy][1]] += 1
        if a in groups and b in groups:
            among_clean["one patient" if groups[a] == groups[b] else "two patients"] += 1
    total = Counter(kind for _, kind in planted.values())
    hit = Counter(kind for copy, (name, kind) in planted.items() if tuple(sorted((copy, name))) in pairs)
    kinds = {
        kind: {
            "copies": total[kind],
            "recall": hit[kind] / total[kind],
            "precision": right[kind] / (right[kind] + wrong[kind]) if right[kind] + wrong[kind] else None,
        }
        for kind in KINDS
    }
    true = sum(origin[a] == origin[b] for a, b in pairs)
    return {
        "kinds": kinds,
        "pairs": len(pairs),
        "precision": true / len(pairs) if pairs else None,
        "clean_pairs_flagged": dict(among_clean),
    }


def measure(clean: dict[str, str], folder: Path, share: float, python: str, cnn: str) -> dict:
    planted = plant(folder, sorted(clean), share)
    found, seconds = edgekd_pairs(folder)
    methods = {"edgekd": judge(set(found), clean, planted) | {"seconds": round(seconds, 2)}}
    skipped = {}
    versions = {}
    for method, limits in (("phash", LIMITS), ("cnn", ("0.9", "0.95", "0.98"))):
        way = f"cnn:{cnn}" if method == "cnn" and cnn else method
        other = imagededup_pairs(python, folder, way, limits)
        if "skipped" in other:
            skipped[f"imagededup {method}"] = other["skipped"]
            continue
        versions = {"imagededup": other["version"]}
        for limit, result in other["limits"].items():
            seconds = round(other["encode_s"] + result["search_s"], 2)
            methods[f"{method} {limit}"] = judge(set(result["pairs"]), clean, planted) | {"seconds": seconds}
    groups = Counter(clean.values())
    return {
        "clean": len(clean),
        "patients": len(groups),
        "pairs_of_one_patient": sum(n * (n - 1) // 2 for n in groups.values()),
        "copies": len(planted),
        "methods": methods,
        "skipped": skipped,
        "versions": versions,
    }


def markdown(results: dict) -> str:
    """One table per set: recall / precision in per cent."""
    lines = []
    for name, result in results["sets"].items():
        methods = result["methods"]
        lines += [
            f"**{name}**: {result['clean']} clean images of {result['patients']} patients, {result['copies']} planted copies; "
            "recall / precision in %",
            "",
            "| copies | " + " | ".join(methods) + " |",
            "|---|" + "---|" * len(methods),
        ]
        for kind in KINDS:
            cells = (m["kinds"][kind] for m in methods.values())
            lines.append(
                f"| {kind} | " + " | ".join(f"{_cent(c['recall'])} / {_cent(c['precision'])}" for c in cells) + " |"
            )
        flagged = (m["clean_pairs_flagged"] for m in methods.values())
        lines.append("| clean pairs flagged | " + " | ".join(str(sum(f.values())) for f in flagged) + " |")
        lines.append("| seconds | " + " | ".join(f"{m['seconds']:.1f}" for m in methods.values()) + " |")
        lines += ["", *(f"{method} was left out: {why}" for method, why in result["skipped"].items()), ""]
    return "\n".join(lines)


REAL = "mri4p"
COLUMNS = (("phantom", "edgekd"), (REAL, "edgekd"), (REAL, "phash 4"), (REAL, "phash 10"), (REAL, "cnn 0.9"))


def readme_rows(results: dict) -> list[str]:
    """The rows that the README quotes: recall / precision in per cent for the methods of `COLUMNS`."""
    chosen = [results["sets"][name]["methods"][method] for name, method in COLUMNS]
    rows = []
    for kind in KINDS:
        cells = (m["kinds"][kind] for m in chosen)
        rows.append(
            f"| {kind} | " + " | ".join(f"{_cent(c['recall'])} / {_cent(c['precision'])}" for c in cells) + " |"
        )
    flagged = (str(sum(m["clean_pairs_flagged"].values())) for m in chosen)
    return [*rows, f"| pairs of clean images flagged | {' | '.join(flagged)} |"]


def _cent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", metavar="FILE", help="a CSV with file and group; its folder's name names the set")
    parser.add_argument(
        "--distinct", metavar="COLUMN", default="file", help="of the manifest: equal for the same slice"
    )
    parser.add_argument(
        "--imagededup", metavar="PYTHON", default="", help="the Python of an environment with imagededup"
    )
    parser.add_argument("--cnn-weights", metavar="FILE", default="", help="mobilenetv2_100 of timm, as safetensors")
    parser.add_argument("--clean", type=int, default=1200, help="clean images per set")
    parser.add_argument("--share", type=float, default=0.25, help="of the clean images that get a copy of each kind")
    args = parser.parse_args()
    results = {
        "sets": {},
        "settings": AuditRecipe().model_dump(),
        "seed": SEED,
        "cnn": "mobilenetv2_100, ImageNet" if args.cnn_weights else "its own",
        "processors": os.cpu_count(),
        "load_1min": os.getloadavg()[0],
    }
    others = (args.share, args.imagededup, args.cnn_weights)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "phantom"
        results["sets"]["phantom"] = measure(phantoms(folder, args.clean), folder, *others)
        if args.manifest:
            manifest = Path(args.manifest)
            folder = Path(temporary) / manifest.resolve().parent.name
            clean = slices(manifest, args.distinct, folder, args.clean)
            results["sets"][folder.name] = measure(clean, folder, *others)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audit_planted.json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    text = markdown(results)
    (RESULTS / "audit_planted.md").write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
