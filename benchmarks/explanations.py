"""How far explanations of the reference students can be trusted: explainers x (float network, tflite-int8), on test patients.

    python benchmarks/explanations.py --data DIR/manifest.csv   # measures what is missing in runs/faithfulness; it goes on
    python benchmarks/explanations.py --table                   # the table of what is there
    python benchmarks/explanations.py --speed                   # seconds for two curves of 50 steps over 200 pictures

Each bundle under models/ is copied, gets its phone file with the heat map, and is measured by `edgekd.evaluate --faithfulness`
on pictures that lie evenly over the test split; LIME and RISE, whose maps take thousands of inferences, on fewer. Writes
results/explanations.json, where a bundle that was not measured keeps its rows, and results/explanations.md with one table per
bundle.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
FOLDER = Path("runs/faithfulness")
BUNDLES = ("mri4p-mobilenetv2", "mri4p-efficientnet-lite0", "mri4p-mobilenetv2-small")
FORMAT = "tflite-int8"
PARTS = {"maps": ("heatmap,gradcam,lrp,occlusion", 48), "samples": ("lime,rise", 16)}  # methods, images
SPEED_IMAGES, STEPS = 200, 50
MEASURES = ("pointing", "mass", "rank")
BASELINES = ("random", "brightest", "centre")  # the same for every network but for whose answers are right
COLUMNS = ("method", "network", "images", "insertion ↑", "deletion ↓", "deletion to black ↓")
COLUMNS += ("change of insertion", "of deletion", "of deletion to black")
PLACES = ("method", "network", "right answers", "strongest in the tumour (pointing) ↑", "mass in it ↑", "rank in it ↑")


def measure(name, part, data):
    """Measure what is missing of one part of a bundle."""
    from edgekd import evaluate, export

    bundle = FOLDER / name
    if not bundle.exists():
        shutil.copytree(ROOT / "models" / name, FOLDER / f".{name}", dirs_exist_ok=True)
        export.main([str(FOLDER / f".{name}"), "--heatmap", "--format", FORMAT])
        (FOLDER / f".{name}").rename(bundle)
    methods, images = PARTS[part]
    asked = ["--faithfulness", "--format", FORMAT, "--method", methods, "--images", str(images), "--resume"]
    evaluate.main([str(bundle), "--data", data, *asked, "--out", str(FOLDER / f"{name}.{part}")])


def speed(name):
    """Seconds of the int8 file's answers along two curves of 50 steps for 200 pictures, in random order, on noise."""
    import time

    import numpy as np

    from edgekd.bundle import Bundle
    from edgekd.classifier import session_of
    from edgekd.measures.faithfulness import between
    from edgekd.runtimes.sessions import streamed

    bundle, rng = Bundle.open(ROOT / "models" / name), np.random.default_rng(0)
    size = bundle.manifest.input.size
    start, end = (rng.integers(0, 256, (size, size, 3), dtype=np.uint8) for _ in range(2))
    order = rng.permutation(size * size)
    with session_of(bundle, FORMAT, is_busy=True) as session:
        begin = time.perf_counter()
        for _ in range(2 * SPEED_IMAGES):
            streamed(session, between(start, end, order, STEPS))
        return time.perf_counter() - begin


def collected():
    """What was measured of each bundle and part, without the points of the curves."""
    found = {}
    for name in BUNDLES:
        for part in PARTS:
            path = FOLDER / f"{name}.{part}" / "faithfulness.json"
            if path.exists():
                document = json.loads(path.read_text(encoding="utf-8"))
                for row in document["rows"]:
                    for curve in row["curves"].values():
                        del curve["points"]
                found.setdefault(name, {})[part] = document
    return found


def markdown(results):
    """Two tables per bundle: faithfulness with its change from the float network to the file, and localisation."""
    from reference_students import line, table

    texts = []
    for name, parts in results.items():
        areas, places = [], []
        for document in parts.values():
            changes = {(c["network"], c["method"]): c["curves"] for c in document["drift"]}
            for row in document["rows"]:
                where = (row["method"], f"`{row['network']}`" if row["network"] == FORMAT else row["network"])
                if row["curves"]:
                    change = changes.get((row["network"], row["method"]), {})
                    cells = [area(curve) for curve in row["curves"].values()]
                    moved = [signed(change[c]) if change else "" for c in row["curves"]]
                    areas.append(line((*where, str(document["images"]), *cells, *moved)))
                if row["localisation"] and (row["network"] == "float" or row["method"] not in BASELINES):
                    found = (interval(row["localisation"][m]) for m in MEASURES)
                    places.append(line((*where, str(row["regions"]), *found)))
        texts.append(f"**`{name}`**\n\n" + table(COLUMNS, areas) + "\n\n" + table(PLACES, places))
    return "\n\n".join(texts) + "\n"


def area(curve):
    """An area with its interval; starred where it is not shown to be better than a random order."""
    beaten = curve["better"] is None or curve["better"]["interval"][0] > 0
    return interval(curve["auc"]) + ("" if beaten else " *")


def interval(mean):
    """A mean with its interval."""
    low, high = mean["interval"]
    return f"{mean['mean']:.3f} [{low:.3f}, {high:.3f}]"


def signed(mean):
    """A change with its interval."""
    low, high = mean["interval"]
    return f"{mean['mean']:+.3f} [{low:+.3f}, {high:+.3f}]"


def main(argv=None):
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="data/mri4p/manifest.csv", help="the images of the bundles")
    arguments.add_argument("--bundle", action="append", choices=BUNDLES, help="measure this one alone")
    arguments.add_argument("--table", action="store_true", help="measure nothing")
    arguments.add_argument("--speed", action="store_true", help="measure no explanation, but how fast one could be")
    args = arguments.parse_args(argv)
    if args.speed:
        from edgekd.devices.runner import cpu_name

        for name in args.bundle or BUNDLES:
            seconds = speed(name)
            print(f"{name}: {SPEED_IMAGES} pictures, two curves of {STEPS} steps: {seconds:.0f} s on {cpu_name()}")
        return
    if not args.table:
        for part in PARTS:
            for name in args.bundle or BUNDLES:
                measure(name, part, args.data)
    path = RESULTS / "explanations.json"
    found = (json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}) | collected()
    results = {name: found[name] for name in BUNDLES if name in found}
    path.write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    (RESULTS / "explanations.md").write_text(markdown(results))
    print(markdown(results))


if __name__ == "__main__":
    main()
