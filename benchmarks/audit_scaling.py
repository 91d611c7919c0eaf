"""Seconds and memory of `edgekd.audit` over the number of images, beside imagededup's perceptual hash on the same images.

    python benchmarks/audit_scaling.py [--imagededup PYTHON] [--sizes 2500 5000 10000 20000]

Images are phantoms of 224 px as JPEG, no two of them copies, on a temporary disk and read once before. Each way runs in a
fresh process, one after the other for each size. `--imagededup` names the Python of an environment with imagededup; its
default distance (10) is searched for. edgekd's seconds are those of the whole command, with start, page and report;
imagededup's are encoding and search alone. Writes results/audit_scaling.json and .png.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from distillation_speed import cpu
from PIL import Image

from edgekd.data.phantom import phantom

HERE = Path(__file__).parent
RESULTS = HERE / "results"
SIZE, DRAWN, SEED, DISTANCE = 224, 96, 11, "10"


def save(task: tuple[str, int]) -> None:
    path, index = task
    if Path(path).exists():
        return
    image = Image.fromarray(phantom(SEED, index, DRAWN).image).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    image.save(path, quality=90)


def folders(root: Path, pool: Path, sizes: list[int]) -> dict[int, Path]:
    """One folder per size below `root`; the files lie in `pool` and are shared by hard links."""
    pool.mkdir(parents=True, exist_ok=True)
    names = [f"{index:06d}.jpg" for index in range(max(sizes))]
    with ProcessPoolExecutor() as workers:
        list(workers.map(save, ((str(pool / name), i) for i, name in enumerate(names)), chunksize=64))
    for size in sizes:
        (root / str(size)).mkdir()
        for name in names[:size]:
            os.link(pool / name, root / str(size) / name)
    return {size: root / str(size) for size in sizes}


def measured(command: list[str]) -> tuple[dict[str, float], str]:
    """Wall and processor seconds and peak memory of a command with its children, and what it printed."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    printed = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    facts = {
        "wall_s": round(time.perf_counter() - started, 2),
        "processor_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mib": round(usage.ru_maxrss / 1024, 1),
        "load_1min": round(os.getloadavg()[0], 2),
    }
    return facts, printed


def edgekd(folder: Path, out: Path) -> dict[str, Any]:
    facts, _ = measured([sys.executable, "-m", "edgekd.audit", str(folder), "--out", str(out)])
    audit = json.loads((out / "audit.json").read_text())
    counts = audit["counts"]
    seconds = {f"{part}_s": value for part, value in audit["seconds"].items()}
    return facts | seconds | {"pairs_compared": counts["pairs_compared"], "copies": len(audit["pairs"])}


def imagededup(python: str, folder: Path) -> dict[str, Any]:
    command = [python, str(HERE / "imagededup_pairs.py"), str(folder), "phash", DISTANCE]
    facts, printed = measured(command)
    found = json.loads(printed.splitlines()[-1])
    limit = found["limits"][DISTANCE]
    facts |= {"encode_s": round(found["encode_s"], 2), "search_s": round(limit["search_s"], 2)}
    return facts | {"total_s": round(facts["encode_s"] + facts["search_s"], 2), "pairs": len(limit["pairs"])}


def slope(rows: list[dict[str, Any]], way: str, key: str) -> float:
    """Exponent of a power law through seconds over images."""
    images = np.log([row["images"] for row in rows])
    return round(float(np.polyfit(images, np.log([row[way][key] for row in rows]), 1)[0]), 2)


def plot(results: dict[str, Any], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows, slopes = results["rows"], results["slopes"]
    images = [row["images"] for row in rows]
    lines = [
        ("edgekd", "wall_s", "edgekd, whole command", "o-"),
        ("edgekd", "matching_s", "edgekd, search alone", "o--"),
    ]
    if "imagededup" in rows[0]:
        lines.append(("imagededup", "total_s", "imagededup phash, encode and search", "s-"))
        lines.append(("imagededup", "search_s", "imagededup phash, search alone", "s--"))
    colours = {"edgekd": "#2a6fb0", "imagededup": "#b0602a"}
    figure, axes = pyplot.subplots(figsize=(7, 4.2), layout="constrained")
    for way, key, text, style in lines:
        label = f"{text}: images^{slopes[f'{way} {key}']:.2f}"
        axes.loglog(images, [row[way][key] for row in rows], style, color=colours[way], label=label)
    axes.axhline(60, color="#888", linewidth=0.8, linestyle=":")
    axes.set(xlabel="images of 224 px", ylabel="seconds", title=f"Audit on {results['processors']} cores")
    axes.set_xticks(images, [f"{n:,}" for n in images])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=130)


def readme_rows(results: dict[str, Any]) -> list[str]:
    """The rows that the README quotes."""
    rows = []
    for row in results["rows"]:
        ours, theirs = row["edgekd"], row["imagededup"]
        seconds = [ours["wall_s"], ours["reading_s"], ours["matching_s"], ours["processor_s"], theirs["total_s"]]
        cells = [f"{row['images']:,}", *(f"{s:.1f}" for s in seconds), f"{ours['peak_rss_mib']:.0f}"]
        rows.append(f"| {' | '.join(cells)} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--imagededup", metavar="PYTHON", default="", help="the Python of an environment with imagededup"
    )
    parser.add_argument("--images", metavar="DIR", help="keep the images here, and take those that are here already")
    parser.add_argument("--sizes", type=int, nargs="+", default=[2500, 5000, 10_000, 20_000])
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=Path(args.images).parent if args.images else None) as temporary:
        root = Path(temporary)
        pool = Path(args.images) if args.images else root / "all"
        for size, folder in folders(root, pool, sorted(args.sizes)).items():
            row: dict[str, Any] = {"images": size, "edgekd": edgekd(folder, root / f"out-{size}")}
            if args.imagededup:
                row["imagededup"] = imagededup(args.imagededup, folder)
            rows.append(row)
            print(json.dumps(row), flush=True)
    keys = [("edgekd", key) for key in ("wall_s", "reading_s", "matching_s", "processor_s", "peak_rss_mib")]
    keys += [("imagededup", key) for key in ("total_s", "encode_s", "search_s")] if args.imagededup else []
    results = {
        "processors": len(os.sched_getaffinity(0)),
        "cpu": cpu(),
        "rows": rows,
        "slopes": {f"{way} {key}": slope(rows, way, key) for way, key in keys},
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "audit_scaling.json").write_text(json.dumps(results, indent=1) + "\n")
    plot(results, RESULTS / "audit_scaling.png")


if __name__ == "__main__":
    main()
