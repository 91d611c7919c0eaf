"""Images per second of distillation: teacher running, teacher stored, the student's own limit, and a plain loop.

    python benchmarks/distillation_speed.py [--size 224] [--rounds 10] [--steps 10]

Each way runs in a fresh process, interleaved over the rounds, every other round backwards, so that a machine whose speed
drifts slows all of them alike. A ratio compares within a round; its figure is the median over rounds, its interval the 95 %
percentile bootstrap of that median (rounds resampled: what is of one round is not independent). The limit is the student's
forward, backward and AdamW step on one batch that stays in memory: no loader, no augmentation, no averaged weights. Nothing
that does more work can be faster, so that a ratio to it above 1 is noise, and what is claimed is the interval's lower end. The
plain loop is what one writes with timm, torchvision and torch: ImageFolder, the same augmentations as transforms, a DataLoader
with two workers, KD by hand.
"""

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

WAYS = ("plain loop", "teacher running", "teacher stored", "student alone")
OF_THE_LIMIT = "stored / student alone"
PAIRS = {
    OF_THE_LIMIT: ("teacher stored", "student alone"),
    "running / plain loop": ("teacher running", "plain loop"),
    "stored / running": ("teacher stored", "teacher running"),
}
BATCH, WARMUP, RESAMPLES = 32, 2, 10_000
RESULT = Path(__file__).parent / "results" / "distillation_speed.json"


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--size", type=int, default=224)
    arguments.add_argument("--rounds", type=int, default=10)
    arguments.add_argument("--steps", type=int, default=10, help="counted steps of each way in each round")
    arguments.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    arguments.add_argument("--folder", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.way:
        ways = {"plain loop": plain_loop, "student alone": student_alone}
        print(json.dumps(ways.get(args.way, edgekd_loop)(args)))
        return
    load = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as folder:
        write_images(Path(folder) / "images", BATCH * (args.steps + WARMUP), args.size)
        child(args, folder, "teacher running")  # decodes and fills the store of every step once
        speeds = {way: [] for way in WAYS}
        for index in range(args.rounds):
            for way in WAYS if index % 2 else WAYS[::-1]:  # nobody always comes after the same one
                speeds[way].append(child(args, folder, way))
            load.append(os.getloadavg()[0])
            print(f"round {index + 1}: " + ", ".join(f"{way} {s[-1]:.1f}" for way, s in speeds.items()), flush=True)
    report(args, speeds, load)


def child(args, folder, way):
    command = [
        sys.executable,
        __file__,
        "--way",
        way,
        "--folder",
        folder,
        "--size",
        str(args.size),
        "--steps",
        str(args.steps),
    ]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])


def write_images(folder, count, size):
    from PIL import Image

    from edgekd.data.phantom import LABEL_NAMES, phantom

    for index in range(count + 64):
        side = "train" if index < count else "val"
        path = folder / side / LABEL_NAMES[index % 4] / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(phantom(0, index, size).image).convert("RGB").save(path)


def edgekd_loop(args):
    """The project's own trainer for one epoch; the store is there already unless the teacher is to run."""
    from rich.console import Console

    from edgekd import recipe
    from edgekd.distillation import losses
    from edgekd.networks import build
    from edgekd.training import distributed, run, stages
    from edgekd.training.loop import Trainer
    from edgekd.training.objective import DistillationObjective, LabelObjective

    folder = Path(args.folder)
    stored = args.way == "teacher stored"
    settings = [
        f"data={{source='folder', path='{folder / 'images'}'}}",
        f"input.size={args.size}",
        f"cache={folder / 'cache'}",
        f"training={{epochs=1, batch_size={BATCH}}}",
        "data.test_fraction=0.01",
    ]
    wanted = recipe.load(None, settings)
    prepared = run.prepare(wanted, folder / "run", distributed.start(), Console(quiet=True))
    outputs = stages.outputs_of(prepared, lambda: build(wanted.teacher, 4, args.size), "benchmark", wanted.input)
    if not stored:
        outputs.store = outputs.store if not any(outputs.store.folder.glob("*")) else None
    labels = LabelObjective(wanted.training, prepared.labels, 4, prepared.processes)
    objective = DistillationObjective(
        labels, wanted.distillation, outputs, losses.build(losses.resolve({"kd": 1.0}), {}, {})
    )
    clock = Clock(args.steps)
    with tempfile.TemporaryDirectory() as state:
        task = prepared.task(0.0)
        trainer = Trainer(
            build(wanted.student, 4, args.size), objective, task, wanted.training, prepared.processes, Path(state), ""
        )
        trainer.fit(clock)
    assert not stored or outputs.calls == 0, "the teacher ran although its outputs are stored"
    return clock.speed()


