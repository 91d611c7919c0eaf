"""Images per second of a training step on one processor thread: float32, bfloat16 by autocast alone, and as edgekd does it.

    python benchmarks/training_precision.py [--rounds 7] [--steps 4]

The ways take turns in one process, every other round backwards. A step is forward, backward and AdamW on one batch that stays
in memory. Times are of the processor, so that other work on the machine takes little away; a ratio compares within a
round, its figure is the median over rounds, its interval the 95 % percentile bootstrap of that median.
Where the processor does not compute bfloat16, it says so and measures nothing. Writes results/training_precision.json.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import numpy as np
from distillation_speed import cpu, ratio

NETWORKS = (
    ("mobilenetv2", 0.5, 160),
    ("mobilenetv2", 1.0, 224),
    ("efficientnet_lite0", 1.0, 224),
    ("efficientnet_lite2", 1.0, 224),
    ("deit_tiny_patch16_224", 1.0, 160),
    ("deit_tiny_patch16_224", 1.0, 224),
)
WAYS = ("float32", "autocast alone", "edgekd")
BATCH = 32
RESULT = Path(__file__).parent / "results" / "training_precision.json"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    arguments.add_argument("--steps", type=int, default=4, help="counted steps of each way in each round")
    args = arguments.parse_args()
    import torch

    from edgekd.networks.precision import has_bf16

    if not has_bf16(torch.device("cpu")):
        sys.exit("this processor does not compute bfloat16: edgekd trains in float32 on it")
    torch.set_num_threads(1)
    rows = []
    for network, width, size in NETWORKS:
        speeds = measure(network, width, size, args.rounds, args.steps)
        against = {way: ratio(speeds["edgekd"], speeds[way]) for way in WAYS[:2]}
        rows.append(
            {"network": network, "width": width, "size": size, "images_per_s": speeds, "edgekd_against": against}
        )
        print(line(rows[-1]), flush=True)
    facts = {"cpu": cpu(), "threads": 1, "batch_size": BATCH, "rounds": args.rounds, "steps": args.steps}
    RESULT.write_text(json.dumps(facts | {"torch": torch.__version__, "rows": rows}, indent=1) + "\n")
    print(markdown(rows))


def measure(network, width, size, rounds, steps):
    """Images per second of processor time, by way and round."""
    import torch

    from edgekd import recipe
    from edgekd.networks import build
    from edgekd.networks.precision import autocast
    from edgekd.training.memory import keep_freed_memory

    keep_freed_memory()
    device = torch.device("cpu")
    contexts = {
        "float32": contextlib.nullcontext,
        "autocast alone": lambda: torch.autocast("cpu", torch.bfloat16),
        "edgekd": lambda: autocast(device, torch.bfloat16),
    }
    torch.manual_seed(0)
    made = build(recipe.Network(network=network, width=width), 4, size).train().to(memory_format=torch.channels_last)
    pixels = (torch.rand(BATCH, 3, size, size) * 255).to(memory_format=torch.channels_last)
    labels, optimizer = torch.arange(BATCH) % 4, torch.optim.AdamW(made.parameters(), lr=1e-3, foreach=True)

    def step(way):
        with contexts[way]():
            logits = made(pixels)
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(logits.float(), labels).backward()
        optimizer.step()

    speeds = {way: [] for way in WAYS}
    for index in range(rounds):
        for way in WAYS if index % 2 else WAYS[::-1]:
            step(way)  # not counted: memory and kernels of this way
            begin = time.process_time()
            for _ in range(steps):
                step(way)
            speeds[way].append(steps * BATCH / (time.process_time() - begin))
    return speeds


def markdown(rows):
    columns = (
        "network",
        "float32",
        "bfloat16, autocast alone",
        "in edgekd",
        "against float32",
        "against autocast alone",
    )
    return "\n".join([f"| {' | '.join(columns)} |", "|---" * len(columns) + "|", *map(line, rows)])


def line(row):
    name = f"`{row['network']}`" + ("" if row["width"] == 1 else f" × {row['width']:g}")
    speeds = " | ".join(f"{np.median(row['images_per_s'][way]):.1f}" for way in WAYS)
    ratios = [row["edgekd_against"][way] for way in WAYS[:2]]
    told = " | ".join(f"{r['median']:.2f} [{r['interval'][0]:.2f}, {r['interval'][1]:.2f}]" for r in ratios)
    return f"| {name}, {row['size']} px | {speeds} | {told} |"


if __name__ == "__main__":
    main()
