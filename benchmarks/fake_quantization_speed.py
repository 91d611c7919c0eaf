"""Images per second of the quantization-aware stage on one processor thread: rounding over vectors, and by torch's operator.

    python benchmarks/fake_quantization_speed.py [--rounds 5] [--steps 2]

Both give the same values and gradients (tests/quantization/test_fake.py). Each runs in a fresh process, in turn, every other
round backwards. A step is forward, backward and AdamW on one batch that stays in memory; times are of the processor, so that
other work on the machine takes little away. A ratio compares within a round, its figure is the median over rounds, its
interval the 95 % percentile bootstrap of that median. Writes results/fake_quantization_speed.json.
"""

import argparse
import json
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from distillation_speed import cpu, ratio

NETWORKS = (("mobilenetv2", 0.5, 160), ("mobilenetv2", 1.0, 224), ("efficientnet_lite0", 1.0, 224))
WAYS = ("torch's operator", "vectors")
BATCH = 32
RESULT = Path(__file__).parent / "results" / "fake_quantization_speed.json"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--steps", type=int, default=3, help="counted steps of each way in each round")
    arguments.add_argument("--one", nargs=4, metavar=("NETWORK", "WIDTH", "SIZE", "WAY"), help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.one:
        network, width, size, way = args.one
        print(speed(network, float(width), int(size), way, args.steps))
        return
    rows = []
    for network in NETWORKS:
        speeds = {way: [] for way in WAYS}
        for index in range(args.rounds):
            for way in WAYS if index % 2 else WAYS[::-1]:
                speeds[way].append(child(args, network, way))
        name, width, size = network
        against = ratio(*(speeds[way] for way in WAYS[::-1]))
        rows.append({"network": name, "width": width, "size": size, "images_per_s": speeds, "ratio": against})
        print(line(rows[-1]), flush=True)
    facts = {"cpu": cpu(), "threads": 1, "batch_size": BATCH, "rounds": args.rounds, "steps": args.steps}
    RESULT.write_text(json.dumps(facts | {"torch": version("torch"), "rows": rows}, indent=1) + "\n")
    print(markdown(rows))


def child(args, network, way):
    command = [sys.executable, __file__, "--steps", str(args.steps), "--one", *map(str, network), way]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def speed(network, width, size, way, steps):
    """Images per second of processor time."""
    import torch

    from edgekd import recipe
    from edgekd.networks import build
    from edgekd.quantization import fake, ranges
    from edgekd.quantization.folding import fold_normalization
    from edgekd.quantization.lowering import lower
    from edgekd.training.memory import keep_freed_memory

    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    made = build(recipe.Network(network=network, width=width), 4, size).eval()
    stage = fake.FakeQuantNetwork(fold_normalization(lower(made)))
    views = (torch.rand(BATCH, 3, size, size) * 255).contiguous(memory_format=torch.channels_last)
    stage.set_ranges(ranges.running(stage, [views]))
    stage.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(stage.parameters(), lr=1e-6, foreach=True)
    if way == WAYS[0]:
        fake._Quantize = fake._QuantizeAtOnce
    begin = 0.0
    for step in range(steps + 1):  # the first one is not counted: memory and kernels
        if step == 1:
            begin = time.process_time()
        loss = stage(views).square().mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return round(steps * BATCH / (time.process_time() - begin), 2)


def markdown(rows):
    columns = ("network", "torch's operator", "over vectors", "ratio [95 %]")
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *map(line, rows)])


def line(row):
    name = f"`{row['network']}`" + ("" if row["width"] == 1 else f" × {row['width']:g}")
    speeds = " | ".join(f"{np.median(row['images_per_s'][way]):.1f}" for way in WAYS)
    middle, (low, high) = row["ratio"]["median"], row["ratio"]["interval"]
    return f"| {name}, {row['size']} px | {speeds} | {middle:.2f} [{low:.2f}, {high:.2f}] |"


if __name__ == "__main__":
    main()
