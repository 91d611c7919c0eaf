"""Two processes with the same global batch compute what one does, and wait for the first where it works alone."""

import csv
import os
import socket
import subprocess
import sys

import pytest
from safetensors.numpy import load_file

from edgekd.bundle import Bundle

# One step of the trainer itself, on a network with timm's fused batch normalization, another over vectors, and a penalty.
# Gradients and not weights: AdamW divides by their size, and would hide a factor. The network is in float64, so that rounding
# hides none either.
STEP = """
import numpy as np, torch, safetensors.torch
from edgekd.distillation import losses
from edgekd.distillation.batch import Batch
from edgekd.networks import build, taps
from edgekd.networks.taps import Outputs
from edgekd.recipe import DistillationRecipe, Network, TrainingRecipe
from edgekd.training import distributed
from edgekd.training.loop import Task, Trainer
from edgekd.training.objective import DistillationObjective, LabelObjective
processes = distributed.start()
torch.manual_seed(0)
options = {"backbone": "mobilenetv2_035", "hidden": 8, "pooled_drop_rate": 0.0, "hidden_drop_rate": 0.0}
network = build(Network(network="dualpool", options=options), 4, 32).double()
for module in network.modules():
    if isinstance(module, torch.nn.BatchNorm2d):
        torch.nn.init.normal_(module.bias, std=0.1)  # where rounding decides a sign, a rule's slope has two values
pixels, teacher = torch.rand(8, 3, 32, 32).double() * 255, torch.randn(8, 4).double()
labels = torch.tensor([0, 0, 1, 3, 2, 2, 1, 0])
targets = torch.nn.functional.one_hot(labels, 4).double()
settings = TrainingRecipe(batch_size=8, class_weights=False, gradient_clip=0, ema_decay=0)
label_objective = LabelObjective(settings, labels.numpy(), 4, processes)
class Says:
    def of(self, batch, losses):
        said = Outputs(teacher[own], {name: feature[own] for name, feature in features.items()})
        read = {name: loss.of_teacher(said, batch.targets) for name, loss in losses.items() if name not in maps}
        return said.logits, read | {name: {"map": of_all[own]} for name, of_all in maps.items()}
ALL = {name: 1.0 for name in ("kd", "dkd", "dist", "logit_std", "mse")}
# Projectors, which learn beside the network; cross_arch without its draws, which are each process's own.
ALL |= {name: 1.0 for name in ("cosine_feature", "attention_transfer", "rkd", "geometric", "ofa")}
ALL |= {"cross_arch": {"teacher_tap": "stage2", "replaced": 0.0}}
# Two that differentiate the student's answer, and go through it a second time.
ALL |= {"gradcam_semantic": {"tap": "stage3"}, "lrp_semantic": 1.0}
maps = {name: torch.rand(8, 49).double() for name in ("gradcam_semantic", "lrp_semantic")}
student = taps.shapes(network, 32, taps.names_of(network))
shapes = student | {"stage2": (6, 4, 4), "last": (5, 2, 2), "attention": (3, 2, 16, 3)}
features = {name: torch.randn(8, *shape).double() for name, shape in shapes.items()}
distillation = DistillationRecipe(losses=ALL, task_loss_weight=1.0, distill_loss_weight=1.0, kd_temperature=2.0)
modules = losses.build(losses.resolve(ALL), student, shapes).double()
own = processes.share(8)
objective = DistillationObjective(label_objective, distillation, Says(), modules)
task = Task(None, labels.numpy(), np.arange(8), np.arange(8), None, 0)
trainer = Trainer(network, objective, task, settings, processes, None, "")
trained = processes.wrap(trainer.taught.train())
row = trainer._step(trained, Batch(0, np.arange(8)[own], pixels[own], targets[own]))
tensors = {n: p.grad for n, p in trainer.taught.named_parameters()} | {n: b.double() for n, b in network.named_buffers()}
if processes.is_first:
    tensors |= {n: torch.tensor(v) for n, v in row.items()}
    safetensors.torch.save_file({n: t.contiguous() for n, t in tensors.items()}, out)
distributed.stop()
"""
# Training's own messages may take a second here; the first process takes three before each of two meetings.
WAITING = """
import time
from datetime import timedelta
from pathlib import Path
from torch.distributed import distributed_c10d
from edgekd.training import distributed
processes = distributed.start()
distributed_c10d._set_pg_timeout(timedelta(seconds=1))
for meeting in (processes.barrier, lambda: processes.decide(processes.is_first)):
    if processes.is_first:
        time.sleep(3)
    found = meeting()
Path(out).with_name(f"{processes.rank}").write_text(str(found))
distributed.stop()
"""
# The first process takes its time to write a bundle, the second to read it; and once read it is written anew.
REWRITING = """
import time
from pathlib import Path
from edgekd import bundle, files
from edgekd.preprocess import InputContract
from edgekd.training import distributed, finish
processes, folder = distributed.start(), Path(out)
check = bundle._check
bundle._check = lambda *arguments: (None if processes.is_first else time.sleep(1), check(*arguments))
network = bundle.NetworkRecord(network="mobilenetv2", parameters=1, macs=1)
manifest = bundle.Manifest(role="student", name="x", label_names=("a",), input=InputContract(size=32), network=network)
for content in ("first", "second", "third"):
    if processes.is_first:
        folder.mkdir(exist_ok=True)
        (folder / "file").write_text(content)
        time.sleep(1)
        bundle.write(folder, manifest, ["file"])
    found = finish.opened(processes, folder).manifest.files["file"]
    assert found.sha256 == files.sha256_bytes(content.encode())
distributed.stop()
"""
DISTILL = """
from edgekd import distill
distill.main(["--out", out, *arguments])
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


@pytest.fixture
def processes(forked):
    """A function that runs a script in one process, or in several that know of each other as torchrun lets them."""

    def run(count, script, out, **names):
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
        known = {"WORLD_SIZE": str(count), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        places = [known | {"RANK": str(i), "LOCAL_RANK": str(i)} if count > 1 else {} for i in range(count)]
        for ended in forked(script, *({"environment": place, "out": str(out)} | names for place in places)):
            assert ended.returncode == 0, ended.stderr[-3000:]
            assert "Warning: " not in ended.stderr, ended.stderr[-3000:]

    return run


def test_gradients_statistics_and_accuracy_are_those_of_the_whole_batch(tmp_path, processes):
    processes(1, STEP, tmp_path / "one")
    processes(2, STEP, tmp_path / "two")
    one, two = load_file(tmp_path / "one"), load_file(tmp_path / "two")
    assert one.keys() == two.keys()
    terms = {f"loss_{name}" for name in ("task", "kd", "l2", "cross_arch", "gradcam_semantic", "lrp_semantic")}
    assert {"train_loss", "train_accuracy"} | terms <= one.keys()
    assert {"losses.cosine_feature.project.weight", "losses.geometric.depth"} <= one.keys()
    for name, expected in one.items():
        scale = max(1e-3, abs(expected).max())  # gradients that are 0 but for rounding have no scale of their own
        assert abs(two[name] - expected).max() <= 1e-6 * scale, name  # the trainer's loss is in float32


def test_waiting_for_the_first_process_outlasts_the_time_limit_of_training(tmp_path, processes):
    processes(2, WAITING, tmp_path / "out")
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["True", "True"]


def test_a_bundle_is_opened_when_it_is_whole_and_not_rewritten_before_all_have_read_it(tmp_path, processes):
    processes(2, REWRITING, tmp_path / "bundle")


def losses(folder):
    with (folder / "log.csv").open() as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def test_two_processes_give_the_losses_of_one(tmp_path, tiny_settings, processes):
    for name, count in (("one", 1), ("two", 2)):
        settings = [*tiny_settings[:-1], *SETTINGS, f"cache={tmp_path / name / 'cache'}"]
        arguments = [part for setting in settings for part in ("--set", setting)]
        processes(count, DISTILL, tmp_path / name, arguments=["--control", *arguments])
    for part in ("teacher", "control", "."):
        one, two = losses(tmp_path / "one" / part), losses(tmp_path / "two" / part)
        assert len(one) == len(two) >= 1
        for a, b in zip(one, two, strict=True):
            for name in ("train_loss", "train_accuracy", "loss_task", "loss_kd", "loss_dist", "val_nll"):
                # After some steps `dist`, which correlates answers of a teacher of one epoch, almost the same to all,
                # magnifies roundings: 1.4e-3 on an Intel Xeon with AMX, where the task's loss differs by 1e-4.
                magnified = part == "." and a["epoch"] > 1 and name in ("train_loss", "loss_dist")
                if name in a:
                    assert b[name] == pytest.approx(a[name], rel=5e-3 if magnified else 1e-3), (part, name)
    assert Bundle.open(tmp_path / "two").manifest.role == "student"


def test_two_processes_go_through_the_stages_as_one_does(tmp_path, tiny_settings):
    """What does not learn neither stops the processes nor moves; the rest agrees."""
    training = ", ".join(f"{{epochs=1, learning_rate=1e-5, train='{train}'}}" for train in ("head", "top", "all"))
    settings = [*tiny_settings[:-1], *SETTINGS[:3], f"teacher.training={{batch_size=16, stages=[{training}]}}"]
    for name, prefix in (("one", [sys.executable]), ("two", TORCHRUN)):
        command = [*prefix, "-m", "edgekd.train", "--out", str(tmp_path / name)]
        for setting in [*settings, f"cache={tmp_path / name / 'cache'}"]:
            command += ["--set", setting]
        call(command)
    one, two = losses(tmp_path / "one/teacher"), losses(tmp_path / "two/teacher")
    assert [row["stage"] for row in two] == [1, 2, 3]
    for a, b in zip(one, two, strict=True):
        for name in ("train_loss", "train_accuracy", "val_nll"):
            assert b[name] == pytest.approx(a[name], rel=1e-3), name
    first, second = (load_file(tmp_path / f"two/teacher/training/stage{n}_best.safetensors") for n in (1, 2))
    stem = [name for name in first if name.startswith(("body.backbone.body.conv_stem", "body.backbone.body.bn1"))]
    assert len(stem) == 6
    assert all((first[name] == second[name]).all() for name in stem)