class Clock:
    """Takes the time of each step; the first WARMUP steps are not counted."""

    def __init__(self, steps):
        self.steps, self.times = steps, []

    def step(self, epoch, step, steps, row):
        self.times.append(time.perf_counter())

    def epoch(self, history):
        pass

    def speed(self):
        counted = self.times[WARMUP - 1 : WARMUP + self.steps]
        return (len(counted) - 1) * BATCH / (counted[-1] - counted[0])


def student_alone(args):
    import torch

    from edgekd import recipe
    from edgekd.networks import build
    from edgekd.training.memory import keep_freed_memory

    keep_freed_memory()
    network = build(recipe.Network(), 4, args.size).train().to(memory_format=torch.channels_last)
    pixels = (torch.rand(BATCH, 3, args.size, args.size) * 255).to(memory_format=torch.channels_last)
    labels, clock = torch.arange(BATCH) % 4, Clock(args.steps)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, foreach=True)
    for step in range(args.steps + WARMUP):
        loss = torch.nn.functional.cross_entropy(network(pixels), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        clock.step(0, step, 0, {})
    return clock.speed()


def plain_loop(args):
    import timm
    import torch
    from torch.nn import functional
    from torchvision import datasets, transforms

    from edgekd import recipe
    from edgekd.networks import build

    augment = transforms.Compose(
        [
            transforms.RandomHorizontalFlip(),
            transforms.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 6, transforms.InterpolationMode.BILINEAR),
            transforms.ColorJitter(brightness=0.15),
            transforms.ToTensor(),
            transforms.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ]
    )
    images = datasets.ImageFolder(str(Path(args.folder) / "images" / "train"), augment)
    loader = torch.utils.data.DataLoader(images, BATCH, shuffle=True, num_workers=2, drop_last=True)
    teacher = build(recipe.TeacherRecipe(), 4, args.size).body.eval()
    student = timm.create_model("mobilenetv2_100", num_classes=4, drop_rate=0.2).train()
    optimizer, clock = torch.optim.AdamW(student.parameters(), lr=1e-3), Clock(args.steps)
    for step, (pixels, labels) in enumerate(loader):
        with torch.no_grad():
            target = functional.log_softmax(teacher(pixels) / 4, 1)
        logits = student(pixels)
        kd = functional.kl_div(functional.log_softmax(logits / 4, 1), target, reduction="batchmean", log_target=True)
        loss = 0.3 * functional.cross_entropy(logits, labels, label_smoothing=0.05) + 0.7 * 16 * kd
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        clock.step(0, step, 0, {})
    return clock.speed()


def ratio(first, second, seed=0):
    """Speed of one way over that of another: the median over rounds, with its 95 % interval."""
    found = np.asarray(first, float) / np.asarray(second, float)
    drawn = np.random.default_rng(seed).integers(0, len(found), (RESAMPLES, len(found)))
    low, high = np.quantile(np.median(found[drawn], axis=1), (0.025, 0.975))
    return {"median": float(np.median(found)), "interval": [float(low), float(high)]}


def claim(found):
    """What a ratio to the limit lets one say: its interval's lower end, rounded down, and never above 1."""
    return f"at least {math.floor(100 * min(found['interval'][0], 1.0)) / 100:.2f} of the limit"


def report(args, speeds, load):
    ratios = {name: ratio(speeds[a], speeds[b]) for name, (a, b) in PAIRS.items()}
    for way, found in speeds.items():
        print(f"{way:16} {np.median(found):7.1f} images/s   (rounds: {', '.join(f'{s:.1f}' for s in found)})")
    for name, found in ratios.items():
        print(f"{name:24} {found['median']:.2f} [{found['interval'][0]:.2f}, {found['interval'][1]:.2f}]")
    facts = {
        "cpu": cpu(),
        "cores": os.cpu_count(),
        "threads": 2,
        "size": args.size,
        "batch_size": BATCH,
        "rounds": args.rounds,
        "steps": args.steps,
        "load_average": load,  # before, and after every round
        "images_per_s": speeds,
        "ratios": ratios,
        "claim": claim(ratios[OF_THE_LIMIT]),
    }
    print(
        f"{facts['claim']}; load average of the machine {min(load):.1f} to {max(load):.1f}, of which this makes about 2"
    )
    RESULT.write_text(json.dumps(facts, indent=2) + "\n")


def cpu():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {k.strip(): v.strip() for k, v in facts.items()}
    vnni = (
        "with VNNI" if "avx512_vnni" in values.get("flags", "") or "avx_vnni" in values.get("flags", "") else "no VNNI"
    )
    name = values.get("model name", platform.processor())
    return f"{name}, family {values.get('cpu family')} model {values.get('model')}, {vnni}"


if __name__ == "__main__":
    main()
