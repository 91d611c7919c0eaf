"""What the benchmark harness adds to what it times, against a bare loop around the same work.

    python benchmarks/harness_overhead.py

One process and one clock: a piece of work in a bare loop, then the same piece through `runner.sample`, over and over. `ratio`
is the median over these pairs of (sum of the samples) / (time of the bare loop), with the 95 % interval of that median
(pairs resampled); other work on the machine widens it.
"""

import gc
import json
import os
import time
from pathlib import Path

import numpy as np

from edgekd.devices import runner

RESULT = Path(__file__).parent / "results" / "harness_overhead.json"
VALUES = (20_000, 60_000, 240_000)  # to sort: from well below the quickest inference to a usual one
PAIRS, PIECE, RESAMPLES = 400, 10, 2000


def main():
    rng, load = np.random.default_rng(0), os.getloadavg()[0]
    found = [measured(rng.random(count), rng) for count in VALUES]
    result = {"cpu": runner.cpu_name(), "load": load, "pairs": PAIRS, "runs_in_a_piece": PIECE, "work": found}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for row in found:
        low, high = row["ratio_interval"]
        print(f"{row['work_us']:7.0f} µs  {row['ratio']:.4f} [{low:.4f}, {high:.4f}]")


def measured(values, rng):
    bare, timed = np.transpose([(bare_loop(values), through_the_harness(values)) for _ in range(PAIRS)])
    ratios = timed / bare
    medians = np.median(ratios[rng.integers(0, PAIRS, (RESAMPLES, PAIRS))], axis=1)
    low, high = np.quantile(medians, (0.025, 0.975))
    work = float(np.median(bare)) / PIECE * 1e3
    return {"work_us": work, "ratio": float(np.median(ratios)), "ratio_interval": [float(low), float(high)]}


def bare_loop(values):
    gc.collect()  # as `sample` does, so that both begin with the same caches
    begin = time.perf_counter()
    for _ in range(PIECE):
        np.sort(values)
    return (time.perf_counter() - begin) * 1e3


def through_the_harness(values):
    return sum(runner.sample(np.sort, [values], PIECE, 60.0))


if __name__ == "__main__":
    main()
