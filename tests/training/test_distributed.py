"""Two processes with the same global batch compute what one does: gradients to the last digits, a whole run closely."""

import csv
import os
import subprocess
import sys

import pytest
from safetensors.numpy import load_file

from edgekd.bundle import Bundle

# One step of a network with timm's fused batch normalization, in float64 so that a wrong factor cannot hide in rounding.
GRADIENTS = """
import sys, numpy as np, torch, safetensors.torch
from edgekd.distillation.losses import LOSSES
from edgekd.networks import build
from edgekd.recipe import Network, TrainingRecipe
from edgekd.training import distributed
from edgekd.training.objective import Batch, LabelObjective
processes = distributed.start()
torch.manual_seed(0)
network = build(Network(width=0.35, options={"drop_rate": 0.0}), 4, 32).double().train()
pixels, teacher = torch.rand(8, 3, 32, 32).double() * 255, torch.randn(8, 4).double()
labels = torch.tensor([0, 0, 1, 3, 2, 2, 1, 0])
targets = torch.nn.functional.one_hot(labels, 4).double()
own = processes.share(8)
trained = processes.wrap(network)
logits = trained(pixels[own])
objective = LabelObjective(TrainingRecipe(class_weights=False), labels.numpy(), 4, processes)
terms = objective(logits, Batch(0, np.arange(8)[own], pixels[own], targets[own]))
whole = processes.gather(logits)
total = sum(t.value for t in terms) + sum(loss(whole, teacher, targets, 2.0) for loss in LOSSES.values())
(total * processes.gradient_scale()).backward()
tensors = {n: p.grad for n, p in network.named_parameters()} | {n: b.double() for n, b in network.named_buffers()}
if processes.is_first:
    safetensors.torch.save_file({"loss": total.detach(), **tensors}, sys.argv[1])
distributed.stop()
"""
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
SETTINGS = [
    'teacher.options={backbone="mobilenetv2_035", depth=1, dim=32, heads=2, hidden=16, drop_rate=0.0}',
    "student.options={drop_rate=0.0}",  # dropout draws its masks per process
    "input.size=64",
    "distillation.losses={kd=1.0, dist=1.0}",
    "teacher.training={epochs=1, batch_size=16, learning_rate=1e-5}",
    "training={epochs=2, batch_size=16, learning_rate=1e-5}",
]


def call(command):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "EDGEKD_DEBUG": "1"}
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr[-3000:]
    assert "Warning: " not in found.stderr, found.stderr[-3000:]


def test_gradients_and_statistics_are_those_of_the_whole_batch(tmp_path):
    script = tmp_path / "gradients.py"
    script.write_text(GRADIENTS)
    call([sys.executable, str(script), str(tmp_path / "one")])
    call([*TORCHRUN, str(script), str(tmp_path / "two")])
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert one.keys() == two.keys()
    for name, expected in one.items():
        scale = max(1e-3, abs(expected).max())  # gradients that are 0 but for rounding have no scale of their own
        assert abs(two[name] - expected).max() <= 1e-9 * scale, name


def losses(folder):
    with (folder / "log.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_two_processes_give_the_losses_of_one(tmp_path, tiny_settings):
    for name, prefix in (("one", [sys.executable]), ("two", TORCHRUN)):
        command = [*prefix, "-m", "edgekd.distill", "--out", str(tmp_path / name), "--control"]
        for setting in [*tiny_settings[:-1], *SETTINGS, f"cache={tmp_path / name / 'cache'}"]:
            command += ["--set", setting]
        call(command)
    for part in ("teacher", "control", "."):
        one, two = losses(tmp_path / "one" / part), losses(tmp_path / "two" / part)
        assert len(one) == len(two) >= 1
        for a, b in zip(one, two, strict=True):
            for name in ("train_loss", "loss_task", "loss_kd", "loss_dist", "val_nll"):
                if name in a:
                    assert b[name] == pytest.approx(a[name], rel=1e-3), (part, name)
    assert Bundle.open(tmp_path / "two").manifest.role == "student"
